"""Checks of Slack's settings with the Web API: token and scopes. What the app is subscribed to cannot be read."""

from adapters.channels.asking import questions
from adapters.channels.slack import SlackSettings
from contracts.findings import Finding, Health

SCOPES = ("chat:write", "im:history", "app_mentions:read")


async def examine(settings: SlackSettings) -> Finding:
    """Ask who the token is, and read its scopes; nothing is sent or changed."""
    authorization = f"Bearer {settings.bot_token.get_secret_value()}"
    async with questions(settings.api_url, "SLACK_API_URL", Authorization=authorization) as ask:
        answer = await ask("POST", "/auth.test")
    if answer.content.get("ok") is not True:
        step = "set SLACK_BOT_TOKEN to the Bot User OAuth Token of the app's page OAuth & Permissions"
        return Finding("slack", Health.FAILED, f"the token is refused ({answer.content.get('error')})", step)
    name = f"{answer.content.get('user')} in {answer.content.get('team')}"
    granted = {scope.strip() for scope in answer.headers.get("x-oauth-scopes", "").split(",") if scope.strip()}
    if missing := [scope for scope in SCOPES if granted and scope not in granted]:
        step = "add them under OAuth & Permissions, install the app again, and set the new token"
        return Finding("slack", Health.FAILED, f"{name}: the token lacks {', '.join(missing)}", step)
    return Finding("slack", Health.OK, name)
