"""Messenger and Instagram inbound. Source: Meta, Messenger Platform "Webhooks", and Instagram's messaging webhooks.

What another app or a person of the team answers comes as an echo, or under `standby` while another app holds the
conversation: it is recorded, and never answered. Our own echoes carry the reference of their row, and settle it.
"""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from adapters.channels.meta import MetaInbound
from adapters.channels.reading import Content, Reader, dict_in, dicts_in, list_in, required, text_of
from contracts.channels import Post, Received
from contracts.errors import MalformedMessageError
from contracts.media import InboundMedia
from contracts.messages import ADVERTISEMENT, ChannelName, DeliveryState, InboundKind, StatusUpdate, digest

OBJECTS = {ChannelName.MESSENGER: "page", ChannelName("instagram"): "instagram"}
PREFIXES = {ChannelName.MESSENGER: "fb", ChannelName("instagram"): "ig"}
MEDIA_KINDS = {
    "image": InboundKind.IMAGE,
    "video": InboundKind.VIDEO,
    "audio": InboundKind.AUDIO,
    "file": InboundKind.DOCUMENT,
    "like_heart": InboundKind.STICKER,
}
OTHER_EVENTS = ("optin", "account_linking", "policy_enforcement", "pass_thread_control", "take_thread_control")


class MessengerInbound(MetaInbound):
    """Satisfies the `ChannelInbound` port."""

    def __init__(self, name: ChannelName, *, app_secret: str, verify_token: str, id_salt: str) -> None:
        setting = f"{name.upper()}_VERIFY_TOKEN"
        super().__init__(app_secrets=(app_secret,), verify_token=verify_token, id_salt=id_salt, setting=setting)
        self._name = name

    def parse(self, post: Post, *, at: datetime) -> Received:
        reader, expected = _Parser(self._name, PREFIXES[self._name], self._id_salt, at), OBJECTS[self._name]
        envelope = reader.envelope(post.body, lambda one: one.get("object") == expected, f"not of {self._name}")
        for entry in reader.elements(envelope, "entry", required=True) if envelope is not None else ():
            reader.one("entry", entry, reader.read_entry)
        return reader.received()


class _Parser(Reader):
    def read_entry(self, entry: dict[str, Any]) -> None:
        account = required(entry, "id")
        self.each(entry, "messaging", lambda event: self._read(event, account, is_standby=False))
        self.each(entry, "standby", lambda event: self._read(event, account, is_standby=True))
        self.ignored.extend("changes" for _ in self.elements(entry, "changes"))

    def _read(self, event: dict[str, Any], account: str, *, is_standby: bool) -> None:
        moment = _moment(event.get("timestamp"))
        message, person = dict_in(event, "message"), required(dict_in(event, "sender"), "id")
        if message.get("is_echo") is True:
            self._read_echo(event, message, account, moment)
            return
        content, key, revises = _content(event)
        if content is None:
            # A receipt names its messages; a watermark alone does not.
            mids = [text_of(mid) for mid in list_in(dict_in(event, "delivery"), "mids") if text_of(mid)]
            for mid in mids:
                self._add_status(account, mid, DeliveryState.DELIVERED, moment)
            if read := text_of(dict_in(event, "read").get("mid")):
                self._add_status(account, read, DeliveryState.READ, moment)
            if not mids and not read:
                names = ("delivery", "read", *OTHER_EVENTS)
                self.ignored.append(next((name for name in names if name in event), "other"))
            return
        self.add(
            content if not is_standby else content.noted(standby="yes"),
            account=account,
            person=person,
            platform_id=key,
            reply_to=text_of(dict_in(message, "reply_to").get("mid")),
            revises=revises,
            recorded_only=is_standby,
            sent_at=moment,
        )

    def _read_echo(self, event: dict[str, Any], message: dict[str, Any], account: str, moment: datetime | None) -> None:
        """Read what went to the person: ours settles its row, any other is an agent's answer in Meta's own inbox."""
        reference, mid = text_of(message.get("metadata")), required(message, "mid")
        if reference:
            self._add_status(account, mid, DeliveryState.SENT, moment, reference=reference)
            return
        content, _, _ = _content(event)
        self.add(
            (content or Content(InboundKind.UNSUPPORTED)).noted(echo="message_echoes"),
            account=account,
            person=required(dict_in(event, "recipient"), "id"),
            platform_id=mid,
            recorded_only=True,
            sent_at=moment,
        )

    def _add_status(
        self, account: str, mid: str, state: DeliveryState, moment: datetime | None, *, reference: str | None = None
    ) -> None:
        self.statuses.append(
            StatusUpdate(
                channel=self._channel,
                account=account,
                platform_message_id=mid,
                state=state,
                client_reference=reference,
                at=moment or self.at,
            )
        )


