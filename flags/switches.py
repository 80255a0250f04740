"""The kill switches: what is said in the environment wins over every flag."""

from collections.abc import Mapping

# Which flags a switch speaks for: that key and all that begin with it and a dot. A switch that is on says only that the
# first one is.
GOVERNS: Mapping[str, str] = {
    "PROMPTER_USE_TEMPLATES": "prompts",
    "PROMPTER_USE_STRUCTURED_TEMPLATES": "structured_templates",
    "PROMPTER_USE_CACHE": "cache",
    "PROMPTER_USE_BATCHING": "batching",
    "PROMPTER_USE_TRACING": "tracing",
}


def governed(said: Mapping[str, bool]) -> dict[str, bool]:
    """The switches that were said, by the key of the flags that they speak for."""
    return {GOVERNS[name]: value for name, value in said.items() if name in GOVERNS}
