"""Reading of platforms' posts: values of untrusted JSON, and pieces that must not cost their neighbours."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from adapters.http.inbound import parse_json
from contracts.channels import Received, Unreadable
from contracts.errors import MalformedMessageError
from contracts.media import InboundMedia
from contracts.messages import (
    Address,
    ChannelName,
    InboundKind,
    InboundMessage,
    StatusUpdate,
    address_digests,
    digest,
    part_id,
)
from contracts.values import ConversationId, MessageId, shortened

MAX_TEXT = 20_000
# More than any platform lets a person attach to one message.
MOST_FILES = 30


@dataclass(frozen=True, slots=True)
class Content:
    """Readable content of one message; `others` are its further files, each as a message of its own."""

    kind: InboundKind
    text: str = ""
    choice_id: str | None = None
    media: InboundMedia | None = None
    data: dict[str, str] = field(default_factory=dict)
    others: tuple["Content", ...] = ()

    @classmethod
    def of_files(cls, text: str, files: Sequence["Content"]) -> "Content":
        """Return the content of a message with files; its text goes with the first."""
        return replace(files[0], text=text or files[0].text, others=tuple(files[1:MOST_FILES]))

    def noted(self, **data: str) -> "Content":
        return replace(self, data=self.data | data, others=tuple(one.noted(**data) for one in self.others))


class Reader:
    """Reader of one post. `prefix` begins the ids of the channel, `id_salt` keeps numbers out of them."""

    def __init__(self, channel: ChannelName, prefix: str, id_salt: str, at: datetime) -> None:
        self._channel, self._prefix, self._id_salt = channel, prefix, id_salt
        self.at = at
        self.messages: list[InboundMessage] = []
        self.statuses: list[StatusUpdate] = []
        self.unreadable: list[Unreadable] = []
        self.ignored: list[str] = []
        self.returned: list[ConversationId] = []

    def received(self, answer: str = "ok") -> Received:
        """Return what was read; messages in the order they were written in: platforms list them in any order."""
        messages = sorted(self.messages, key=lambda message: message.written_at)
        return Received(
            tuple(messages),
            tuple(self.statuses),
            tuple(self.unreadable),
            tuple(self.ignored),
            answer,
            tuple(self.returned),
        )

    def envelope(
        self, body: bytes, expected: Callable[[dict[str, Any]], bool], otherwise: str
    ) -> dict[str, Any] | None:
        """Return the JSON object of a body; None for anything unexpected, which is kept whole."""
        try:
            envelope = parse_json(body)
        except MalformedMessageError as exc:
            reason = str(exc)
        else:
            if isinstance(envelope, dict) and expected(envelope):
                return envelope
            reason = otherwise
        raw = body.decode("utf-8", "replace")
        self.unreadable.append(Unreadable(reason, raw, address_digests(self._id_salt, raw)))
        return None

    def each(
        self, item: dict[str, Any], key: str, read: Callable[[dict[str, Any]], None], *, beside: Any = None
    ) -> None:
        """Read each element of the list under the key; an unreadable one does not cost its neighbours."""
        for element in self.elements(item, key):
            self.one(key, element, read, beside=beside)

    def one(self, name: str, element: Any, read: Callable[[dict[str, Any]], None], *, beside: Any = None) -> None:
        try:
            if not isinstance(element, dict):
                raise MalformedMessageError("not an object")
            read(element)
        except (MalformedMessageError, ValueError, TypeError, KeyError, OverflowError) as exc:
            self.keep(f"{name}: {type(exc).__name__}", element, beside=beside)

    def elements(self, item: dict[str, Any], key: str, *, required: bool = False) -> list[Any]:
        """Return the list under the key. Anything else in its place is kept whole: it may hold several messages."""
        found = item.get(key)
        if isinstance(found, list):
            return found
        if found is not None or required:
            self.keep(f"{key} is not a list", item)
        return []

    def keep(self, reason: str, piece: Any, *, beside: Any = None) -> None:
        """Keep an unreadable piece; what names no address is found by those of the piece `beside` it."""
        raw = orjson.dumps(piece).decode()
        kept = Unreadable(reason, raw, address_digests(self._id_salt, raw))
        if not isinstance(piece, dict) or not any(text_of(piece.get(key)) for key in ("from", "from_user_id")):
            around = address_digests(self._id_salt, orjson.dumps(beside).decode())
            kept = replace(kept, addresses=tuple(sorted({*kept.addresses, *around})))
        self.unreadable.append(kept)

    def add(
        self,
        content: Content,
        *,
        account: str,
        person: str,
        platform_id: str,
        aliases: Sequence[str] = (),
        user: str | None = None,
        is_one_person: bool = False,
        person_name: str = "",
        reply_to: str = "",
        revises: str = "",
        recorded_only: bool = False,
        sent_at: datetime | None = None,
    ) -> None:
        """Add a message, and one for each further file, in order, as platforms send an album.

        `revises` is the platform's id of an earlier message that it edits or revokes.
        `user` is the name that is the person's alone. With `is_one_person` the message attests all names to be one's.
        """
        names = tuple(dict.fromkeys((person, *aliases)))
        threads = tuple(self.thread(account, name) for name in names) if is_one_person and len(names) > 1 else ()
        message = InboundMessage(
            id=self._message_id(account, platform_id),
            conversation_id=self.thread(account, person),
            address=Address(channel=self._channel, account=account, person=person, aliases=names[1:], user=user),
            platform_id=platform_id,
            kind=content.kind,
            text=shortened(content.text, MAX_TEXT),
            choice_id=content.choice_id,
            media=content.media,
            data=content.data,
            person_name=person_name[:100] or None,
            reply_to=reply_to or None,
            revises=self._message_id(account, revises) if revises else None,
            recorded_only=recorded_only,
            sent_at=sent_at,
            received_at=self.at,
            threads=threads,
        )
        self.messages.append(message)
        for number, file in enumerate(content.others, start=2):
            part = {"id": part_id(message.id, number), "platform_id": f"{platform_id}+{number}", "reply_to": None}
            what = {"kind": file.kind, "text": file.text, "media": file.media, "data": file.data}
            self.messages.append(message.model_copy(update=part | what))

    def thread(self, account: str, name: str) -> ConversationId:
        """Return the conversation that a name of a person, or of a group, denotes."""
        return ConversationId(f"{self._prefix}:" + digest(self._id_salt, account, name, size=12))

    def _message_id(self, account: str, platform_id: str) -> MessageId:
        return MessageId(f"{self._prefix}-" + digest(self._id_salt, account, platform_id, size=12))


def is_equal(given: str, expected: str) -> bool:
    """Compare in constant time; an empty expectation never matches."""
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def moment_of(value: Any) -> datetime | None:
    """Read Unix seconds, as a number or a string; None for a moment that no calendar has."""
    try:
        return datetime.fromtimestamp(int(value), tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def required(item: dict[str, Any], key: str) -> str:
    """Return the text of an id. Raises MalformedMessageError: it is missing or too long for one."""
    value = text_of(item.get(key))
    if not value or len(value) > 512:
        raise MalformedMessageError(f"{key} is missing or too long")
    return value


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def dict_in(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return the object at the end of the path, empty where there is none."""
    for key in keys:
        item = dict_of(item.get(key))
    return item


def dict_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def dicts_in(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Return the objects in the list under the key."""
    return [one for one in list_in(item, key) if isinstance(one, dict)]


def list_in(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    return value if isinstance(value, list) else []
