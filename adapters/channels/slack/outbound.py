"""Slack outbound: `chat.postMessage` with Block Kit. A refusal arrives with status 200."""

from datetime import timedelta
from typing import Any

from adapters.channels.sending import ACCOUNT_PAUSE, HttpChannel, accepted_id, bearer, object_of, plain
from adapters.channels.slack import LIMITS
from adapters.http.client import Answer
from contracts.delivery import OutboxRow
from contracts.errors import ChannelAccountError, ChannelRefusedError, ChannelUnavailableError
from contracts.media import InboundMedia, MediaFile, MediaLimits, MediaRefusedError
from contracts.messages import ChannelName, MessageType, OutboundMessage

# Names of errors: Slack, chat.postMessage. Their classes are ours.
WAIT = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
OF_ACCOUNT = frozenset(
    {
        *("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope"),
        *("org_login_required", "ekm_access_denied", "access_denied", "no_permission", "team_access_not_granted"),
    }
)
IN_ANY_FORM = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "user_not_found"})
# The type of the metadata that names a message of ours.
EVENT = "prosa_reply"
CLOCKS_DIFFER = timedelta(minutes=1)


class SlackChannel(HttpChannel):
    """Satisfies the `Channel` port, and `SentLookup`."""

    name = ChannelName.SLACK
    limits = LIMITS

    def __init__(self, api_url: str, bot_token: str) -> None:
        token = bearer(bot_token, setting := "SLACK_BOT_TOKEN")
        super().__init__(api_url, token=bot_token, setting=setting, file_hosts=("files.slack.com",), file_headers=token)

    async def send(self, row: OutboxRow) -> str:
        reference = {"event_type": EVENT, "event_payload": {"reference": row.reference}}
        content = payload(row.message, row.address.person) | {"metadata": reference}
        answer = await self._post("/chat.postMessage", content)
        if object_of(answer).get("ok") is not True:
            raise _refusal(answer)
        return f"{row.address.person.partition('/')[0]}/{accepted_id(answer, 'ts')}"

    async def find_sent(self, row: OutboxRow) -> str | None:
        """Return the id of the row's message in the history; None: it is not there, or the history is not the bot's."""
        channel, _, thread = row.address.person.partition("/")
        asked = {"channel": channel, "include_all_metadata": "true", "limit": "200"}
        asked |= {"oldest": f"{(row.created_at - CLOCKS_DIFFER).timestamp():.6f}"} | ({"ts": thread} if thread else {})
        try:
            found = await self._look_up(f"/conversations.{'replies' if thread else 'history'}", **asked)
        except (ChannelUnavailableError, MediaRefusedError):
            return None
        for one in found.get("messages") or ():
            if one.get("metadata", {}).get("event_payload", {}).get("reference") == row.reference:
                return f"{channel}/{one['ts']}"
        return None

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        async def find() -> str:
            found = (await self._look_up("/files.info", file=media.reference)).get("file") or {}
            return str(found.get("url_private_download") or found.get("url_private"))

        return await self._downloads.fetch(media, limits, find=find)


def payload(message: OutboundMessage, person: str) -> dict[str, Any]:
    """Return the body of the send. `person` is the channel and, behind a slash, the thread."""
    channel, _, thread = person.partition("/")
    text = escaped(plain(message) if message.type not in (MessageType.BUTTON, MessageType.LIST) else message.text)
    content: dict[str, Any] = {"channel": channel, "text": text, "unfurl_links": False}
    if thread:
        content["thread_ts"] = thread
    section: dict[str, Any] = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    if message.buttons:
        buttons = [
            {"type": "button", "action_id": f"reply-{number}", "text": _words(option.title), "value": option.id}
            for number, option in enumerate(message.buttons)
        ]
        content["blocks"] = [section, {"type": "actions", "elements": buttons}]
    elif message.rows:
        rows = [
            {"text": _words(option.title), "value": option.id}
            | ({"description": _words(option.description)} if option.description else {})
            for option in message.rows
        ]
        chosen: dict[str, Any] = {"type": "static_select", "action_id": "reply", "options": rows}
        if message.list_label:
            chosen["placeholder"] = _words(message.list_label)
        content["blocks"] = [section, {"type": "actions", "elements": [chosen]}]
    elif message.type is MessageType.IMAGE and message.media is not None and message.media.link:
        picture = {"type": "image", "image_url": message.media.link, "alt_text": message.media.filename or "image"}
        content["blocks"] = [section, picture] if message.text else [picture]
    return content


def escaped(text: str) -> str:
    """Escape the three characters that are Slack's own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def _refusal(answer: Answer) -> ChannelUnavailableError | ChannelRefusedError:
    error = str(object_of(answer).get("error", ""))
    if answer.is_busy or error in WAIT or not error:
        return ChannelUnavailableError(error or f"status {answer.status}", retry_after=answer.retry_after)
    if error in OF_ACCOUNT:
        return ChannelAccountError(f"account {error}", retry_after=ACCOUNT_PAUSE)
    return ChannelRefusedError("the platform refuses the message", code=error[:64], in_any_form=error in IN_ANY_FORM)
