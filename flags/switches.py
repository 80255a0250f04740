"""Kill switches: environment variables that win over every flag."""

from collections.abc import Mapping

# The flags that a switch governs: that key and all keys below it, after a dot. A switch that is on turns on only the
# key itself.
GOVERNS: Mapping[str, str] = {
    "PROMPTER_USE_TEMPLATES": "prompts",
    "PROMPTER_USE_STRUCTURED_TEMPLATES": "structured_templates",
    "PROMPTER_USE_CACHE": "cache",
    "PROMPTER_USE_BATCHING": "batching",
    "PROMPTER_USE_TRACING": "tracing",
}


def governed(said: Mapping[str, bool]) -> dict[str, bool]:
    """Return the switches that are set, by the key of the flags that they govern."""
    return {GOVERNS[name]: value for name, value in said.items() if name in GOVERNS}


def switched(key: str, switches: Mapping[str, bool]) -> bool | None:
    """Return a key's switched value; a switch that is off covers all keys below it. None without a switch."""
    if not switches:
        return None
    own = switches.get(key)
    while own is None and "." in key:
        key = key.rpartition(".")[0]
        own = False if switches.get(key) is False else None
    return own
