"""Settings of every process, composed of the common ones and those of the registered channels."""

from collections.abc import Mapping
from pathlib import Path

from adapters.channels.registry import settings_classes
from contracts.settings import Settings, compose_settings, names_of


def read_settings(environ: Mapping[str, str] | None = None, *, env_file: Path | None = Path(".env")) -> Settings:
    """Read the environment of this process.

    Raises:
        ConfigurationError: a setting is unknown, malformed, missing or contradicts another; every one is named.
    """
    return compose_settings(environ, env_file=env_file, channels=settings_classes())


def known_names() -> list[str]:
    """Return the environment variables of every setting."""
    return [*names_of(Settings), *(name for kind in settings_classes() for name in names_of(kind))]
