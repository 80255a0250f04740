"""WhatsApp inbound: handshake, signature, and the parser of Meta's events.

Field names and kinds: Meta's webhook reference "messages", read in its 2026 versions. A new kind of message must not
make Meta repeat a batch for days, so an unknown kind becomes `unsupported`, and an unreadable piece a dead letter.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.channels.whatsapp.codes import is_in_any_form
from adapters.json_input import parse_json
from contracts.channels import OriginRefusedError, Post, Received, Unreadable
from contracts.errors import MalformedMessageError
from contracts.messages import (
    Address,
    ChannelName,
    DeliveryState,
    InboundKind,
    InboundMedia,
    InboundMessage,
    StatusUpdate,
    address_digests,
    digest,
)
from contracts.signs import shortened
from contracts.values import ConversationId, MessageId

MAX_TEXT = 20_000

# Fields that reach the same URL and carry no message of a customer; they are counted under these names.
OTHER_FIELDS = frozenset(
    {
        "smb_message_echoes",
        "history",
        "smb_app_state_sync",
        "standby",
        "messaging_handovers",
        "calls",
        "user_preferences",
        "message_template_status_update",
        "account_update",
        "security",
    }
)


class WhatsAppInbound:
    """Satisfies the `ChannelInbound` port.

    `app_secrets` are the current one and, while it is being changed, the previous one. `id_salt` keeps phone numbers
    out of the ids made from them.
    """

    # Meta's limit is 3 MB; with a little more the limit is theirs and not ours.
    max_body = 4 * 1024 * 1024

    def __init__(self, *, app_secrets: Sequence[str], verify_token: str, id_salt: str) -> None:
        self._app_secrets = app_secrets
        self._verify_token = verify_token
        self._id_salt = id_salt

    def handshake(self, query: Mapping[str, str]) -> str:
        token = query.get("hub.verify_token", "")
        if query.get("hub.mode") != "subscribe" or not _is_equal(token, self._verify_token):
            raise OriginRefusedError("hub.verify_token is not WHATSAPP_VERIFY_TOKEN.")
        return query.get("hub.challenge", "")

    def verify(self, post: Post, *, at: datetime) -> None:
        if not is_signed(post.body, post.header(b"x-hub-signature-256"), self._app_secrets):
            raise OriginRefusedError("X-Hub-Signature-256 is not the body's HMAC under the app secret.")

    def parse(self, post: Post, *, at: datetime) -> Received:
        return parse(post.body, id_salt=self._id_salt, at=at)


def _is_equal(given: str, expected: str) -> bool:
    """Compare in constant time; an empty expectation never matches."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def is_signed(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Check that `X-Hub-Signature-256` is the HMAC-SHA256 of the raw body under one of the secrets."""
    prefix, _, given = (header or "").partition("=")
    if prefix != "sha256" or not given.isascii():
        return False
    expected = [hmac.digest(secret.encode(), body, "sha256").hex() for secret in secrets if secret]
    # Every secret is tried: an early return would reveal their number.
    matches = [hmac.compare_digest(candidate, given) for candidate in expected]
    return any(matches)


def parse(body: bytes, *, id_salt: str, at: datetime) -> Received:
    """Parse a verified body. Never raises."""
    try:
        envelope = parse_json(body)
    except MalformedMessageError as exc:
        return Received(unreadable=(_unreadable(str(exc), body.decode("utf-8", "replace"), id_salt),))
    if not isinstance(envelope, dict) or envelope.get("object") != "whatsapp_business_account":
        raw = body.decode("utf-8", "replace")
        return Received(unreadable=(_unreadable("not a WhatsApp envelope", raw, id_salt),))
    parser = _Parser(id_salt, at)
    parser.read_envelope(envelope)
    return Received(tuple(parser.messages), tuple(parser.statuses), tuple(parser.unreadable), tuple(parser.ignored))


