"""Chatwoot inbound: the events of an agent bot. Source: Chatwoot, "Agent bots" and "Webhooks".

A conversation is the bot's while it is `pending`. Open or snoozed, the team has it: its messages are recorded. Resolved
or pending again, the assistant has it back.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.channels.chatwoot import REFERENCE
from adapters.channels.reading import Content, Reader, dict_in, dicts_in, is_equal, moment_of, required, text_of
from contracts.channels import OriginRefusedError, Post, Received
from contracts.media import InboundMedia
from contracts.messages import ChannelName, DeliveryState, InboundKind, StatusUpdate

NAME = ChannelName("chatwoot")
MEDIA_KINDS = {
    "image": InboundKind.IMAGE,
    "video": InboundKind.VIDEO,
    "audio": InboundKind.AUDIO,
    "file": InboundKind.DOCUMENT,
}
STATUS_EVENTS = frozenset({"conversation_resolved", "conversation_status_changed"})
OTHER_EVENTS = frozenset({"conversation_opened", "conversation_created", "conversation_updated", "webwidget_triggered"})


class ChatwootInbound:
    """Satisfies the `ChannelInbound` port. `webhook_token` is the one in the address."""

    max_body = 1024 * 1024

    def __init__(self, webhook_token: str, *, account: str, id_salt: str) -> None:
        self._webhook_token, self._account, self._id_salt = webhook_token, account, id_salt

    def handshake(self, query: Mapping[str, str]) -> str:
        raise OriginRefusedError("Chatwoot has no handshake: `prosa channels setup chatwoot` says the bot's address.")

    def verify(self, post: Post, *, at: datetime) -> None:
        if not is_equal(post.query("token") or "", self._webhook_token):
            raise OriginRefusedError("The address lacks its token: `prosa channels setup chatwoot` says it.")

    def parse(self, post: Post, *, at: datetime) -> Received:
        reader = _Event(NAME, "cw", self._id_salt, at)
        event = reader.envelope(post.body, lambda one: "event" in one, "not an event of Chatwoot")
        if event is not None:
            reader.one("event", event, lambda one: reader.read(one, self._account))
        return reader.received()


class _Event(Reader):
    def read(self, event: dict[str, Any], account: str) -> None:
        name, given = text_of(event.get("event")), text_of(dict_in(event, "account").get("id"))
        if given not in ("", account):
            self.ignored.append("other_account")
        elif name in STATUS_EVENTS:
            if event.get("status") in ("resolved", "pending"):
                self.returned.append(self.thread(account, required(event, "id")))
            else:
                self.ignored.append("conversation_status_changed")
        elif name not in ("message_created", "message_updated"):
            self.ignored.append(name if name in OTHER_EVENTS else "other")
        elif event.get("private") is True or not (content := _content(event, is_update=name == "message_updated")):
            self.ignored.append("private" if event.get("private") is True else "update")
        else:
            self._read_message(event, content, account)

    def _read_message(self, event: dict[str, Any], content: Content, account: str) -> None:
        conversation, sender = dict_in(event, "conversation"), dict_in(event, "sender")
        is_answer = event.get("message_type") in ("outgoing", 1) and content.kind is not InboundKind.CHOICE
        if event.get("message_type") in ("activity", "template", 2, 3) or (is_answer and sender.get("type") != "user"):
            # Ours come back this way too, which proves that they have arrived.
            if reference := text_of(dict_in(event, "content_attributes").get(REFERENCE)) if is_answer else "":
                self.statuses.append(
                    StatusUpdate(
                        channel=NAME,
                        account=account,
                        platform_message_id=required(event, "id"),
                        client_reference=reference,
                        state=DeliveryState.SENT,
                        at=self.at,
                    )
                )
            else:
                self.ignored.append("bot_message" if is_answer else "activity")
            return
        author = {"echo": "chatwoot", "agent": text_of(sender.get("name"))[:100]} if is_answer else {}
        key = required(event, "id")
        self.add(
            content.noted(**author),
            account=account,
            person=required(conversation, "id"),
            platform_id=f"{key}/chosen" if content.kind is InboundKind.CHOICE else key,
            person_name="" if is_answer else text_of(sender.get("name")),
            recorded_only=is_answer or conversation.get("status") not in ("pending", "resolved", None),
            sent_at=_moment(event.get("created_at")),
        )


def _content(event: dict[str, Any], *, is_update: bool) -> Content | None:
    """Read a message, or the option that was chosen from one of ours; None for any other change of a message."""
    chosen = dicts_in(dict_in(event, "content_attributes"), "submitted_values")
    if is_update:
        if not chosen:
            return None
        title, value = text_of(chosen[0].get("title")), text_of(chosen[0].get("value"))
        return Content(InboundKind.CHOICE, title or value, value or None)
    text = text_of(event.get("content"))
    files = dicts_in(event, "attachments")
    if not files:
        return Content(InboundKind.TEXT if text else InboundKind.UNSUPPORTED, text)
    return Content.of_files(text, [_attachment(one) for one in files])


def _attachment(attachment: dict[str, Any]) -> Content:
    kind = text_of(attachment.get("file_type"))
    if kind == "location":
        coordinates = f"{text_of(attachment.get('coordinates_lat'))}, {text_of(attachment.get('coordinates_long'))}"
        return Content(InboundKind.LOCATION, coordinates, data={"coordinates": coordinates})
    media = InboundMedia(reference=text_of(attachment.get("data_url")))
    return Content(MEDIA_KINDS.get(kind, InboundKind.UNSUPPORTED), media=media)


def _moment(value: Any) -> datetime | None:
    """Read seconds, or an ISO 8601 time, as messages have it."""
    if not isinstance(value, str) or value.isdecimal():
        return moment_of(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
