"""`prosa doctor`: looks at everything a process needs, and says the next step where something is missing."""

import platform
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

import httpx

from context.loader import load_institution
from contracts.errors import WorkerError
from contracts.settings import Settings
from fsm.static_check import problems
from prompts.registry import PromptRegistry
from sandbox.transport import listen
from worker.backends import open_backend


class Health(StrEnum):
    OK = "ok"
    NOTE = "note"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """What one check found, and what to do next where that is not nothing."""

    check: str
    health: Health
    detail: str
    next_step: str = ""

    def view(self) -> dict[str, str]:
        return asdict(self)


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; a failing one never keeps the others from running."""
    checks: dict[str, Callable[[Settings], Awaitable[Finding]]] = {
        "python": _python,
        "institution": _institution,
        "templates": _templates,
        "state table": _table,
        "store": _store,
        "port": _port,
        "model": _model,
        "whatsapp": _whatsapp,
        "console": _console,
    }
    findings = []
    for name, check in checks.items():
        try:
            findings.append(await check(settings))
        except WorkerError as exc:
            findings.append(Finding(name, Health.FAILED, str(exc), "mend it and run prosa doctor again"))
    return findings


async def _python(_: Settings) -> Finding:
    return Finding("python", Health.OK, platform.python_version())


async def _institution(settings: Settings) -> Finding:
    institution = load_institution(settings.institution)
    detail = f"{institution.name} {institution.version}: {len(institution.intents)} intents"
    return Finding("institution", Health.OK, detail)


async def _templates(_: Settings) -> Finding:
    return Finding("templates", Health.OK, f"{len(PromptRegistry.read().all())} templates")


async def _table(_: Settings) -> Finding:
    found = problems()
    if found:
        return Finding("state table", Health.FAILED, "; ".join(found), "mend fsm/table.py")
    return Finding("state table", Health.OK, "sound")


async def _store(settings: Settings) -> Finding:
    async with open_backend(settings) as backend:
        waiting = await backend.inbox.depth()
        letters = len(await backend.store.dead_letters())
    detail = f"{settings.store_path}: {waiting} waiting, {letters} dead letters"
    if letters:
        return Finding("store", Health.NOTE, detail, "prosa dead-letters list")
    return Finding("store", Health.OK, detail)


async def _port(settings: Settings) -> Finding:
    try:
        listen(settings.host, settings.port).close()
    except OSError as exc:
        step = "prosa may be running already; else set PORT"
        return Finding("port", Health.NOTE, f"{settings.host}:{settings.port} {exc.strerror}", step)
    return Finding("port", Health.OK, f"{settings.host}:{settings.port} is free")


async def _model(settings: Settings) -> Finding:
    if settings.anthropic_api_key is None:
        return Finding("model", Health.NOTE, "the sandbox answers", "set ANTHROPIC_API_KEY for a real model")
    base = (settings.anthropic_base_url or "https://api.anthropic.com").rstrip("/")
    headers = {
        "Authorization": f"Bearer {settings.anthropic_api_key.get_secret_value()}",
        "anthropic-version": "2026-10-21",
    }
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            response = await client.get(f"{base}/v1/models", headers=headers)
    except httpx.HTTPError as exc:
        return Finding(
            "model", Health.FAILED, f"{base}: {type(exc).__name__}", "check ANTHROPIC_BASE_URL and the network"
        )
    if response.status_code == 401:
        return Finding("model", Health.FAILED, f"{base} refuses the key", "check ANTHROPIC_API_KEY")
    if not response.is_success:
        return Finding("model", Health.FAILED, f"{base} answered {response.status_code}", "try again later")
    return Finding("model", Health.OK, f"{base} answers")


async def _whatsapp(settings: Settings) -> Finding:
    if not settings.has_whatsapp:
        step = "set WHATSAPP_APP_SECRET, _VERIFY_TOKEN, _ACCESS_TOKEN and _PHONE_NUMBER_ID; README says where they are"
        return Finding("whatsapp", Health.NOTE, "not connected", step)
    return Finding("whatsapp", Health.OK, f"number {settings.whatsapp_phone_number_id}")


async def _console(settings: Settings) -> Finding:

    if settings.console_token is None:
        return Finding("console", Health.OK, "open on this machine only")
    return Finding("console", Health.OK, "needs PROSA_CONSOLE_TOKEN")
