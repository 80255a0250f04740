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


def switched(key: str, switches: Mapping[str, bool]) -> bool | None:
    """What the switches say of a key: one that is off also speaks for all that is under it. None: nothing."""
    if not switches:
        return None
    own = switches.get(key)
    while own is None and "." in key:
        key = key.rpartition(".")[0]
        own = False if switches.get(key) is False else None
    return own
