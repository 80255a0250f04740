"""Inbound messages, outbound messages and delivery statuses."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field

from contracts.media import InboundMedia, ReadContent
from contracts.values import ConversationId, Instant, Kept, MessageId, Text

# Among the `data` of a message to an account of the platform that is not ours: the account's id.
OTHER_ACCOUNT = "other_account"
CHANNEL_NAME = re.compile(r"[a-z][a-z_]{0,31}")


class ChannelName(StrEnum):
    """Name of a channel; any other name of lower-case letters is one too, so that a new platform needs no change here.

    The names of a process are those of the registry of channels. A stored conversation outlives its platform's adapter.
    """

    WEB = "web"
    WHATSAPP = "whatsapp"
    TELEGRAM = "telegram"
    SLACK = "slack"
    MESSENGER = "messenger"

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not CHANNEL_NAME.fullmatch(value):
            return None
        name = str.__new__(cls, value)
        name._name_, name._value_ = value.upper(), value
        return name


class InboundKind(StrEnum):
    """Kind of an inbound message; those in `RECORDED_ONLY_KINDS` are never answered."""

    TEXT = "text"
    CHOICE = "choice"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACTS = "contacts"
    ORDER = "order"
    FORM = "form"
    REACTION = "reaction"
    EDIT = "edit"
    REVOKE = "revoke"
    WELCOME = "welcome"
    SYSTEM = "system"
    UNSUPPORTED = "unsupported"


RECORDED_ONLY_KINDS = frozenset(
    {InboundKind.REACTION, InboundKind.EDIT, InboundKind.REVOKE, InboundKind.SYSTEM, InboundKind.WELCOME}
)


class Address(Kept):
    """Destination of a reply: the account and the person, as the platform names them.

    `aliases` are the person's other names. `user` is the one that is the person's alone: a phone number may be given to
    the next person.
    """

    channel: ChannelName
    account: str
    person: str
    aliases: tuple[str, ...] = ()
    user: str | None = Field(None, exclude_if=lambda user: user is None)


def part_id(message: MessageId, number: int) -> MessageId:
    """Return the id of a further file of a message, counted from 2: it is a message of its own, and goes with it."""
    return MessageId(f"{message}+{number}")


def whole_id(message: MessageId) -> MessageId:
    """Return the id of the message that a further file came with; of any other message its own."""
    return MessageId(message.partition("+")[0])


class Revision(Kept):
    """The new text of an earlier message that was edited, or None: it was deleted."""

    of: MessageId
    text: Text | None


def newest_texts(revisions: Iterable[Revision]) -> dict[MessageId, str | None]:
    """Return what each message says after all revisions, oldest first; what was deleted stays so."""
    texts: dict[MessageId, str | None] = {}
    for revision in revisions:
        if texts.get(revision.of, "") is not None:
            texts[revision.of] = revision.text
    return texts


class InboundMessage(Kept):
    """One message of one person.

    `id` is the product's id and is safe to log; `platform_id` is the platform's own and may contain a phone number, so
    it stays in the store. `text` is all readable content: body, caption, chosen title. `revises` is the earlier
    message that an edit gives another text, or that a revocation deletes. `traceparent` names the span of its reception
    (W3C Trace Context), if any. `threads` are the conversations of its person's names, if more than one: it
    attests that they are one person's. `content` is what the turn has read in its file; in the inbox it has none.
    """

    id: MessageId
    conversation_id: ConversationId
    address: Address
    platform_id: str
    kind: InboundKind = InboundKind.TEXT
    text: Text = ""
    choice_id: str | None = None
    media: InboundMedia | None = None
    content: ReadContent | None = Field(None, exclude_if=lambda content: content is None)
    data: dict[str, str] = Field(default_factory=dict)
    person_name: Text | None = None
    reply_to: str | None = None
    revises: MessageId | None = Field(None, exclude_if=lambda message: message is None)
    recorded_only: bool = False
    sent_at: Instant | None = None
    received_at: Instant
    traceparent: str | None = Field(None, exclude_if=lambda name: name is None)
    threads: tuple[ConversationId, ...] = Field((), exclude_if=lambda threads: not threads)

    @property
    def dedup_key(self) -> str:
        """The idempotency key (channel, account, platform id), hashed because platform ids may carry phone numbers."""
        return digest(self.address.channel, self.address.account, self.platform_id)

    @property
    def written_at(self) -> datetime:
        """Return the time of writing, by the platform's clock where it gives the time."""
        return self.sent_at or self.received_at

    @property
    def is_recorded_only(self) -> bool:
        """Whether it is kept and never answered: reactions, edits, the business's own messages, messages in groups."""
        return self.recorded_only or self.kind in RECORDED_ONLY_KINDS

    @property
    def is_echo(self) -> bool:
        """Whether an agent wrote it, outside Prosa: in the platform's own app, or in a help desk."""
        return "echo" in self.data and self.recorded_only and self.kind not in RECORDED_ONLY_KINDS

    @property
    def revision(self) -> Revision | None:
        """Return the change of an earlier message; an edit without a text that can be read changes nothing."""
        if self.revises is None or self.recorded_only:
            return None
        if self.kind is InboundKind.REVOKE:
            return Revision(of=self.revises, text=None)
        return Revision(of=self.revises, text=self.text) if self.text.strip() else None


# Key of `InboundMessage.data`: headline and text of the advertisement that the person tapped.
ADVERTISEMENT = "advertisement"


