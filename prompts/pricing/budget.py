"""What may be spent: money is held before a call, at what it might cost at most, and settled after it, at its price.

Three ceilings: of a turn, of a conversation (one episode of it) and of a day, which all processes share. From 80 % of
one on a smaller model is asked; a call that no longer fits is not made, and the turn goes on as without a model.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum

import orjson

from contracts.conversation import CallRecord, TaskName, TokenCount
from contracts.errors import BudgetSpentError
from contracts.ledger import BilledCall
from contracts.ports import ModelRequest, ModelResponse
from observability.metrics import BUDGET_RUNGS
from prompts.pricing.prices import ZERO, PriceBook, usd_text

ECONOMY_FROM = Decimal("0.8")
NOTICES = (80, 95, 100)
# What we wrote ourselves has three to four bytes for a token. What a person wrote may be anything: then a token for
# each byte, which no tokenizer exceeds.
BYTES_PER_TOKEN_OF_OURS = 2


class Scope(StrEnum):
    TURN = "turn"
    CONVERSATION = "conversation"
    DAY = "day"


@dataclass(frozen=True)
class Ceilings:
    """In USD; None: none."""

    turn: Decimal | None = None
    conversation: Decimal | None = None
    day: Decimal | None = None

    @property
    def are_set(self) -> bool:
        return (self.turn, self.conversation, self.day) != (None, None, None)


@dataclass
class Tab:
    """What one turn spends, over all its drafts. `before`: what its conversation had spent before it.

    `spent` counts a call without a known price at the dearest one; `unbooked` are the calls that came back since the
    last `take`.
    """

    before: Decimal = ZERO
    spent: Decimal = ZERO
    held: Decimal = ZERO
    unbooked: list[BilledCall] = field(default_factory=list)

    def take(self) -> tuple[BilledCall, ...]:
        """The calls that nobody has booked yet; the next one starts anew."""
        taken = tuple(self.unbooked)
        self.unbooked.clear()
        return taken


@dataclass(frozen=True)
class Elsewhere:
    """What the other processes had spent and held of a day when they last said so, and how many of them were busy."""

    spent: Decimal = ZERO
    held: Decimal = ZERO
    busy: int = 0


class DaySpending:
    """The money of one day as this process knows it: its own at once, that of the others since the last exchange.

    What is left is shared: between two exchanges a process takes no more than its part, so that all of them together
    do not spend it several times over.
    """

    def __init__(self, ceiling: Decimal | None, *, today: Callable[[], date]) -> None:
        self.ceiling = ceiling
        self.held = ZERO
        self._today = today
        self._begin(today())

    def _begin(self, day: date) -> None:
        self._day = day
        self._spent = ZERO
        self._elsewhere = Elsewhere()
        self._used_at_exchange = ZERO
        self.reached: set[int] = set()

    def day(self) -> date:
        """Today; a new day begins with nothing spent, and with what is held for calls under way."""
        today = self._today()
        if today != self._day:
            self._begin(today)
        return today

    @property
    def spent(self) -> Decimal:
        """What this process has spent today."""
        self.day()
        return self._spent

    @property
    def used(self) -> Decimal:
        """Spent and held today, here and elsewhere."""
        return self.spent + self.held + self._elsewhere.spent + self._elsewhere.held

    @property
    def share(self) -> Decimal:
        """Of the ceiling, what was spent today, here and elsewhere; 0 without a ceiling."""
        return (self.spent + self._elsewhere.spent) / self.ceiling if self.ceiling else ZERO

    @property
    def room(self) -> Decimal | None:
        """What this process may still spend before the next exchange; None without a ceiling."""
        if self.ceiling is None:
            return None
        left = self.ceiling - self.used
        since = self.spent + self.held - self._used_at_exchange
        return min(left, (left + since) / (self._elsewhere.busy + 1) - since)

    def add(self, amount: Decimal) -> None:
        self.day()
        self._spent += amount
        self._note()

    def exchange(self, day: date, elsewhere: Elsewhere) -> None:
        """Take up what the others say of the day, unless it is over."""
        if day == self.day():
            self._elsewhere = elsewhere
            self._used_at_exchange = self._spent + self.held
            self._note()

    def refuse(self) -> None:
        """A call no longer fits: for those who are told, that is a hundred per cent."""
        self.day()
        self.reached.update(NOTICES)

    def _note(self) -> None:
        if self.ceiling is not None:
            spent = self._spent + self._elsewhere.spent
            self.reached.update(percent for percent in NOTICES if spent * 100 >= self.ceiling * percent)


@dataclass
class Hold:
    """Money held for one call. `request` is the one to send, perhaps to another model than was asked for."""

    request: ModelRequest
    amount: Decimal
    _settle: Callable[[ModelResponse], CallRecord]

    def settle(self, response: ModelResponse) -> CallRecord:
        """The call came back: from now on its price counts."""
        return self._settle(response)


@dataclass(frozen=True)
class _Pocket:
    """One ceiling with what counts against it."""

    scope: Scope
    ceiling: Decimal
    used: Decimal
    room: Decimal

    @property
    def is_filling(self) -> bool:
        return self.used >= self.ceiling * ECONOMY_FROM


class Meter:
    """Stands between the executor and the model: no call without its hold. Nothing here waits, so each step is whole.

    `zone` is where days begin.
    """

    def __init__(
        self,
        prices: PriceBook,
        *,
        now: Callable[[], datetime],
        ceilings: Ceilings = Ceilings(),
        economy_model: str | None = None,
        zone: tzinfo,
    ) -> None:
        self._prices = prices
        self._ceilings = ceilings
        self._economy_model = economy_model
        self._now = now
        self.day = DaySpending(ceilings.day, today=lambda: now().astimezone(zone).date())

    @contextmanager
    def hold(self, task: TaskName, template: str, request: ModelRequest, tab: Tab) -> Iterator[Hold]:
        """Hold what the call might cost while the context is open; what was not settled by then is given back.

        Raises:
            BudgetSpentError: a ceiling does not leave enough; nothing is held.
        """
        admitted, amount = self._admitted(request, tab)

        def settle(response: ModelResponse) -> CallRecord:
            return self._settle(task, template, admitted, response, tab)

        tab.held += amount
        self.day.held += amount
        try:
            yield Hold(admitted, amount, settle)
        finally:
            tab.held -= amount
            self.day.held -= amount

    def bound(self, request: ModelRequest) -> Decimal:
        """What the call might cost at most: nothing of the prompt in the provider's cache, the longest answer."""
        ours = sum(len(block.text.encode()) for block in request.system) + len(orjson.dumps(request.output_schema))
        theirs = sum(len(text.encode()) for text in (request.user, request.repair_of, request.repair_reason) if text)
        tokens = TokenCount(input=theirs, cache_write=-(-ours // BYTES_PER_TOKEN_OF_OURS), output=request.max_tokens)
        return self._charge(request.model, tokens)

    def _settle(
        self, task: TaskName, template: str, request: ModelRequest, response: ModelResponse, tab: Tab
    ) -> CallRecord:
        at, tokens = self._now(), response.tokens
        cost = self._prices.booked(response.model, tokens, at=at)
        if cost is not None:
            charge = cost
        elif tokens is not None:
            charge = self._prices.dearest(tokens, at=at)
        else:
            # Nothing was counted: a ceiling takes what the call might have cost at most.
            charge = self.bound(request)
        call = CallRecord(
            model=response.model,
            tokens=tokens or TokenCount(),
            cost_usd=None if cost is None else usd_text(cost),
        )
        tab.spent += charge
        tab.unbooked.append(BilledCall(task=task.value, template=template, call=call))
        self.day.add(charge)
        return call

    def _admitted(self, request: ModelRequest, tab: Tab) -> tuple[ModelRequest, Decimal]:
        """The request that fits, with what is to be held for it."""
        if not self._ceilings.are_set:
            return request, ZERO
        pockets = self._pockets(tab)
        filling = next((pocket for pocket in pockets if pocket.is_filling), None)
        wanted, smaller = (request, self.bound(request)), self._smaller(request)
        candidates = [one for one in (None if filling and smaller else wanted, smaller) if one is not None]
        short = filling
        for candidate, amount in candidates:
            lacking = next((pocket for pocket in pockets if pocket.room < amount), None)
            if lacking is None:
                if short is not None and candidate is not request:
                    BUDGET_RUNGS.labels(scope=short.scope.value, rung="economy").inc()
                return candidate, amount
            short = lacking
        assert short is not None  # noqa: S101 - there is always a candidate, and none of them fitted
        BUDGET_RUNGS.labels(scope=short.scope.value, rung="refused").inc()
        if short.scope is Scope.DAY:
            self.day.refuse()
        raise BudgetSpentError(f"the ceiling of a {short.scope} leaves too little for a call")

    def _smaller(self, request: ModelRequest) -> tuple[ModelRequest, Decimal] | None:
        """The request to the economy model, when that one really costs less."""
        if self._economy_model in (None, request.model):
            return None
        smaller = request.model_copy(update={"model": self._economy_model})
        amount = self.bound(smaller)
        return (smaller, amount) if amount < self.bound(request) else None

    def _pockets(self, tab: Tab) -> list[_Pocket]:
        turn = tab.spent + tab.held
        pockets = []
        if self._ceilings.turn is not None:
            pockets.append(_Pocket(Scope.TURN, self._ceilings.turn, turn, self._ceilings.turn - turn))
        if self._ceilings.conversation is not None:
            used = tab.before + turn
            pockets.append(
                _Pocket(Scope.CONVERSATION, self._ceilings.conversation, used, self._ceilings.conversation - used)
            )
        if self._ceilings.day is not None and (room := self.day.room) is not None:
            pockets.append(_Pocket(Scope.DAY, self._ceilings.day, self.day.used, room))
        return pockets

    def _charge(self, model: str, tokens: TokenCount) -> Decimal:
        """What counts against a ceiling: the price, or without one that of the dearest model."""
        at = self._now()
        cost = self._prices.cost(model, tokens, at=at)
        return self._prices.dearest(tokens, at=at) if cost is None else cost
