"""What was lost, doubled or reordered, counted from outside: from the ports of the store and from the sandbox."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

from adapters.clock import SystemClock
from cli.load import Reply
from cli.traffic import Sent
from contracts.delivery import OutboxRow, Receipt
from contracts.errors import TransientError
from contracts.ports import Store
from contracts.values import ConversationId
from fsm.table import MOVES
from tests.load.installation import Installation
from tests.load.platforms import reference_of
from worker.backends import Backend, open_backend

LEGAL = {(move.source, move.trigger, move.dest) for move in MOVES}
FAR = timedelta(days=1)
# A store that has just been through a fault, or is an emulator on a busy machine, is given the time it needs.
AT_ONCE = 4
READS = 60
PAUSE_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True)
class Counts:
    """`lost` messages were taken with a 200 and have no turn; `doubled` ones have two.

    `out_of_order` conversations answered their messages, or sent their replies, in another order than they came.
    `doubled_replies` are sends of one outbox row that the platform accepted again, `sent_again` those that Prosa made
    again as it did not know the outcome, `unsent` rows that the platform never got, `silent_turns` turns without a
    reply. A message that was being worked on at more than five kills is a dead letter, as nobody can tell it from one
    that kills its worker: a person is called, so it is not lost.
    """

    messages: int
    lost: int
    doubled: int
    out_of_order: int
    illegal_moves: int
    doubled_replies: int
    sent_again: int
    unsent: int
    silent_turns: int
    dead_letters: int

    @property
    def is_clean(self) -> bool:
        """Nothing that may never happen happened; dead letters and repeated sends have reasons of their own."""
        return not (self.lost or self.doubled or self.out_of_order or self.illegal_moves or self.unsent)

    def view(self) -> dict[str, Any]:
        return asdict(self)


async def settled(installation: Installation, *, seconds: float = 120.0) -> float:
    """Wait until nothing waits in the inbox or the outbox, at most so long; the counts say what did not make it."""
    started = time.monotonic()
    async with open_backend(installation.settings) as backend:
        while time.monotonic() - started < seconds:
            if await _is_settled(backend):
                break
            await asyncio.sleep(0.2)
    return time.monotonic() - started


async def _is_settled(backend: Backend) -> bool:
    try:
        waiting = await backend.inbox.depth() or await backend.store.outbox.sendable(
            at=SystemClock().now() + FAR, limit=1
        )
    except TransientError:
        # Too busy to say, or just away.
        return False
    return not waiting


async def count(installation: Installation, sent: Sequence[Sent], replies: Iterable[Reply]) -> Counts:
    """Count everything; `sent` are all messages that were ever given to the webhook of this installation."""
    accepted = list(replies)
    sends = {reply.reference for reply in accepted}
    first = {reply.reference: place for place, reply in reversed(list(enumerate(accepted)))}
    async with open_backend(installation.settings) as backend:
        store = backend.store
        page = await _patiently(lambda: store.conversations.find(limit=len(sent) * 2 + 1))
        limit = asyncio.Semaphore(AT_ONCE)

        async def read(conversation_id: ConversationId) -> _Conversation:
            async with limit:
                return await _patiently(lambda: _Conversation.read(conversation_id, store))

        conversations = await asyncio.gather(*(read(head.id) for head in page.items))
        dead_letters = len(await _patiently(lambda: store.dead_letters.letters(limit=len(sent) + 1)))
    answered = Counter(message_id for one in conversations for message_id in one.answered)
    expected = {_name(one) for one in sent if one.taken_at is not None}
    return Counts(
        messages=len(expected),
        lost=len(expected - set(answered)),
        doubled=sum(times - 1 for times in answered.values()),
        out_of_order=sum(one.is_out_of_order(first) for one in conversations),
        illegal_moves=sum(one.illegal_moves for one in conversations),
        doubled_replies=len(accepted) - sum(reference_of(row) in sends for one in conversations for row in one.rows),
        sent_again=sum(max(row.attempts - 1, 0) for one in conversations for row in one.rows),
        unsent=sum(reference_of(row) not in sends for one in conversations for row in one.rows),
        silent_turns=sum(one.silent_turns for one in conversations),
        dead_letters=dead_letters,
    )


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    for _ in range(READS):
        with suppress(TransientError):
            return await read()
        await asyncio.sleep(PAUSE_SECONDS)
    return await read()


def _name(one: Sent) -> str:
    return f"{one.person}:{one.planned.number}"


@dataclass(frozen=True)
class _Conversation:
    """What the store knows of one: whose messages were answered, in which order, and what was said."""

    answered: tuple[str, ...]
    numbers: tuple[int, ...]
    rows: tuple[OutboxRow, ...]
    illegal_moves: int
    silent_turns: int

    @classmethod
    async def read(cls, conversation_id: ConversationId, store: Store) -> "_Conversation":
        # Receipts last: where work still goes on, they cover at least the turns that were read.
        turns = await store.conversations.turns(conversation_id)
        receipts = {receipt.message.id: receipt for receipt in await store.conversations.receipts(conversation_id)}
        moves = await store.conversations.transitions(conversation_id)
        answered = [receipts[message_id] for turn in turns for message_id in turn.message_ids]
        illegal = sum((move.source, move.trigger, move.dest) not in LEGAL for move in moves)
        # A conversation that ended goes on as its successor, which begins anew.
        broken = sum(one.dest is not following.source for one, following in pairwise(moves))
        return cls(
            answered=tuple(f"{receipt.message.address.person}:{_number(receipt)}" for receipt in answered),
            numbers=tuple(_number(receipt) for receipt in answered),
            rows=tuple(await store.outbox.rows(conversation_id)),
            illegal_moves=illegal + broken,
            silent_turns=sum(not turn.replies for turn in turns),
        )

    def is_out_of_order(self, first: dict[str, int]) -> bool:
        """`first` tells at which place the platform first accepted a row."""
        places = [
            first[reference_of(row)]
            for row in sorted(self.rows, key=lambda row: row.number)
            if reference_of(row) in first
        ]
        return list(self.numbers) != sorted(self.numbers) or places != sorted(places)


def _number(receipt: Receipt) -> int:
    """Which message of its person it was, as its text says."""
    return int(receipt.message.text.split()[1].rstrip(":"))
