"""Doubles of the outside world, in this process, for everything that is not set up."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from adapters.channels.registry import PLATFORMS
from contracts.settings import ChannelSettings, Settings

# Signs webhooks between this process and its own doubles. Drawn at each start: one in the source is everybody's.
SANDBOX_SECRET = secrets.token_hex(16)


def imitating_everything(settings: Settings) -> Settings:
    """Return the settings without keys and platforms: for a demonstration, which must not reach a real person."""
    imitated = ("anthropic_", "channels", "model_", "structured_output", "transcriber", "chosen_transcriber", "speech")
    names = [name for name in Settings.model_fields if name.startswith(imitated)]
    imitating = {name: Settings.model_fields[name].default for name in names}
    return settings.model_copy(update=imitating | {"quiet_window_s": "0"})


# An address for doubles that nobody calls: the port of discard, where nothing answers.
NOWHERE = "http://127.0.0.1:9"


def needs_sandbox(settings: Settings) -> bool:
    return settings.uses_sandbox_model or (not settings.is_production and bool(_imitated(settings, NOWHERE)))


def with_sandbox(settings: Settings, url: str) -> Settings:
    """Return the settings with the doubles for everything that is not set up."""
    changes: dict[str, object] = {"channels": (*settings.channels, *_imitated(settings, url))}
    if settings.uses_sandbox_model:
        changes["anthropic_api_key"] = SecretStr(SANDBOX_SECRET)
        changes["anthropic_base_url"] = settings.anthropic_base_url or f"{url}/anthropic"
        if settings.transcriber == "none":
            changes |= {"transcriber": "openai", "transcriber_url": f"{url}/speech/v1"}
        if not settings.speech_key.get_secret_value():
            changes["speech_url"] = f"{url}/speech/v1"
    return settings.model_copy(update=changes)


def _imitated(settings: Settings, url: str) -> list[ChannelSettings]:
    """Return settings for the doubles of the platforms that are not set up."""
    missing = [one for one in PLATFORMS.values() if one.settings is not None and one.settings.of(settings) is None]
    doubles = [platform.imitated(url, SANDBOX_SECRET) for platform in missing]
    return [double for double in doubles if double is not None]


@asynccontextmanager
async def sandboxed(settings: Settings, *, serving: bool = True) -> AsyncIterator[tuple[Settings, str | None]]:
    """Yield the settings with the doubles in them, and the address these are served at while the context is open.

    Without `serving` only their secrets are put in: for a process that never calls them.
    """
    if not needs_sandbox(settings):
        yield settings, None
        return
    if not serving:
        yield with_sandbox(settings, NOWHERE), None
        return
    # Only a process that imitates something loads the doubles and a server.
    from adapters.http.listener import listen
    from cli.serving import server_of
    from sandbox.app import SandboxSettings
    from sandbox.app import create_app as create_sandbox

    webhook_url = f"http://127.0.0.1:{settings.port}/webhooks/whatsapp" if settings.port else None
    sandbox = create_sandbox(
        SandboxSettings(institution=settings.institution, webhook_url=webhook_url, app_secret=SANDBOX_SECRET)
    )
    # The server leaves an app's beginning and end to its maker.
    async with sandbox.router.lifespan_context(sandbox), server_of(sandbox).running(listen("127.0.0.1", 0)) as url:
        yield with_sandbox(settings, url), url
