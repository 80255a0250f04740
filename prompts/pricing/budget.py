"""Budgets: before a call its highest possible cost is reserved, after it its price is settled.

Three ceilings: of a turn, of a conversation (one episode of it) and of a day, which all processes share. From 80 % of
one on a smaller model is asked; a call that no longer fits is not made, and the turn goes on as without a model.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum

import orjson

from contracts.calls import CallContext, TurnCost
from contracts.conversation import CallRecord, TokenCount
from contracts.errors import BudgetSpentError
from contracts.ledger import BilledCall
from contracts.ports import ModelRequest, ModelResponse
from observability.metrics import BUDGET_RUNGS
from prompts.pricing.prices import ZERO, PriceBook, usd_text

ECONOMY_FROM = Decimal("0.8")
NOTICES = (80, 95, 100)
# Our own texts have three to four bytes a token. A person's text may be anything: a token a byte, which no tokenizer
# exceeds.
BYTES_PER_TOKEN_OF_OURS = 2


class Scope(StrEnum):
    TURN = "turn"
    CONVERSATION = "conversation"
    DAY = "day"
    FIRST_TURNS = "first_turns"


@dataclass(frozen=True)
class Ceilings:
    """Highest cost of each scope in USD; None: unlimited. First turns take at most `new_share` of a day."""

    turn: Decimal | None = None
    conversation: Decimal | None = None
    day: Decimal | None = None
    new_share: Decimal = Decimal(1)

    @property
    def are_set(self) -> bool:
        return (self.turn, self.conversation, self.day) != (None, None, None)


@dataclass(frozen=True)
class RemoteSpend:
    """Spending of the other processes on one day, at the last exchange: spent, held, and how many of them were busy."""

    spent: Decimal = ZERO
    held: Decimal = ZERO
    busy: int = 0


class DaySpending:
    """Spending of one day as this process knows it: its own at once, that of the others as of the last exchange.

    Between two exchanges a process takes no more than its share of what is left, so that all of them together do not
    spend it several times over.
    """

    def __init__(self, ceiling: Decimal | None, *, today: Callable[[], date]) -> None:
        self.ceiling = ceiling
        self.held = ZERO
        self.held_new = ZERO
        self._today = today
        self._begin(today())

    def _begin(self, day: date) -> None:
        self._day = day
        self._spent = ZERO
        self._spent_new = ZERO
        self._remote = RemoteSpend()
        self._used_at_exchange = ZERO
        self.reached: set[int] = set()

    def day(self) -> date:
        """Return today; a new day begins with nothing spent, and with what is held for calls under way."""
        today = self._today()
        if today != self._day:
            self._begin(today)
        return today

    @property
    def spent(self) -> Decimal:
        """Spent today by this process, in USD."""
        self.day()
        return self._spent

    @property
    def used(self) -> Decimal:
        """Spent and held today by all processes, in USD."""
        return self.spent + self.held + self._remote.spent + self._remote.held

    @property
    def share(self) -> Decimal:
        """Share of the ceiling that all processes spent today; 0 without a ceiling."""
        return (self.spent + self._remote.spent) / self.ceiling if self.ceiling else ZERO

    @property
    def room(self) -> Decimal | None:
        """USD that this process may still spend before the next exchange; None without a ceiling."""
        if self.ceiling is None:
            return None
        left = self.ceiling - self.used
        since = self.spent + self.held - self._used_at_exchange
        return min(left, (left + since) / (self._remote.busy + 1) - since)

    @property
    def used_new(self) -> Decimal:
        """Spent and held today by this process for first turns, in USD."""
        self.day()
        return self._spent_new + self.held_new

    def part(self, share: Decimal) -> Decimal:
        """Return this process's part of a share of the ceiling, in USD, as large as that of each busy one."""
        return (self.ceiling or ZERO) * share / (self._remote.busy + 1)

    def add(self, amount: Decimal, *, is_first: bool = False) -> None:
        self.day()
        self._spent += amount
        self._spent_new += amount if is_first else ZERO
        self._note()

    def exchange(self, day: date, remote: RemoteSpend) -> None:
        """Replace the spending of the others, unless the day is over."""
        if day == self.day():
            self._remote = remote
            self._used_at_exchange = self._spent + self.held
            self._note()

    def refuse(self) -> None:
        """Note that a call no longer fits, which counts as a hundred per cent."""
        self.day()
        self.reached.update(NOTICES)

    def _note(self) -> None:
        if self.ceiling is not None:
            spent = self._spent + self._remote.spent
            self.reached.update(percent for percent in NOTICES if spent * 100 >= self.ceiling * percent)


