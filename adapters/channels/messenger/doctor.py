"""Checks of Messenger's and Instagram's settings with the Graph API, and the subscription of the page to the app."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from adapters.channels.asking import Question, questions
from adapters.channels.messenger import GraphSettings
from adapters.channels.platform import Refusal
from contracts.findings import Finding, Health

FIELDS = ("messages", "messaging_postbacks", "message_echoes", "message_deliveries", "standby", "messaging_referrals")
INSTAGRAM_FIELDS = ("messages", "messaging_postbacks", "messaging_seen", "message_reactions", "standby")


async def examine(name: str, settings: GraphSettings) -> Finding:
    """Ask who the token is, and whether its page sends webhooks to the app; nothing is sent or changed."""
    async with _asking(name, settings) as ask:
        page = await _read(ask, "GET", "/me", name, params={"fields": "id,name"})
        apps = await _read(ask, "GET", "/me/subscribed_apps", name)
    shown = str(page.get("name") or page.get("id"))
    granted = {field for app in apps.get("data", []) for field in app.get("subscribed_fields", [])}
    if "messages" not in granted:
        step = f"prosa channels setup {name}"
        return Finding(name, Health.FAILED, f"{shown} sends no messages to the app: none arrives", step)
    if missing := [field for field in _fields(name) if field not in granted]:
        return Finding(name, Health.NOTE, f"{shown}; without {', '.join(missing)}", f"prosa channels setup {name}")
    return Finding(name, Health.OK, shown)


async def subscribe(name: str, settings: GraphSettings) -> Finding:
    """Subscribe the page or account to the app; the address itself is set in the app's dashboard."""
    async with _asking(name, settings) as ask:
        fields = ",".join(_fields(name))
        await _read(ask, "POST", "/me/subscribed_apps", name, params={"subscribed_fields": fields})
    return Finding(name, Health.OK, "subscribed; the app's dashboard has the address, as docs/channels.md says")


def _fields(name: str) -> tuple[str, ...]:
    return INSTAGRAM_FIELDS if name == "instagram" else FIELDS


def _asking(name: str, settings: GraphSettings) -> AbstractAsyncContextManager[Question]:
    authorization = f"Bearer {settings.access_token.get_secret_value()}"
    return questions(settings.api_url, f"{name.upper()}_API_URL", Authorization=authorization)


async def _read(ask: Question, method: str, path: str, name: str, **given: Any) -> dict[str, Any]:
    """Return the object of an answer. Raises Refusal: the platform does not take the token, or the question."""
    answer = await ask(method, path, **given)
    if answer.status == 200:
        return answer.content
    error = answer.content.get("error", {})
    code = error.get("code") if isinstance(error, dict) else answer.status
    if code == 190:
        raise Refusal("the token is refused (190)", f"make a lasting page token and set {name.upper()}_ACCESS_TOKEN")
    raise Refusal(f"{path} is refused ({code})", "give the token the permission to manage messages, and ask again")
