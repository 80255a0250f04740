"""Platforms' posts and their contents."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from contracts.errors import PermanentError
from contracts.messages import InboundMessage, StatusUpdate
from contracts.values import ConversationId


class OriginRefusedError(PermanentError):
    """A post or a handshake without proof of its origin; the text names the proof and is for the sender."""


@dataclass(frozen=True, slots=True)
class Post:
    """One POST of a platform, whole: the raw bytes that its signature covers. Names of headers are in lower case."""

    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    query_string: bytes = b""

    def header(self, name: bytes) -> str | None:
        """The first header of that name."""
        for each, value in self.headers:
            if each == name:
                return value.decode("latin-1")
        return None

    def query(self, name: str) -> str | None:
        """The first parameter of that name in the address."""
        return next(iter(parse_qs(self.query_string.decode("latin-1")).get(name, ())), None)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A piece of a post that is not what its platform documents, as it came; `reason` holds nothing of it.

    `addresses` are the digests of the addresses in it (`address_digests`): without them it outlives the erasure of the
    person who wrote it.
    """

    reason: str
    raw: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """The contents of one post.

    `ignored` names the events that are not for the product, from a closed set. `answer` is the body of the 200, for
    platforms that read it. `returned` are conversations that a help desk gave back to the assistant.
    """

    messages: tuple[InboundMessage, ...] = ()
    statuses: tuple[StatusUpdate, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    ignored: tuple[str, ...] = ()
    answer: str = "ok"
    returned: tuple[ConversationId, ...] = ()

    @property
    def has_more(self) -> bool:
        """Whether there is anything in it but messages."""
        return bool(self.statuses or self.unreadable or self.ignored or self.returned)