@dataclass
class Hold:
    """Reservation for one call. `request` is the one to send, perhaps to a smaller model than was asked for."""

    request: ModelRequest
    amount: Decimal
    _settle: Callable[[ModelResponse], CallRecord]

    def settle(self, response: ModelResponse) -> CallRecord:
        """Replace the reservation by the price of the call, and return its record."""
        return self._settle(response)


@dataclass(frozen=True)
class BudgetScope:
    """One ceiling and the cost that counts against it, in USD."""

    scope: Scope
    ceiling: Decimal
    used: Decimal
    room: Decimal

    @property
    def is_filling(self) -> bool:
        return self.used >= self.ceiling * ECONOMY_FROM


def _prompt_bytes(request: ModelRequest) -> tuple[int, int]:
    """Return the size of the prefix that the provider may keep, and of what is new in this call."""
    ours = sum(len(block.text.encode()) for block in request.system) + len(orjson.dumps(request.output_schema))
    theirs = sum(len(text.encode()) for text in (request.user, request.repair_of, request.repair_reason) if text)
    return ours, theirs


def _file_tokens(request: ModelRequest) -> int:
    return sum(file.tokens for file in request.files)


@dataclass(eq=False)
class Meter:
    """Reservations and settlements of all calls of a process. No step awaits anything, so each is atomic.

    Days begin in the time zone `zone`.
    """

    prices: PriceBook
    now: Callable[[], datetime]
    zone: tzinfo
    ceilings: Ceilings = Ceilings()
    economy_model: str | None = None

    def __post_init__(self) -> None:
        self.day = DaySpending(self.ceilings.day, today=lambda: self.now().astimezone(self.zone).date())

    @contextmanager
    def hold(self, request: ModelRequest) -> Iterator[Hold]:
        """Reserve the highest possible cost while the context is open; what was not settled by then is released.

        Raises:
            BudgetSpentError: a ceiling does not leave enough; nothing is held.
        """
        context, cost = request.context, request.context.cost
        admitted, amount = self._admitted(request, cost)
        cost.held += amount
        self.day.held += amount
        held_new = amount if cost.is_first else ZERO
        self.day.held_new += held_new
        try:
            yield Hold(admitted, amount, lambda response: self._settle(admitted, response, context))
        except asyncio.CancelledError:
            # A newer message ends a call under way, and its prompt is billed all the same.
            ours, theirs = _prompt_bytes(admitted)
            read = TokenCount(
                input=theirs // BYTES_PER_TOKEN_OF_OURS + _file_tokens(admitted),
                cache_read=ours // BYTES_PER_TOKEN_OF_OURS,
            )
            asked = ModelResponse(text="", stop_reason="cancelled", model=admitted.model, tokens=read)
            context.bill.append(self._settle(admitted, asked, context))
            raise
        finally:
            cost.held -= amount
            self.day.held -= amount
            self.day.held_new -= held_new

    def bound(self, request: ModelRequest) -> Decimal:
        """Return the highest possible cost in USD: an uncached prompt, the longest answer."""
        ours, theirs = _prompt_bytes(request)
        tokens = TokenCount(
            input=theirs + _file_tokens(request),
            cache_write=-(-ours // BYTES_PER_TOKEN_OF_OURS),
            output=request.max_tokens,
        )
        at = self.now()
        # Without a price, that of the dearest model counts against the ceiling.
        cost = self.prices.cost(request.model, tokens, at=at)
        return self.prices.dearest(tokens, at=at) if cost is None else cost

    def leaves(self, amount: Decimal, cost: TurnCost) -> bool:
        """Whether every ceiling leaves the amount, in USD."""
        return all(scope.room >= amount for scope in self._scopes(cost))

    def charge(self, call: BilledCall, cost: TurnCost) -> None:
        """Count a call of another service than the model's, at the price that its record has."""
        amount = Decimal(call.call.cost_usd or 0)
        cost.spent += amount
        cost.unbooked.append(call)
        self.day.add(amount, is_first=cost.is_first)

    def _settle(self, request: ModelRequest, response: ModelResponse, context: CallContext) -> CallRecord:
        at, tokens = self.now(), response.tokens
        cost = self.prices.booked(response.model, tokens, at=at)
        if cost is not None:
            charge = cost
        elif tokens is not None:
            charge = self.prices.dearest(tokens, at=at)
        else:
            # Nothing was counted: the ceilings take the highest possible cost.
            charge = self.bound(request)
        call = CallRecord(
            model=response.model, tokens=tokens or TokenCount(), cost_usd=None if cost is None else usd_text(cost)
        )
        context.cost.spent += charge
        context.cost.unbooked.append(BilledCall(task=context.task, template=context.template, call=call))
        self.day.add(charge, is_first=context.cost.is_first)
        return call

    def _admitted(self, request: ModelRequest, cost: TurnCost) -> tuple[ModelRequest, Decimal]:
        """Return the request that fits, with the amount to hold for it."""
        if not self.ceilings.are_set:
            return request, ZERO
        scopes = self._scopes(cost)
        filling = next((scope for scope in scopes if scope.is_filling), None)
        wanted, smaller = (request, self.bound(request)), None
        if self.economy_model not in (None, request.model):
            economy = request.model_copy(update={"model": self.economy_model})
            cheaper = (economy, self.bound(economy))
            smaller = cheaper if cheaper[1] < wanted[1] else None
        candidates = [one for one in (None if filling and smaller else wanted, smaller) if one is not None]
        short = filling
        for candidate, amount in candidates:
            lacking = next((scope for scope in scopes if scope.room < amount), None)
            if lacking is None:
                if short is not None and candidate is not request:
                    BUDGET_RUNGS.labels(scope=short.scope.value, rung="economy").inc()
                return candidate, amount
            short = lacking
        assert short is not None  # noqa: S101 - there is always a candidate, and none of them fitted
        BUDGET_RUNGS.labels(scope=short.scope.value, rung="refused").inc()
        if short.scope is Scope.DAY:
            self.day.refuse()
        raise BudgetSpentError(f"the {short.scope} ceiling leaves too little for a call")

    def _scopes(self, cost: TurnCost) -> list[BudgetScope]:
        turn = cost.spent + cost.held
        scopes = []
        if self.ceilings.turn is not None:
            scopes.append(BudgetScope(Scope.TURN, self.ceilings.turn, turn, self.ceilings.turn - turn))
        if self.ceilings.conversation is not None:
            used = cost.before + turn
            scopes.append(
                BudgetScope(Scope.CONVERSATION, self.ceilings.conversation, used, self.ceilings.conversation - used)
            )
        if self.ceilings.day is not None and (room := self.day.room) is not None:
            scopes.append(BudgetScope(Scope.DAY, self.ceilings.day, self.day.used, room))
            if cost.is_first and self.ceilings.new_share < 1:
                ceiling, used = self.day.part(self.ceilings.new_share), self.day.used_new
                scopes.append(BudgetScope(Scope.FIRST_TURNS, ceiling, used, ceiling - used))
        return scopes
