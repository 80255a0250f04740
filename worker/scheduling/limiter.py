"""Limits on the conversations that one process begins: by its backends, its event loop, and messages that kill it.

`Pace` and `wait_for_place` limit the sends of an account, below the platform's own limits.

`Limiter` follows inbox and store. While they fail, nothing begins but one probe after each of a row of growing pauses:
an unavailable store is not asked, an overloaded one gets the time it needs. What does not begin stays in the inbox,
where the sweep finds it. Afterwards, and while only some calls fail, the limit grows by one for each quick answer and
halves when calls fail (congestion control, RFC 5681). Every conversation in work loads the store for as long as it
lasts, by its heartbeats: what counts is their number.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.backoff import Backoff
from contracts.delivery import OutboxRow, Record
from contracts.errors import InboxUnavailableError
from contracts.messages import Address, MessageType, digest
from contracts.ports import Channel, ChannelLimits, Inbox, Records
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import DRAINS_REFUSED, OUTAGES, ROOM_WITHHELD

log = logger(__name__)

PROBE_BACKOFF = Backoff(timedelta(milliseconds=250), timedelta(seconds=4))
# So few are no load, and a single failure in a quiet process says little.
LEAST_LIMIT = 4
# Many times what the first calls of a drain take; a store that takes so long for them has enough to do.
QUICK = timedelta(milliseconds=500)
# A quarter is slower and two no faster: `python -m tests.bench.overload`.
GROWTH = 1.0
REMEMBERED = 10_000


@dataclass(eq=False)
class Attempt:
    """One piece of work that asks inbox and store, and reports how they answer.

    `number` counts all attempts of the process; `began` is in monotonic seconds. `conversation_id` is None for a probe
    of the sweep.
    """

    number: int
    began: float
    conversation_id: ConversationId | None
    on_answer: Callable[["Attempt", bool], None]
    on_failure: Callable[["Attempt"], None]
    has_answer: bool = False
    has_failed: bool = False

    def answered(self) -> None:
        """Report an answer of inbox and store; only the first one measures their speed."""
        is_first, self.has_answer = not self.has_answer, True
        self.on_answer(self, is_first)

    def failed(self) -> None:
        """Report that one of them did not answer."""
        self.has_failed = True
        self.on_failure(self)


class Limiter:
    """Limit of the conversations in work: at most `at_once`, fewer while inbox or store fail, one probe in an outage.

    One conversation can fail for a reason of its own. So an outage is two that fail one after the other, with no answer
    to any attempt in between, and as many as are in work. Where the limit is reached, as many conversations wait as it
    allows; the others do not begin either.

    `monotonic` gives seconds, `chance` a number in [0, 1).
    """

    def __init__(
        self,
        at_once: int,
        *,
        monotonic: Callable[[], float],
        chance: Callable[[], float],
        backoff: Backoff = PROBE_BACKOFF,
    ) -> None:
        self.at_once = at_once
        self._monotonic = monotonic
        self._chance = chance
        self._backoff = backoff
        self._limit = float(at_once)
        self._running = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()
        self._begun = 0
        # Failures of attempts that had begun when the limit was cut are known already.
        self._cut_at = 0
        self._failures: dict[ConversationId, int] = {}
        self._failed_in_a_row: set[Hashable] = set()
        self._pauses = 1
        self._began_at = 0.0
        self._opens_at: float | None = None
        self._probe: Attempt | None = None
        self._refused = 0
        ROOM_WITHHELD.set(0)

    @property
    def limit(self) -> int:
        """Number of conversations that may be in work at once outside an outage."""
        return int(self._limit)

    @property
    def in_outage(self) -> bool:
        """Whether inbox or store do not answer, as far as this process knows."""
        return self._opens_at is not None

    @property
    def pause_left(self) -> timedelta:
        """The time until the next probe; zero outside an outage."""
        if self._opens_at is None:
            return timedelta(0)
        return timedelta(seconds=max(0.0, self._opens_at - self._monotonic()))

    def failures(self, conversation_id: ConversationId) -> int:
        """Return how often in a row work on the conversation has failed in this process."""
        return self._failures.get(conversation_id, 0)

    @asynccontextmanager
    async def conversation(self, conversation_id: ConversationId) -> AsyncIterator[Attempt | None]:
        """Wait for the limit, in the order of asking, and count the work; None: it must not begin."""
        if not await self._is_admitted():
            DRAINS_REFUSED.inc()
            self._refused += 1
            yield None
            return
        attempt = self._begin(conversation_id)
        try:
            yield attempt
        finally:
            if attempt.has_answer and not attempt.has_failed:
                self._failures.pop(conversation_id, None)
            self._end(attempt)
            self._running -= 1
            self._admit_waiting()

    @contextmanager
    def probe(self) -> Iterator[Attempt | None]:
        """Begin a look of the sweep, which does not count against the limit; None: in an outage it must wait."""
        if self.in_outage and not self._may_probe():
            yield None
            return
        attempt = self._begin(None)
        try:
            yield attempt
        finally:
            self._end(attempt)

    # Beginning and ending

    def _may_probe(self) -> bool:
        return self._probe is None and not self.pause_left

    async def _is_admitted(self) -> bool:
        if self.in_outage and not self._may_probe():
            return False
        if self.in_outage or (self._running < self.limit and not self._waiting):
            self._running += 1
            return True
        if len(self._waiting) >= self.limit:
            return False
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.result():
                self._running -= 1
                self._admit_waiting()
            raise

    def _admit_waiting(self) -> None:
        while self._waiting and self._running < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(True)

    def _begin(self, conversation_id: ConversationId | None) -> Attempt:
        self._begun += 1
        attempt = Attempt(
            self._begun, self._monotonic(), conversation_id, on_answer=self._note_answer, on_failure=self._note_failure
        )
        if self.in_outage:
            self._probe = attempt
        return attempt

    def _end(self, attempt: Attempt) -> None:
        if self._probe is attempt:
            self._probe = None

    # Answers and failures

    def _note_answer(self, attempt: Attempt, is_first: bool) -> None:
        self._failed_in_a_row.clear()
        if self.in_outage:
            # What still runs stays in work, and one more may begin.
            lasted_ms = round((self._monotonic() - self._began_at) * 1000)
            log.info("outage.ended", duration_ms=lasted_ms, count=self._refused)
            self._opens_at = self._probe = None
            self._cut_at = self._begun
            self._set_limit(self._running + 1)
        elif is_first and self._limit < self.at_once:
            is_quick = self._monotonic() - attempt.began <= QUICK.total_seconds()
            self._set_limit(self._limit + (GROWTH if is_quick else GROWTH / self._limit))
        self._admit_waiting()

    def _note_failure(self, attempt: Attempt) -> None:
        if (failed := attempt.conversation_id) is not None:
            self._failures[failed] = self._failures.pop(failed, 0) + 1
            if len(self._failures) > REMEMBERED:
                del self._failures[next(iter(self._failures))]
        if self.in_outage:
            if attempt is self._probe:
                self._probe = None
                self._pauses += 1
                self._pause()
            return
        self._failed_in_a_row.add(attempt.conversation_id or attempt.number)
        if len(self._failed_in_a_row) >= max(2, self._running):
            OUTAGES.inc()
            log.warning("outage.began", count=self._running)
            self._began_at = self._monotonic()
            self._refused = 0
            self._pause()
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(False)
        elif attempt.number > self._cut_at:
            self._cut_at = self._begun
            self._set_limit(min(self._limit, max(LEAST_LIMIT, min(self._limit, self._running) / 2)))

    def _set_limit(self, limit: float) -> None:
        self._limit = min(limit, float(self.at_once))
        if self.limit == self.at_once:
            self._pauses = 1
        ROOM_WITHHELD.set(1 - self.limit / self.at_once)

    def _pause(self) -> None:
        self._opens_at = self._monotonic() + self._backoff.pause(self._pauses, self._chance).total_seconds()
        ROOM_WITHHELD.set(1)


class PoisonIsolation:
    """Limit of the conversations whose oldest message may be what kills the process, by how often it was tried.

    From `isolate_after` attempts on, at most `at_once` of them are in work; before the last of `attempts`, one alone.
    """

    def __init__(self, *, isolate_after: int, attempts: int, at_once: int) -> None:
        self._isolate_after = isolate_after
        self._attempts = attempts
        self._tried = asyncio.Semaphore(at_once)
        self._nearly_given_up = asyncio.Semaphore(1)

    def of(self, attempts: int) -> AbstractAsyncContextManager[None]:
        """Return the limit for a conversation whose oldest message has had so many attempts."""
        if attempts < self._isolate_after:
            return nullcontext()
        return self._tried if attempts < self._attempts - 1 else self._nearly_given_up


class AttemptRefunds:
    """Attempts that an outage ended, to be taken back when the inbox answers again.

    They are lost with the process, which costs a message one attempt of five.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._noted: dict[ConversationId, Sequence[int]] = {}

    @property
    def conversations(self) -> list[ConversationId]:
        return list(self._noted)

    def note(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        if len(self._noted) < REMEMBERED:
            self._noted[conversation_id] = sequences

    async def refund(self, conversation_id: ConversationId) -> None:
        """Take back what is noted of the conversation. Raises InboxUnavailableError: it stays noted."""
        sequences = self._noted.pop(conversation_id, None)
        if sequences is None:
            return
        try:
            await self._inbox.refund_attempts(conversation_id, sequences)
        except InboxUnavailableError:
            self.note(conversation_id, sequences)
            raise


LATE_SECONDS = 0.1
BEAT_SECONDS = 0.02
BEGIN_EACH_BEAT = 10


class LoopPace:
    """Limit of the work begun in each beat: `begin_each_beat`, none while a beat comes more than `late` seconds late.

    Over its capacity a process that begins everything finishes less: its loop comes late to everything, leases run out
    under work that is then thrown away, and answered calls time out. How many conversations are too many depends on the
    machine and the work; the lateness of the loop can be measured. After a quiet moment work begins at once.
    """

    def __init__(
        self, *, late: float = LATE_SECONDS, beat: float = BEAT_SECONDS, begin_each_beat: int = BEGIN_EACH_BEAT
    ) -> None:
        self._late = late
        self._beat = beat
        self._begin_each_beat = begin_each_beat
        self._left = begin_each_beat
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._beating: asyncio.Task[None] | None = None

    async def admitted(self) -> None:
        """Return when the work may begin; in the order of asking."""
        if self._beating is None:
            self._beating = asyncio.create_task(self._keep_time(), name="pace")
        if self._left > 0 and not self._waiting:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._waiting.remove(turn)
            raise

    async def _keep_time(self) -> None:
        """Beat until nothing has waited for a whole beat."""
        loop = asyncio.get_running_loop()
        while self._waiting or self._left < self._begin_each_beat:
            began = loop.time()
            await asyncio.sleep(self._beat)
            lateness = loop.time() - began - self._beat
            self._left = self._begin_each_beat if lateness <= self._late else 0
            while self._left and self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    self._left -= 1
        self._beating = None


KEPT_BUCKETS = 20_000
# People whom a number wrote to first by number, person and day; counts of a number by hour.
PEOPLE, COUNTS = "openings", "opening_counts"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PLACE_TRIES = 8


class Pace:
    """Token buckets of one process, by person and by number, kept as the time until which each is used up.

    Source: generic cell rate algorithm, ITU-T I.371, virtual scheduling.
    """

    def __init__(self) -> None:
        self._used_until: dict[tuple[str, ...], datetime] = {}

    def reserve(self, address: Address, limits: ChannelLimits, at: datetime) -> datetime:
        """Return when the next message to that address may leave, `at` or later, and take that place."""
        number = (address.channel, address.account)
        rates = ((limits.pair, (*number, address.person)), (limits.number, number))
        buckets = [(rate, key, max(at, self._used_until.get(key, at))) for rate, key in rates if rate is not None]
        leaves = max([at, *(used - (rate.burst - 1) * rate.every for rate, _, used in buckets)])
        for rate, key, used in buckets:
            self._used_until[key] = max(used, leaves) + rate.every
        if len(self._used_until) > KEPT_BUCKETS:
            self._used_until = {key: used for key, used in self._used_until.items() if used > at}
        return leaves


async def wait_for_place(row: OutboxRow, channel: Channel, records: Records, at: datetime) -> datetime | None:
    """Take a place for the person of a template, for 24 hours; return when to ask again, None: it may leave now.

    The places of a number are shared by all processes. Counts are by hour, so a place is free again up to an hour late.
    A send that fails keeps its place.

    Raises:
        StoreUnavailableError: the places are not known now.
    Source: Meta, "Messaging limits": people outside a customer service window that a business messages in 24 hours.
    """
    window, limit, opened = channel.reply_window, channel.limits.openings, row.window_from
    is_answer = window is None or (opened is not None and at < opened + window)
    if limit is None or is_answer or row.message.type is not MessageType.TEMPLATE:
        return None
    number = digest(row.address.channel, row.address.account)
    person = digest(number, row.address.person)
    keys = [f"{person}-{day.date()}" for day in (at, at - DAY)]
    if [key for key in keys if await records.get(PEOPLE, key, at=at)]:
        return None
    this_hour = at.replace(minute=0, second=0, microsecond=0)
    for _ in range(PLACE_TRIES):
        stored = await records.get(COUNTS, number, at=at)
        counts = {datetime.fromisoformat(hour): count for hour, count in (stored.body if stored else {}).items()}
        counts = {hour: count for hour, count in counts.items() if hour > at - DAY - HOUR}
        if sum(counts.values()) >= limit:
            return min(counts) + DAY + HOUR
        counts[this_hour] = counts.get(this_hour, 0) + 1
        body = {hour.isoformat(): count for hour, count in counts.items()}
        version = stored.version if stored else 0
        if await records.put(Record(collection=COUNTS, key=number, version=version, body=body, updated_at=at)):
            owner, ends = row.conversation_id, at + DAY
            taken = Record(collection=PEOPLE, key=keys[0], body={}, owner=owner, expires_at=ends, updated_at=at)
            await records.put(taken)
            return None
    return at + timedelta(seconds=1)
