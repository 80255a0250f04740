"""Checks of Chatwoot's settings with its API, and the address of the agent bot."""

from urllib.parse import quote

from adapters.channels.asking import questions
from adapters.channels.chatwoot import ChatwootSettings
from contracts.findings import Finding, Health

TOKEN = "take the access token of the agent bot (Settings, Bots) and the number in the address of the account"  # noqa: S105


async def examine(settings: ChatwootSettings) -> Finding:
    """Ask with the token about a conversation that does not exist: 404 shows that the token may act there."""
    headers = {"api_access_token": settings.token.get_secret_value()}
    path = f"/api/v1/accounts/{quote(settings.account_id, safe='')}/conversations/0/toggle_status"
    async with questions(settings.url.rstrip("/"), "CHATWOOT_URL", **headers) as ask:
        answer = await ask("POST", path, json={"status": "open"})
    if answer.status == 404:
        return Finding("chatwoot", Health.OK, f"account {settings.account_id} of {settings.url} takes the token")
    detail = f"account {settings.account_id} does not take the token ({answer.status})"
    return Finding("chatwoot", Health.FAILED, detail, TOKEN)


def webhook_of(settings: ChatwootSettings, url: str) -> Finding:
    """Say the address that the bot's page needs: only an administrator's token could enter it."""
    address = f"{url}/webhooks/chatwoot?token={settings.webhook_token}"
    step = f"enter this webhook URL on the bot's page (Settings, Bots), and choose the bot in each inbox: {address}"
    return Finding("chatwoot", Health.NOTE, "its address is entered by hand, and is a secret", step)
