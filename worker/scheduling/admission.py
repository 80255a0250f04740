"""How many conversations a process begins, by how its inbox and its store answer.

While they fail, nothing begins but one probe after each of a row of growing pauses: a store that is away is not asked,
and one that is overloaded gets the time it needs. What does not begin stays in the inbox, where the sweep finds it.
Afterwards, and while only some calls fail, as many conversations are worked on at once as the store has answers for:
one more for each quick answer, half as many when they fail (congestion control as TCP does it, RFC 5681). Every
conversation in work loads the store for as long as it lasts, by its heartbeats: what counts is how many there are.
"""

from asyncio import CancelledError, Future, get_running_loop
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import DRAINS_REFUSED, OUTAGES, note_room

log = logger(__name__)

FIRST_PAUSE = timedelta(milliseconds=250)
LONGEST_PAUSE = timedelta(seconds=4)
# So few are no load, and a single failure in a quiet process says little.
LEAST_ROOM = 4
# Many times what the first calls of a drain take; a store that takes so long for them has enough to do.
QUICK = timedelta(milliseconds=500)
# A quarter is slower and two no faster: `python -m tests.bench.overload`.
GROWTH = 1.0
REMEMBERED = 10_000


@dataclass(eq=False)
class Visit:
    """One piece of work that asks inbox and store, and says how they answer. One that says nothing tells nothing.

    `number` is its place among all of them, `began` in seconds. It is about a conversation, or none: that is the sweep.
    """

    number: int
    began: float
    conversation_id: ConversationId | None
    _admission: "Admission"
    has_answer: bool = False
    has_failed: bool = False

    def answered(self) -> None:
        """Inbox and store have answered; it may be said again at a later answer, which tells nothing of their speed."""
        is_first, self.has_answer = not self.has_answer, True
        self._admission._note_answer(self, is_first=is_first)

    def failed(self) -> None:
        """One of them did not answer."""
        self.has_failed = True
        self._admission._note_failure(self)