def _content(event: dict[str, Any]) -> tuple[Content | None, str, str]:
    """Return content, key, and the message that it revises; None for what no person said."""
    sender, timestamp = text_of(dict_in(event, "sender").get("id")), text_of(event.get("timestamp"))
    if "message" in event:
        message = dict_in(event, "message")
        mid = required(message, "mid")
        if message.get("is_deleted") is True:
            return Content(InboundKind.REVOKE, data={"to": mid}), f"{mid}/deleted", mid
        return _message_content(message).noted(**_origin(dict_in(message, "referral"))), mid, ""
    if "postback" in event:
        postback = dict_in(event, "postback")
        payload, title = text_of(postback.get("payload")), text_of(postback.get("title"))
        if not payload and not title:
            raise MalformedMessageError("a postback without a payload")
        key = text_of(postback.get("mid")) or digest(sender, timestamp, payload)
        return (
            Content(InboundKind.CHOICE, title or payload, payload or None, data=_origin(dict_in(postback, "referral"))),
            key,
            "",
        )
    if "message_edit" in event:
        edit = dict_in(event, "message_edit")
        mid = required(edit, "mid")
        key = f"{mid}/{text_of(edit.get('num_edit')) or timestamp}"
        return Content(InboundKind.EDIT, text_of(edit.get("text")), data={"to": mid}), key, mid
    if "reaction" in event:
        reaction = dict_in(event, "reaction")
        mid = required(reaction, "mid")
        shown = text_of(reaction.get("emoji")) if reaction.get("action") != "unreact" else ""
        return Content(InboundKind.REACTION, shown, data={"to": mid}), f"{mid}/reaction/{timestamp}", ""
    if "referral" in event:
        content = Content(InboundKind.WELCOME, data=_origin(dict_in(event, "referral")))
        return content, digest(sender, timestamp, "referral"), ""
    return None, "", ""


def _message_content(message: dict[str, Any]) -> Content:
    text, chosen = text_of(message.get("text")), text_of(dict_in(message, "quick_reply").get("payload"))
    if chosen:
        return Content(InboundKind.CHOICE, text or chosen, chosen)
    files = dicts_in(message, "attachments")
    if not files:
        return Content(InboundKind.TEXT if text else InboundKind.UNSUPPORTED, text)
    if text and all(one.get("type") == "fallback" for one in files):
        # A link that the person wrote, with what its page says.
        return Content(InboundKind.TEXT, text)
    # Each file is numbered as the message has it when it is asked for again.
    mid, numbers, contents = required(message, "mid"), count(), list[Content]()
    for one in map(_attachment, files):
        if one.media is not None and one.kind is not InboundKind.STICKER:
            named = one.media.model_copy(update={"message": mid, "position": next(numbers)})
            one = replace(one, media=named)
        contents.append(one)
    content = Content.of_files(text, contents)
    return replace(content, kind=InboundKind.TEXT) if text and content.kind is InboundKind.UNSUPPORTED else content


def _attachment(attachment: dict[str, Any]) -> Content:
    kind, payload = text_of(attachment.get("type")), dict_in(attachment, "payload")
    if kind == "location":
        spot = dict_in(payload, "coordinates")
        coordinates = f"{text_of(spot.get('lat'))}, {text_of(spot.get('long'))}"
        return Content(InboundKind.LOCATION, coordinates, data={"coordinates": coordinates})
    read = InboundKind.STICKER if "sticker_id" in payload else MEDIA_KINDS.get(kind, InboundKind.UNSUPPORTED)
    if read is InboundKind.UNSUPPORTED:
        return Content(read, data={"type": kind[:64]})
    return Content(read, media=InboundMedia(reference=text_of(payload.get("url"))))


def _origin(referral: dict[str, Any]) -> dict[str, str]:
    """Return where the person comes from: the reference of a link, and the words of an advertisement."""
    reference = text_of(referral.get("ref"))[:250]
    words = text_of(dict_in(referral, "ads_context_data").get("ad_title")).strip()[:1000]
    return ({"referral": reference} if reference else {}) | ({ADVERTISEMENT: words} if words else {})


def _moment(value: Any) -> datetime | None:
    """Read milliseconds; some events carry seconds."""
    try:
        number = int(value)
        return datetime.fromtimestamp(number / 1000 if number > 100_000_000_000 else number, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
