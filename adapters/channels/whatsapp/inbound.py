"""WhatsApp inbound: handshake, signature, and the parser of Meta's events.

Field names and kinds: Meta's webhook reference "messages", read in its 2026 versions. A new kind of message must not
make Meta repeat a batch for days, so an unknown kind becomes `unsupported`, and an unreadable piece a dead letter.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.channels.meta import MetaInbound
from adapters.channels.reading import Content, Reader, dict_in, dicts_in, moment_of, required, text_of
from adapters.channels.whatsapp import is_in_any_form
from adapters.http.inbound import parse_json
from contracts.channels import Post, Received
from contracts.errors import MalformedMessageError
from contracts.media import InboundMedia
from contracts.messages import ADVERTISEMENT, OTHER_ACCOUNT, ChannelName, DeliveryState, InboundKind, StatusUpdate
from contracts.values import shortened

MAX_ADVERTISEMENT = 1_000

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


class WhatsAppInbound(MetaInbound):
    """Satisfies the `ChannelInbound` port.

    What comes to another number than one of `numbers` is recorded only; without any, every number is ours.
    """

    def __init__(
        self, *, app_secrets: Sequence[str], verify_token: str, id_salt: str, numbers: Sequence[str] = ()
    ) -> None:
        super().__init__(app_secrets=app_secrets, verify_token=verify_token, id_salt=id_salt)
        self._numbers = frozenset(numbers)

    def parse(self, post: Post, *, at: datetime) -> Received:
        return parse(post.body, id_salt=self._id_salt, at=at, numbers=self._numbers)


def parse(body: bytes, *, id_salt: str, at: datetime, numbers: frozenset[str] = frozenset()) -> Received:
    """Parse a verified body. Never raises."""
    parser = _Parser(id_salt, at, numbers)
    envelope = parser.envelope(
        body, lambda one: one.get("object") == "whatsapp_business_account", "not a WhatsApp envelope"
    )
    if envelope is not None:
        parser.read_envelope(envelope)
    return parser.received()


class _Parser(Reader):
    def __init__(self, id_salt: str, at: datetime, numbers: frozenset[str]) -> None:
        super().__init__(ChannelName.WHATSAPP, "wa", id_salt, at)
        self._numbers = numbers

    def read_envelope(self, envelope: dict[str, Any]) -> None:
        for entry in self.elements(envelope, "entry", required=True):
            if not isinstance(entry, dict):
                self.keep("an entry that is not an object", entry)
                continue
            for change in self.elements(entry, "changes", required=True):
                self.read_change(change)

    def read_change(self, change: Any) -> None:
        if not isinstance(change, dict) or not isinstance(change.get("value"), dict):
            self.keep("a change without a value", change)
            return
        name, value = str(change.get("field")), change["value"]
        beside = value.get("contacts")
        if name == "user_id_update":
            self.each(value, name, lambda item: self._read_message(_as_system_message(item), value, echo=False))
            return
        if name == "smb_message_echoes":
            self.each(value, "message_echoes", lambda item: self._read_message(item, value, echo=True), beside=beside)
            return
        if name != "messages":
            self.ignored.append(name if name in OTHER_FIELDS else "other")
            return
        self.each(value, "messages", lambda item: self._read_message(item, value, echo=False), beside=beside)
        self.each(value, "statuses", lambda item: self._read_status(item, value), beside=beside)
        # Errors outside the messages are about the account; what concerns a message comes in its statuses.
        self.ignored.extend("errors" for _ in self.elements(value, "errors"))

    def _read_message(self, item: dict[str, Any], value: dict[str, Any], *, echo: bool) -> None:
        platform_id = required(item, "id")
        account = required(dict_in(value, "metadata"), "phone_number_id")
        identities = _identities(item, value, key="to" if echo else "from")
        if not identities:
            raise MalformedMessageError("no sender")
        content = _content(item)
        is_ours = not self._numbers or account in self._numbers
        referral = dict_in(item, "referral")
        words = "\n".join(part for key in ("headline", "body") if (part := text_of(referral.get(key)).strip()))
        data = {ADVERTISEMENT: shortened(words, MAX_ADVERTISEMENT)} if words else {}
        data |= {"echo": "smb_message_echoes"} if echo else {}
        data |= {} if is_ours else {OTHER_ACCOUNT: account}
        group = text_of(item.get("group_id"))
        # The contacts are not in the order of the messages: the name is found by its ids.
        cards = dicts_in(value, "contacts")
        mine = (card for card in cards if {text_of(card.get("wa_id")), text_of(card.get("user_id"))} & {*identities})
        profile = dict_in(next(mine, {}), "profile")
        self.add(
            content.noted(**data),
            account=account,
            person=group or identities[0],
            platform_id=platform_id,
            aliases=identities,
            user=None if group else next(filter(USER_ID.fullmatch, identities), None),
            is_one_person=not group,
            person_name=text_of(profile.get("name")),
            reply_to=text_of(dict_in(item, "context").get("id")),
            revises=content.data["to"] if content.kind in REVISIONS else "",
            recorded_only=echo or bool(group) or not is_ours,
            sent_at=moment_of(item.get("timestamp")),
        )

    def _read_status(self, item: dict[str, Any], value: dict[str, Any]) -> None:
        state = STATUS_STATES.get(text_of(item.get("status")))
        if state is None:
            self.ignored.append("status")
            return
        codes = [text_of(error.get("code")) for error in dicts_in(item, "errors")]
        code = next((code[:32] for code in codes if code), None)
        self.statuses.append(
            StatusUpdate(
                channel=ChannelName.WHATSAPP,
                account=required(dict_in(value, "metadata"), "phone_number_id"),
                platform_message_id=required(item, "id"),
                state=state,
                client_reference=text_of(item.get("biz_opaque_callback_data")) or None,
                error_code=code,
                in_any_form=code is not None and code.isascii() and code.isdigit() and is_in_any_form(int(code)),
                at=moment_of(item.get("timestamp")) or self.at,
            )
        )


def _as_system_message(item: dict[str, Any]) -> dict[str, Any]:
    """Return an entry of `user_id_update` in the form of the system message that brings the same news."""
    ids = dict_in(item, "user_id")
    now, before, number = text_of(ids.get("current")), text_of(ids.get("previous")), text_of(item.get("wa_id"))
    if not now or not before:
        raise MalformedMessageError("no ids")
    news = {"type": "user_changed_user_id", "user_id": now, "previous_user_id": before}
    made = f"user_id_update:{before}:{now}"
    return {"id": made, "from": number, "timestamp": item.get("timestamp"), "type": "system", "system": news}


REVISIONS = frozenset({InboundKind.EDIT, InboundKind.REVOKE})

STATUS_STATES = {
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.READ,
    "played": DeliveryState.READ,
    "failed": DeliveryState.FAILED,
}

MEDIA_KINDS = {
    "image": InboundKind.IMAGE,
    "video": InboundKind.VIDEO,
    "audio": InboundKind.AUDIO,
    "document": InboundKind.DOCUMENT,
    "sticker": InboundKind.STICKER,
}


def _content(item: dict[str, Any]) -> Content:
    """Read the content by its type; an unknown type is `unsupported`, not an error."""
    kind = text_of(item.get("type"))
    inner = dict_in(item, kind)
    match kind:
        case "text":
            return Content(InboundKind.TEXT, text_of(inner.get("body")))
        case _ if kind in MEDIA_KINDS:
            media = InboundMedia(
                reference=text_of(inner.get("id")),
                mime_type=text_of(inner.get("mime_type")),
                filename=text_of(inner.get("filename")),
                sha256=text_of(inner.get("sha256")),
            )
            return Content(MEDIA_KINDS[kind], text_of(inner.get("caption")), media=media)
        case "interactive":
            return _interactive_content(inner)
        case "button":
            return Content(InboundKind.CHOICE, text_of(inner.get("text")), text_of(inner.get("payload")) or None)
        case "location":
            place = " - ".join(part for part in (text_of(inner.get("name")), text_of(inner.get("address"))) if part)
            coordinates = f"{text_of(inner.get('latitude'))}, {text_of(inner.get('longitude'))}"
            return Content(InboundKind.LOCATION, place or coordinates, data={"coordinates": coordinates})
        case "contacts":
            cards = dicts_in(item, kind)
            names = [text_of(dict_in(card, "name").get("formatted_name")) for card in cards]
            return Content(InboundKind.CONTACTS, ", ".join(name for name in names if name))
        case "order":
            items = dicts_in(inner, "product_items")
            lines = [f"{text_of(one.get('quantity'))} x {text_of(one.get('product_retailer_id'))}" for one in items]
            return Content(InboundKind.ORDER, "\n".join([text_of(inner.get("text")), *lines]).strip())
        case "reaction":
            to = text_of(inner.get("message_id"))
            return Content(InboundKind.REACTION, text_of(inner.get("emoji")), data={"to": to})
        case "edit":
            # The new text, or the new caption of a file.
            message = dict_in(inner, "message")
            edited = text_of(message.get("type")) or "text"
            text = text_of(dict_in(message, edited).get("body" if edited == "text" else "caption"))
            return Content(InboundKind.EDIT, text, data={"to": text_of(inner.get("original_message_id"))})
        case "revoke":
            return Content(InboundKind.REVOKE, data={"to": text_of(inner.get("original_message_id"))})
        case "system":
            # A change of number or identity; `_identities` reads the new names and the old.
            known = {key: text_of(inner.get(key)) for key in ("type", "wa_id", "user_id")}
            return Content(InboundKind.SYSTEM, text_of(inner.get("body")), data={k: v for k, v in known.items() if v})
        case "request_welcome":
            return Content(InboundKind.WELCOME)
        case "unsupported":
            return Content(InboundKind.UNSUPPORTED, data={"type": text_of(inner.get("type"))[:64]})
    return Content(InboundKind.UNSUPPORTED, data={"type": kind[:64]})


def _interactive_content(inner: dict[str, Any]) -> Content:
    kind = text_of(inner.get("type"))
    chosen = dict_in(inner, kind)
    if kind in ("button_reply", "list_reply"):
        return Content(InboundKind.CHOICE, text_of(chosen.get("title")), text_of(chosen.get("id")))
    if kind != "nfm_reply":
        return Content(InboundKind.UNSUPPORTED, data={"type": f"interactive {kind[:64]}"})
    # The answers of a form as lines; Meta puts them as JSON into a string, which may not parse.
    try:
        answers = parse_json(text_of(chosen.get("response_json")).encode("utf-8", "replace"))
    except MalformedMessageError:
        answers = None
    text = text_of(chosen.get("body"))
    if isinstance(answers, dict):
        text = "\n".join(f"{name}: {text_of(value)}" for name, value in answers.items() if name != "flow_token")
    return Content(InboundKind.FORM, text, data={"form": text_of(chosen.get("name"))})


# A user id, which Meta gives to one person; a parent id, `CC.ENT.…`, has a second part.
USER_ID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")


def _identities(item: dict[str, Any], value: dict[str, Any], *, key: str) -> list[str]:
    """Return all names of the person, the stable business-scoped one first; a phone number may be missing since 2026.

    After a change the new names come first, and the old ones attest that they are the same person's.
    """
    changed = dict_in(item, "system")
    names = (
        changed.get("user_id"),
        item.get(f"{key}_user_id"),
        changed.get("wa_id") or changed.get("new_wa_id"),
        item.get(key),
        item.get(f"{key}_parent_user_id"),
        changed.get("previous_user_id"),
    )
    named = [text_of(name) for name in names if name]
    contacts = dicts_in(value, "contacts")
    for contact in contacts:
        card = [text_of(contact.get(name)) for name in ("user_id", "wa_id", "parent_user_id")]
        if set(card) & set(named) or (not named and len(contacts) == 1):
            named += card
    return list(dict.fromkeys(name for name in named if name))
