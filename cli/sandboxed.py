"""The stand-ins of the outside world, in this process, in the places that nobody filled."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from contracts.settings import Settings

SANDBOX_SECRET = "sandbox"  # noqa: S105 - signs webhooks between this process and its own stand-in
SANDBOX_PHONE_NUMBER_ID = "100000000000001"


def imitating_everything(settings: Settings) -> Settings:
    """The settings without keys and platforms: for a demonstration, which must not reach anybody real."""
    imitated = ("anthropic_", "whatsapp_", "model_", "structured_output")
    names = [name for name in Settings.model_fields if name.startswith(imitated)]
    return settings.model_copy(update={name: Settings.model_fields[name].default for name in names})


def needs_sandbox(settings: Settings) -> bool:
    return settings.uses_sandbox_model or (not settings.is_production and not settings.has_whatsapp)


def with_sandbox(settings: Settings, url: str) -> Settings:
    """The settings with the stand-ins in the places that nobody filled."""
    changes: dict[str, object] = {}
    if settings.uses_sandbox_model:
        changes["anthropic_api_key"] = SecretStr(SANDBOX_SECRET)
        changes["anthropic_base_url"] = settings.anthropic_base_url or f"{url}/anthropic"
    if not settings.has_whatsapp:
        changes |= {
            "whatsapp_app_secret": SecretStr(SANDBOX_SECRET),
            "whatsapp_verify_token": SecretStr(SANDBOX_SECRET),
            "whatsapp_access_token": SecretStr(SANDBOX_SECRET),
            "whatsapp_phone_number_id": SANDBOX_PHONE_NUMBER_ID,
            "whatsapp_api_url": f"{url}/graph/v26.0",
        }
    return settings.model_copy(update=changes)


@asynccontextmanager
async def sandboxed(settings: Settings, *, serving: bool = True) -> AsyncIterator[tuple[Settings, str | None]]:
    """The settings with the stand-ins in them, and the address these are served at while the context is open.

    Without `serving` only their secrets are put in: for a process that never calls them.
    """
    if not needs_sandbox(settings):
        yield settings, None
        return
    if not serving:
        yield with_sandbox(settings, "http://127.0.0.1:0"), None
        return
    # Only a process that imitates something loads the stand-ins and a server.
    from cli.serving import server_of
    from sandbox.app import SandboxSettings
    from sandbox.app import create_app as create_sandbox
    from sandbox.transport import listen

    webhook_url = f"http://127.0.0.1:{settings.port}/webhooks/whatsapp" if settings.port else None
    sandbox = create_sandbox(
        SandboxSettings(institution=settings.institution, webhook_url=webhook_url, app_secret=SANDBOX_SECRET)
    )
    # The server leaves an app's beginning and end to who made the app.
    async with (
        sandbox.router.lifespan_context(sandbox),
        server_of(sandbox).running(listen("127.0.0.1", 0)) as url,
    ):
        yield with_sandbox(settings, url), url