class _Parser:
    def __init__(self, id_salt: str, at: datetime) -> None:
        self._id_salt = id_salt
        self._at = at
        self.messages: list[InboundMessage] = []
        self.statuses: list[StatusUpdate] = []
        self.unreadable: list[Unreadable] = []
        self.ignored: list[str] = []

    def read_envelope(self, envelope: dict[str, Any]) -> None:
        for entry in self._elements(envelope, "entry", required=True):
            if not isinstance(entry, dict):
                self._keep("an entry that is not an object", entry)
                continue
            for change in self._elements(entry, "changes", required=True):
                self.read_change(change)

    def read_change(self, change: Any) -> None:
        if not isinstance(change, dict) or not isinstance(change.get("value"), dict):
            self._keep("a change without a value", change)
            return
        name, value = str(change.get("field")), change["value"]
        if name == "user_id_update":
            self._each(value, name, lambda item: self._read_message(_as_system_message(item), value, echo=False))
            return
        if name == "smb_message_echoes":
            self._each(value, "message_echoes", lambda item: self._read_message(item, value, echo=True))
            return
        if name != "messages":
            self.ignored.append(name if name in OTHER_FIELDS else "other")
            return
        self._each(value, "messages", lambda item: self._read_message(item, value, echo=False))
        self._each(value, "statuses", lambda item: self._read_status(item, value))
        # Errors beside the messages are about the account; what concerns a message comes in its statuses.
        self.ignored.extend("errors" for _ in self._elements(value, "errors"))

    def _each(self, value: dict[str, Any], key: str, read: Callable[[dict[str, Any]], None]) -> None:
        """Read each element; an unreadable one does not cost its neighbours."""
        for item in self._elements(value, key):
            try:
                if not isinstance(item, dict):
                    raise MalformedMessageError("not an object")
                read(item)
            except (MalformedMessageError, ValueError, TypeError, KeyError, OverflowError) as exc:
                self._keep(f"{key}: {type(exc).__name__}", item, beside=value.get("contacts"))

    def _elements(self, item: dict[str, Any], key: str, *, required: bool = False) -> list[Any]:
        """Return the list under the key. Anything else in its place is kept whole: it may hold several messages."""
        found = item.get(key)
        if isinstance(found, list):
            return found
        if found is not None or required:
            self._keep(f"{key} is not a list", item)
        return []

    def _keep(self, reason: str, piece: Any, *, beside: Any = None) -> None:
        """Keep an unreadable piece; what names no address is found by those that stand `beside` it."""
        kept = _unreadable(reason, _raw(piece), self._id_salt)
        if not isinstance(piece, dict) or not any(_text(piece.get(key)) for key in ("from", "from_user_id")):
            around = address_digests(self._id_salt, _raw(beside))
            kept = replace(kept, addresses=tuple(sorted({*kept.addresses, *around})))
        self.unreadable.append(kept)

    def _read_message(self, item: dict[str, Any], value: dict[str, Any], *, echo: bool) -> None:
        platform_id = _required(item, "id")
        account = _required(_dict(value, "metadata"), "phone_number_id")
        identities = _identities(item, value, key="to" if echo else "from")
        if not identities:
            raise MalformedMessageError("no sender")
        kind, text, choice, media, data = _content(item)
        revised = data.get("to", "") if kind in REVISIONS else ""
        group = _text(item.get("group_id"))
        person, *others = [group, *identities] if group else identities
        threads = () if group else tuple(self._thread(account, name) for name in identities)
        self.messages.append(
            InboundMessage(
                id=self._message_id(account, platform_id),
                conversation_id=self._thread(account, person),
                address=Address(
                    channel=ChannelName.WHATSAPP,
                    account=account,
                    person=person,
                    aliases=tuple(others),
                    user=None if group else next(filter(USER_ID.fullmatch, identities), None),
                ),
                platform_id=platform_id,
                kind=kind,
                text=shortened(text, MAX_TEXT),
                choice_id=choice,
                media=media,
                data=data | ({"echo": "smb_message_echoes"} if echo else {}),
                person_name=_profile_name(value, identities),
                reply_to=_text(_dict(item, "context").get("id")) or None,
                revises=self._message_id(account, revised) if revised else None,
                recorded_only=echo or bool(group),
                sent_at=_moment(item.get("timestamp")),
                received_at=self._at,
                threads=threads if len(threads) > 1 else (),
            )
        )

    def _thread(self, account: str, name: str) -> ConversationId:
        """Return the conversation that a name of a person, or of a group, stands for."""
        return ConversationId("wa:" + digest(self._id_salt, account, name, size=12))

    def _message_id(self, account: str, platform_id: str) -> MessageId:
        return MessageId("wa-" + digest(self._id_salt, account, platform_id, size=12))

    def _read_status(self, item: dict[str, Any], value: dict[str, Any]) -> None:
        state = STATUS_STATES.get(_text(item.get("status")))
        if state is None:
            self.ignored.append("status")
            return
        code = _error_code(item)
        self.statuses.append(
            StatusUpdate(
                channel=ChannelName.WHATSAPP,
                account=_required(_dict(value, "metadata"), "phone_number_id"),
                platform_message_id=_required(item, "id"),
                state=state,
                client_reference=_text(item.get("biz_opaque_callback_data")) or None,
                error_code=code,
                in_any_form=code is not None and code.isascii() and code.isdigit() and is_in_any_form(int(code)),
                at=_moment(item.get("timestamp")) or self._at,
            )
        )