def digest(*parts: str, size: int = 16) -> str:
    """Return the hex SHA-256 of the parts, `size` bytes; ('ab', 'c') differs from ('a', 'bc')."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[: size * 2]


# Phone numbers and numeric ids, business-scoped ids of WhatsApp, ids of members in Slack.
_ADDRESS = re.compile(r"(?<![A-Za-z0-9])(?:\d{7,20}|[A-Z]{2}\.[A-Za-z0-9]{4,128}|[UW][A-Z0-9]{6,14})(?![A-Za-z0-9])")
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)")


def address_digests(salt: str, *texts: str) -> tuple[str, ...]:
    """Return a salted digest of each address in the texts: what holds it can be found by it, and does not show it."""
    found = {address for text in texts for address in _ADDRESS.findall(_JSON_ESCAPE.sub(" ", text))}
    return tuple(sorted(digest(salt, "address", address) for address in found))


class MessageType(StrEnum):
    TEXT = "TEXT"
    BUTTON = "BUTTON"
    LIST = "LIST"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    DOCUMENT = "DOCUMENT"
    LOCATION = "LOCATION"
    CONTACT = "CONTACT"
    TEMPLATE = "TEMPLATE"
    REACTION = "REACTION"


MEDIA_TYPES = frozenset({MessageType.IMAGE, MessageType.VIDEO, MessageType.AUDIO, MessageType.DOCUMENT})


class Option(Kept):
    """A choice offered to the person: a button, or a row of a list (only the row shows a description)."""

    id: str
    title: Text
    description: Text = ""


class Media(Kept):
    """An outbound file: exactly one of a public link and the platform's id of an upload."""

    link: str | None = None
    platform_media_id: str | None = None
    filename: Text = ""


class Location(Kept):
    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: Text = ""
    address: Text = ""


class ContactCard(Kept):
    name: Text
    phone: str
    organization: Text = ""


class Template(Kept):
    """A message template approved by the platform, the only kind allowed outside the reply window."""

    name: str
    language: str
    parameters: tuple[Text, ...] = ()
    category: str = Field("utility", exclude_if=lambda category: category == "utility")


class Reaction(Kept):
    """An emoji on a message of the person; an empty emoji removes it."""

    platform_message_id: str
    emoji: str


class OutboundMessage(Kept):
    """One message to one person. `text` is the body or a file's caption; `type` determines which other field counts.

    `spoken`: the text is sent as speech, where that can be had.
    """

    type: MessageType = MessageType.TEXT
    text: Text = ""
    buttons: tuple[Option, ...] = ()
    rows: tuple[Option, ...] = ()
    list_label: Text = ""
    media: Media | None = None
    location: Location | None = None
    contact: ContactCard | None = None
    template: Template | None = None
    reaction: Reaction | None = None
    spoken: bool = Field(False, exclude_if=lambda spoken: not spoken)

    @classmethod
    def of_text(cls, text: str) -> Self:
        return cls(type=MessageType.TEXT, text=text)

    @property
    def options(self) -> tuple[Option, ...]:
        return self.buttons or self.rows

    @property
    def in_words(self) -> str:
        """The same as text, where another form is refused: speech, options by number, a place and a contact by name.

        Empty where it is text already, or has no words to say.
        """
        match self.type:
            case MessageType.TEXT if self.spoken:
                return self.text
            case MessageType.TEXT | MessageType.TEMPLATE | MessageType.REACTION:
                return ""
            case MessageType.LOCATION if self.location is not None:
                place = self.location
                named = [place.name, place.address]
                words = [self.text, *(named if any(named) else [f"{place.latitude}, {place.longitude}"])]
            case MessageType.CONTACT if self.contact is not None:
                words = [self.text, self.contact.name, self.contact.organization, self.contact.phone]
            case _:
                options = numbered(self.options)
                words = [self.text, f"\n{options}" if options else ""]
        return "\n".join(line for line in words if line)

    def visible_texts(self) -> tuple[str, ...]:
        """All texts and links of the message that a person can read or open, for the guardrail gate."""
        texts = [self.text, self.list_label]
        for option in self.options:
            texts += [option.title, option.description]
        if self.media is not None:
            texts += [self.media.link or "", self.media.filename]
        if self.location is not None:
            texts += [self.location.name, self.location.address]
        if self.contact is not None:
            texts += [self.contact.name, self.contact.phone, self.contact.organization]
        if self.template is not None:
            texts += self.template.parameters
        return tuple(text for text in texts if text)


def numbered(options: Sequence[Option]) -> str:
    """Return the options as lines of a text, by number."""
    return "\n".join(
        f"{number}. {option.title}{f': {option.description}' if option.description else ''}"
        for number, option in enumerate(options, start=1)
    )


class DeliveryState(StrEnum):
    """State of an outbox row. It only moves forward: pending, sending, sent, delivered, read; failed; or withdrawn.

    From a failure there is one way back: a message refused in its form is pending again as plain text. A row is
    withdrawn when an agent took the conversation, or the person opted out, before it was sent.
    """

    PENDING = "pending"
    SENDING = "sending"
    WITHDRAWN = "withdrawn"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


class StatusUpdate(Kept):
    """A platform's report about an outbound message; `client_reference` is the outbox id, if the platform echoes it.

    A failure `in_any_form` is not about the form of the message: as plain text it would fail the same way.
    """

    channel: ChannelName
    account: str
    platform_message_id: str
    state: DeliveryState
    client_reference: str | None = None
    error_code: str | None = None
    in_any_form: bool = Field(False, exclude_if=lambda in_any_form: not in_any_form)
    at: Instant
