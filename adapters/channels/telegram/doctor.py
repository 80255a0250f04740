"""Checks of Telegram's settings with the Bot API, and the registration of the webhook."""

from contextlib import AbstractAsyncContextManager
from typing import Any

from adapters.channels.asking import Question, questions
from adapters.channels.platform import Refusal
from adapters.channels.telegram import TelegramSettings
from contracts.findings import Finding, Health

ALLOWED_UPDATES = ("message", "edited_message", "callback_query", "message_reaction")
SETUP = "prosa channels setup telegram --url https://YOUR-HOST"


async def examine(settings: TelegramSettings) -> Finding:
    """Read the platform's view of the settings; nothing is sent or changed."""
    async with _asking(settings) as ask:
        bot, hook = await _call(ask, "getMe"), await _call(ask, "getWebhookInfo")
    name = f"@{bot.get('username', settings.bot)}"
    if not hook.get("url"):
        return Finding("telegram", Health.FAILED, f"{name}: no webhook is set: no message arrives", SETUP)
    detail = f"{name}; {hook['url']}; {hook.get('pending_update_count', 0)} updates wait"
    if hook.get("last_error_message"):
        step = "its address must answer from outside with a valid certificate, and TELEGRAM_SECRET_TOKEN be the one set"
        return Finding(
            "telegram", Health.NOTE, f"{detail}; last error: {hook['last_error_message']}", f"{step}: {SETUP}"
        )
    if missing := set(ALLOWED_UPDATES[:3]) - set(hook.get("allowed_updates") or ALLOWED_UPDATES):
        return Finding("telegram", Health.NOTE, f"{detail}; without {', '.join(sorted(missing))}", SETUP)
    return Finding("telegram", Health.OK, detail)


async def set_webhook(settings: TelegramSettings, url: str) -> Finding:
    """Give Telegram the address and the secret of the webhook."""
    content = {
        "url": f"{url}/webhooks/telegram",
        "secret_token": settings.secret_token.get_secret_value(),
        "allowed_updates": ALLOWED_UPDATES,
    }
    async with _asking(settings) as ask:
        await _call(ask, "setWebhook", content)
    return Finding("telegram", Health.OK, f"updates go to {content['url']}")


def _asking(settings: TelegramSettings) -> AbstractAsyncContextManager[Question]:
    token = settings.bot_token.get_secret_value()
    return questions(f"{settings.api_url.rstrip('/')}/bot{token}", "TELEGRAM_API_URL")


async def _call(ask: Question, method: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the result of a method. Raises Refusal: Telegram does not take it."""
    status, _, answer = await ask("POST", f"/{method}", json=content or {})
    if status in (401, 404):
        raise Refusal(f"the token is refused ({status})", "set TELEGRAM_BOT_TOKEN as @BotFather shows it (/mybots)")
    if answer.get("ok") is not True:
        raise Refusal(f"{method} is refused: {answer.get('description', status)}", "correct it and try again")
    result = answer.get("result")
    return result if isinstance(result, dict) else {}