def _as_system_message(item: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of `user_id_update` in the form of the system message that brings the same news."""
    ids = _dict(item, "user_id")
    now, before, number = _text(ids.get("current")), _text(ids.get("previous")), _text(item.get("wa_id"))
    if not now or not before:
        raise MalformedMessageError("no ids")
    news = {"type": "user_changed_user_id", "user_id": now, "previous_user_id": before}
    made = f"user_id_update:{before}:{now}"
    return {"id": made, "from": number, "timestamp": item.get("timestamp"), "type": "system", "system": news}


def _unreadable(reason: str, raw: str, id_salt: str) -> Unreadable:
    return Unreadable(reason, raw, address_digests(id_salt, raw))


REVISIONS = frozenset({InboundKind.EDIT, InboundKind.REVOKE})

STATUS_STATES = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "played": DeliveryState.READ,
    "failed": DeliveryState.FAILED,
}

Content = tuple[InboundKind, str, str | None, InboundMedia | None, dict[str, str]]


def _content(item: dict[str, Any]) -> Content:
    """Read the content by its type; an unknown type is `unsupported`, not an error."""
    kind = _text(item.get("type"))
    reader = READERS.get(kind)
    if reader is None:
        return InboundKind.UNSUPPORTED, "", None, None, {"type": kind[:64]}
    inner = item.get(kind)
    return reader(inner if isinstance(inner, dict | list) else {})


def _read_text(inner: Any) -> Content:
    return InboundKind.TEXT, _text(_dict_of(inner).get("body")), None, None, {}


def _media_reader(kind: InboundKind) -> Callable[[Any], Content]:
    def read(inner: Any) -> Content:
        content = _dict_of(inner)
        media = InboundMedia(
            reference=_text(content.get("id")),
            mime_type=_text(content.get("mime_type")),
            filename=_text(content.get("filename")),
            sha256=_text(content.get("sha256")),
        )
        return kind, _text(content.get("caption")), None, media, {}

    return read


def _read_interactive(inner: Any) -> Content:
    content = _dict_of(inner)
    kind = _text(content.get("type"))
    chosen = _dict(content, kind)
    if kind in ("button_reply", "list_reply"):
        return InboundKind.CHOICE, _text(chosen.get("title")), _text(chosen.get("id")), None, {}
    if kind == "nfm_reply":
        return InboundKind.FORM, _form_text(chosen), None, None, {"form": _text(chosen.get("name"))}
    return InboundKind.UNSUPPORTED, "", None, None, {"type": f"interactive {kind[:64]}"}


def _form_text(chosen: dict[str, Any]) -> str:
    """Return the answers of a form as lines; Meta puts them as JSON into a string, which may not parse."""
    raw = _text(chosen.get("response_json"))
    try:
        answers = parse_json(raw.encode("utf-8", "replace"))
    except MalformedMessageError:
        return _text(chosen.get("body"))
    if not isinstance(answers, dict):
        return _text(chosen.get("body"))
    return "\n".join(f"{name}: {_text(value)}" for name, value in answers.items() if name != "flow_token")


def _read_button(inner: Any) -> Content:
    content = _dict_of(inner)
    return InboundKind.CHOICE, _text(content.get("text")), _text(content.get("payload")) or None, None, {}


def _read_location(inner: Any) -> Content:
    content = _dict_of(inner)
    place = " - ".join(part for part in (_text(content.get("name")), _text(content.get("address"))) if part)
    coordinates = f"{_text(content.get('latitude'))}, {_text(content.get('longitude'))}"
    return InboundKind.LOCATION, place or coordinates, None, None, {"coordinates": coordinates}


def _read_contacts(inner: Any) -> Content:
    cards = inner if isinstance(inner, list) else []
    names = [_text(_dict(card, "name").get("formatted_name")) for card in cards if isinstance(card, dict)]
    return InboundKind.CONTACTS, ", ".join(name for name in names if name), None, None, {}


def _read_order(inner: Any) -> Content:
    content = _dict_of(inner)
    items = [item for item in _list(content, "product_items") if isinstance(item, dict)]
    lines = [f"{_text(item.get('quantity'))} x {_text(item.get('product_retailer_id'))}" for item in items]
    return InboundKind.ORDER, "\n".join([_text(content.get("text")), *lines]).strip(), None, None, {}


def _read_reaction(inner: Any) -> Content:
    content = _dict_of(inner)
    return InboundKind.REACTION, _text(content.get("emoji")), None, None, {"to": _text(content.get("message_id"))}


def _read_edit(inner: Any) -> Content:
    """Read the new text, or the new caption of a file."""
    message = _dict(_dict_of(inner), "message")
    kind = _text(message.get("type")) or "text"
    text = _text(_dict(message, kind).get("body" if kind == "text" else "caption"))
    return InboundKind.EDIT, text, None, None, {"to": _text(_dict_of(inner).get("original_message_id"))}


def _read_revoke(inner: Any) -> Content:
    return InboundKind.REVOKE, "", None, None, {"to": _text(_dict_of(inner).get("original_message_id"))}


def _read_system(inner: Any) -> Content:
    """Read a change of number or identity; `_identities` reads the new names beside the old."""
    content = _dict_of(inner)
    known = {key: _text(content.get(key)) for key in ("type", "wa_id", "user_id")}
    return (
        InboundKind.SYSTEM,
        _text(content.get("body")),
        None,
        None,
        {key: value for key, value in known.items() if value},
    )


def _read_unsupported(inner: Any) -> Content:
    return InboundKind.UNSUPPORTED, "", None, None, {"type": _text(_dict_of(inner).get("type"))[:64]}


def _read_welcome(_: Any) -> Content:
    return InboundKind.WELCOME, "", None, None, {}


READERS: dict[str, Callable[[Any], Content]] = {
    "text": _read_text,
    "image": _media_reader(InboundKind.IMAGE),
    "video": _media_reader(InboundKind.VIDEO),
    "audio": _media_reader(InboundKind.AUDIO),
    "document": _media_reader(InboundKind.DOCUMENT),
    "sticker": _media_reader(InboundKind.STICKER),
    "location": _read_location,
    "contacts": _read_contacts,
    "interactive": _read_interactive,
    "button": _read_button,
    "reaction": _read_reaction,
    "order": _read_order,
    "system": _read_system,
    "unsupported": _read_unsupported,
    "edit": _read_edit,
    "revoke": _read_revoke,
    "request_welcome": _read_welcome,
}


# A user id, which Meta gives to one person; a parent id, `CC.ENT.…`, has a second part.
USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")


def _identities(item: dict[str, Any], value: dict[str, Any], *, key: str) -> list[str]:
    """Return all names of the person, the stable business-scoped one first; a phone number may be missing since 2026.

    After a change the new names come first, and the old ones attest that they are the same person's.
    """
    changed = _dict(item, "system")
    names = (
        changed.get("user_id"),
        item.get(f"{key}_user_id"),
        changed.get("wa_id") or changed.get("new_wa_id"),
        item.get(key),
        item.get(f"{key}_parent_user_id"),
        changed.get("previous_user_id"),
    )
    named = [_text(name) for name in names if name]
    contacts = [contact for contact in _list(value, "contacts") if isinstance(contact, dict)]
    for contact in contacts:
        card = [_text(contact.get(name)) for name in ("user_id", "wa_id", "parent_user_id")]
        if set(card) & set(named) or (not named and len(contacts) == 1):
            named += card
    return list(dict.fromkeys(name for name in named if name))


def _profile_name(value: dict[str, Any], identities: Sequence[str]) -> str | None:
    """Find the name among the contacts by id: they are not in the order of the messages."""
    for contact in _list(value, "contacts"):
        if not isinstance(contact, dict):
            continue
        if {_text(contact.get("wa_id")), _text(contact.get("user_id"))} & set(identities):
            return _text(_dict(contact, "profile").get("name"))[:100] or None
    return None


def _error_code(item: dict[str, Any]) -> str | None:
    codes = [_text(error.get("code")) for error in _list(item, "errors") if isinstance(error, dict)]
    return next((code[:32] for code in codes if code), None)


def _moment(value: Any) -> datetime | None:
    """Read Unix seconds, documented as a string of digits; None for a moment that no calendar has."""
    try:
        return datetime.fromtimestamp(int(value), tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _required(item: dict[str, Any], key: str) -> str:
    value = _text(item.get(key))
    if not value or len(value) > 512:
        raise MalformedMessageError(f"{key} is missing or too long")
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _dict(item: dict[str, Any], key: str) -> dict[str, Any]:
    return _dict_of(item.get(key))


def _dict_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    return value if isinstance(value, list) else []


def _raw(value: Any) -> str:
    return orjson.dumps(value).decode()
