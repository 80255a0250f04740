"""Kill switches: environment variables that, set to `false`, win over every experiment and flag.

Set to `true` a switch is the default, which experiments and flags override.
"""

from collections.abc import Mapping

# The flags that a switch turns off: that key and all keys below it, after a dot.
GOVERNS: Mapping[str, str] = {
    "PROMPTER_USE_TEMPLATES": "prompts",
    "PROMPTER_USE_STRUCTURED_TEMPLATES": "prompts",
    "PROMPTER_USE_CACHE": "cache",
    "PROMPTER_USE_BATCHING": "batching",
    "PROMPTER_USE_TRACING": "tracing",
}
Kills = Mapping[str, str]
"""The switches that are off, by the key of the flags that they turn off."""


def kills_of(said: Mapping[str, bool]) -> dict[str, str]:
    """Return the kills among the switches that are set."""
    return {GOVERNS[name]: name for name, is_on in said.items() if name in GOVERNS and not is_on}


def killed(key: str, kills: Kills) -> str | None:
    """Return the switch that turns off this key, or None."""
    while kills and key:
        if key in kills:
            return kills[key]
        key = key.rpartition(".")[0]
    return None
