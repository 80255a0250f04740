"""Search of conversations: the query, a page of its result, and the words by which a conversation is found."""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Self

from contracts.conversation import Conversation, Owner, State, Utterance
from contracts.errors import BadCursorError
from contracts.messages import ChannelName
from contracts.values import ConversationId, Instant, Value

WORD = re.compile(r"\w+")
ACCENTS = re.compile(r"[\u0300-\u036f]+")
NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")
# Without country, without area, without the mobile digit, and as people read the end of a number aloud.
NUMBER_TAILS = (11, 10, 9, 8, 4)
SHORTEST_PREFIX = 3
WORD_CHARACTERS = 40
# Bounds of what one line and one commit add, since a document of Firestore has at most 40,000 index entries.
WORDS_OF_A_LINE = 100
WORDS_OF_A_COMMIT = 500


class Order(StrEnum):
    """Order of a list: by last activity, newest first; or, of those that wait for an agent, longest waiting first."""

    UPDATED = "updated"
    WAITING = "waiting"

    def instant(self, head: Conversation) -> datetime | None:
        """Return the conversation's instant in this order; None when it is not in the list."""
        if self is Order.UPDATED:
            return head.updated_at if head.turns else None
        return waiting_since(head)


class ConversationQuery(Value):
    """Conditions that all hold. `text` are words of a name, number, id, field or line, in any order.

    A name is also found by its beginning, from three letters on, and a number by its last 4 or 8 to 11 digits.
    `since` and `until` (exclusive) limit the instant of `order`. `agent` is the name of the agent that owns it.
    """

    text: str = ""
    states: frozenset[State] = frozenset()
    owner: Owner | None = None
    agent: str | None = None
    channel: ChannelName | None = None
    since: Instant | None = None
    until: Instant | None = None
    order: Order = Order.UPDATED

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The distinct words of `text`, the longest first, as it is probably the rarest."""
        if NUMBER.fullmatch(self.text.strip()):
            return ("".join(filter(str.isdecimal, self.text))[:WORD_CHARACTERS],)
        # Signs alone are in no conversation's index: they find none.
        words = words_of(self.text) or self.text.split()
        return tuple(sorted(set(words), key=lambda word: (-len(word), word)))

    @cached_property
    def conditions(self) -> dict[str, tuple[str, ...]]:
        """The accepted values of each facet that is limited."""
        given = {
            "state": tuple(sorted(self.states)),
            "owner": (self.owner,) if self.owner else (),
            "agent": (self.agent,) if self.agent else (),
            "channel": (self.channel,) if self.channel else (),
        }
        return {name: tuple(map(str, values)) for name, values in given.items() if values}


EVERYTHING = ConversationQuery()


class ConversationPage(Value):
    """Heads in the order of the query; with `next_cursor` there are more, even if this page has fewer than asked."""

    items: tuple[Conversation, ...]
    next_cursor: str | None = None

    @classmethod
    def of(cls, heads: Sequence[Conversation], limit: int, order: Order) -> Self:
        """Return the page of sorted heads, of which one more than `limit` shows that there are more."""
        items = tuple(heads[:limit])
        return cls(items=items, next_cursor=Place.of(items[-1], order).cursor if len(heads) > limit else None)


class Place(Value):
    """Position after a conversation in an order."""

    at: Instant
    id: ConversationId

    @classmethod
    def of(cls, head: Conversation, order: Order) -> Self:
        at = order.instant(head)
        assert at is not None  # noqa: S101 - it is in the list
        return cls(at=at, id=head.id)

    @classmethod
    def read(cls, cursor: str | None) -> Self | None:
        """Return the place of a cursor. Raises BadCursorError: no page has given it."""
        if cursor is None:
            return None
        try:
            at, _, conversation_id = base64.urlsafe_b64decode(cursor).decode().partition(" ")
            return cls(at=datetime.fromisoformat(at), id=ConversationId(conversation_id))
        except (binascii.Error, ValueError) as exc:
            raise BadCursorError("give a cursor as the last page returned it") from exc

    @property
    def cursor(self) -> str:
        return base64.urlsafe_b64encode(f"{self.at.isoformat()} {self.id}".encode()).decode()


WAITING = ConversationQuery(owner=Owner.NOBODY, order=Order.WAITING)
MOST_COUNTED = 1_000


def waiting_since(head: Conversation) -> datetime | None:
    """Return since when the conversation waits for an agent; None when it does not."""
    if head.owner is not Owner.NOBODY or not head.turns:
        return None
    return head.handoff.at if head.handoff else head.updated_at


def facets_of(head: Conversation) -> dict[str, str]:
    facets = {"state": head.state, "owner": head.owner, "agent": head.agent or ""}
    return facets | {"channel": head.address.channel if head.address else head.id.partition(":")[0]}


def words_of(text: str) -> list[str]:
    """Return the words without case and accents; a telephone number also as its digits and their last ones."""
    plain = ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    words = [word[:WORD_CHARACTERS] for word in WORD.findall(plain)]
    for number in NUMBER.findall(plain):
        digits = "".join(filter(str.isdecimal, number))[:WORD_CHARACTERS]
        words += [digits, *(digits[-size:] for size in NUMBER_TAILS)]
    return words


def index_words(head: Conversation, said: Iterable[Utterance] = ()) -> set[str]:
    """Return the words by which it is found, with those of `said`; without any, of the window of the prompt."""
    found: set[str] = set()
    for line in reversed(tuple(said) or head.window):
        if len(found) < WORDS_OF_A_COMMIT:
            found.update(words_of(line.text)[:WORDS_OF_A_LINE])
    people = (head.address.person, *head.address.aliases) if head.address else ()
    for text in (head.id, *people, *head.fields.values()):
        found.update(words_of(text)[:WORDS_OF_A_LINE])
    for name in words_of(head.known_name or "")[:WORDS_OF_A_LINE]:
        found.update(name[:size] for size in range(min(SHORTEST_PREFIX, len(name)), len(name) + 1))
    return found if head.turns else set()