class Admission:
    """Lets at most `at_once` conversations in, fewer while inbox or store fail, and none but a probe while both do not
    answer at all.

    One conversation can fail for a reason of its own. So it takes two that fail one after the other, with no answer to
    anybody in between, to call it an outage, and as many as are left. Where room is short, as many wait for it as there
    is room; the others do not begin either.

    `monotonic` gives seconds, `chance` spreads the pauses: from half of each to the whole.
    """

    def __init__(
        self,
        at_once: int,
        *,
        monotonic: Callable[[], float],
        chance: Callable[[], float],
        first_pause: timedelta = FIRST_PAUSE,
        longest_pause: timedelta = LONGEST_PAUSE,
    ) -> None:
        self._at_once = at_once
        self._monotonic = monotonic
        self._chance = chance
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._room = float(at_once)
        self._running = 0
        self._waiting: deque[Future[bool]] = deque()
        self._begun = 0
        # Failures of those that had begun when the room was cut are known already.
        self._cut_at = 0
        self._failures: dict[ConversationId, int] = {}
        self._failed_in_a_row: set[Hashable] = set()
        self._pause = first_pause
        self._began_at = 0.0
        self._opens_at: float | None = None
        self._probe: Visit | None = None
        self._refused = 0
        note_room(0)

    @property
    def room(self) -> int:
        """How many conversations may be worked on at once, when there is no outage."""
        return int(self._room)

    @property
    def is_away(self) -> bool:
        """Whether there is an outage, as far as this process knows."""
        return self._opens_at is not None

    @property
    def pause_left(self) -> timedelta:
        """How long nobody needs to ask; nothing when somebody may."""
        if self._opens_at is None:
            return timedelta(0)
        return timedelta(seconds=max(0.0, self._opens_at - self._monotonic()))

    def failures(self, conversation_id: ConversationId) -> int:
        """How often in a row work on the conversation has failed here."""
        return self._failures.get(conversation_id, 0)

    @asynccontextmanager
    async def conversation(self, conversation_id: ConversationId) -> AsyncIterator[Visit | None]:
        """Room for work on a conversation, waited for in the order of asking; None: it must not begin."""
        if not await self._is_admitted():
            DRAINS_REFUSED.inc()
            self._refused += 1
            yield None
            return
        visit = self._begin(conversation_id)
        try:
            yield visit
        finally:
            if visit.has_answer and not visit.has_failed:
                self._failures.pop(conversation_id, None)
            self._end(visit)
            self._running -= 1
            self._admit_waiting()

    @contextmanager
    def look(self) -> Iterator[Visit | None]:
        """The sweep, which needs no room; None in an outage: it must not ask."""
        if self.is_away and not self._may_probe():
            yield None
            return
        visit = self._begin(None)
        try:
            yield visit
        finally:
            self._end(visit)

    # Beginning and ending

    def _may_probe(self) -> bool:
        return self._probe is None and not self.pause_left

    async def _is_admitted(self) -> bool:
        """Take up room, at once or after a while; False, without, in an outage or when too many wait."""
        if self.is_away and not self._may_probe():
            return False
        if self.is_away or (self._running < self.room and not self._waiting):
            self._running += 1
            return True
        if len(self._waiting) >= self.room:
            return False
        turn: Future[bool] = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled() and turn.result():
                self._running -= 1
                self._admit_waiting()
            raise

    def _admit_waiting(self) -> None:
        while self._waiting and self._running < self.room:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(True)

    def _begin(self, conversation_id: ConversationId | None) -> Visit:
        self._begun += 1
        visit = Visit(self._begun, self._monotonic(), conversation_id, self)
        if self.is_away:
            self._probe = visit
        return visit

    def _end(self, visit: Visit) -> None:
        if self._probe is visit:
            self._probe = None

    # Answers and failures

    def _note_answer(self, visit: Visit, *, is_first: bool) -> None:
        self._failed_in_a_row.clear()
        if self.is_away:
            self._end_outage()
        elif is_first and self._room < self._at_once:
            is_quick = self._monotonic() - visit.began <= QUICK.total_seconds()
            self._set_room(self._room + (GROWTH if is_quick else GROWTH / self._room))
        self._admit_waiting()

    def _note_failure(self, visit: Visit) -> None:
        if visit.conversation_id is not None:
            self._count_failure(visit.conversation_id)
        if self.is_away:
            if visit is self._probe:
                self._probe = None
                self._wait_longer()
            return
        self._failed_in_a_row.add(visit.conversation_id or visit.number)
        if len(self._failed_in_a_row) >= max(2, self._running):
            self._begin_outage()
        elif visit.number > self._cut_at:
            self._cut_at = self._begun
            self._set_room(min(self._room, max(LEAST_ROOM, min(self._room, self._running) / 2)))

    def _count_failure(self, conversation_id: ConversationId) -> None:
        self._failures[conversation_id] = self._failures.pop(conversation_id, 0) + 1
        if len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]

    def _set_room(self, room: float) -> None:
        self._room = min(room, float(self._at_once))
        if self.room == self._at_once:
            self._pause = self._first_pause
        note_room(1 - self.room / self._at_once)

    # Outages

    def _begin_outage(self) -> None:
        OUTAGES.inc()
        log.warning("outage.began", count=self._running)
        self._began_at = self._monotonic()
        self._refused = 0
        self._wait()
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(False)

    def _wait_longer(self) -> None:
        self._pause = min(self._longest_pause, self._pause * 2)
        self._wait()

    def _wait(self) -> None:
        seconds = self._pause.total_seconds() * (0.5 + self._chance() / 2)
        self._opens_at = self._monotonic() + seconds
        note_room(1)

    def _end_outage(self) -> None:
        """Those that still run keep their room; one more may begin."""
        lasted_ms = round((self._monotonic() - self._began_at) * 1000)
        log.info("outage.ended", duration_ms=lasted_ms, count=self._refused)
        self._opens_at = self._probe = None
        self._cut_at = self._begun
        self._set_room(self._running + 1)
