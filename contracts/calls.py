"""One call of a language model as the policies around it see it: its purpose, its deadline and its cost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

from contracts.conversation import CallRecord
from contracts.ledger import BilledCall


class Deadline:
    """A moment on the monotonic clock by which a turn must have its answers."""

    def __init__(self, budget: timedelta, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends = monotonic() + budget.total_seconds()

    @property
    def remaining(self) -> timedelta:
        return timedelta(seconds=max(0.0, self._ends - self._monotonic()))


@dataclass
class TurnCost:
    """Running cost of one turn in USD, over all its drafts. `before` is the cost of its conversation until then.

    `is_first` marks the first turn of a conversation. `held` is reserved for calls under way. `spent` counts a call
    without a known price at the dearest one. `unbooked` are the calls that came back since the last `take`.
    """

    before: Decimal = Decimal(0)
    is_first: bool = False
    spent: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    unbooked: list[BilledCall] = field(default_factory=list)

    def take(self) -> tuple[BilledCall, ...]:
        """Return the calls that are not booked yet, and forget them."""
        taken = tuple(self.unbooked)
        self.unbooked.clear()
        return taken


class Listener(Protocol):
    """Receiver of an answer while it forms. Each attempt begins it again: the text of the one before is void."""

    def begin(self) -> None: ...

    async def on_token(self, piece: str) -> None: ...

    async def end(self) -> None:
        """Take the answer as complete."""


@dataclass
class CallContext:
    """Account of one prompt task: travels with its requests and grows with their attempts.

    `batched` calls share identical calls and cold prefixes with others of the same moment. `bill` has every call that
    came back or was ended under way, at its price.
    """

    task: str = ""
    template: str = ""
    deadline: Deadline | None = None
    cost: TurnCost = field(default_factory=TurnCost)
    listener: Listener | None = None
    batched: bool = False
    attempts: int = 0
    bill: list[CallRecord] = field(default_factory=list)

    @property
    def remaining(self) -> timedelta:
        """Time until the deadline; unlimited without one."""
        return timedelta.max if self.deadline is None else self.deadline.remaining

    def begin_attempt(self) -> None:
        """Count one more attempt, and void the text of the one before."""
        self.attempts += 1
        if self.listener is not None:
            self.listener.begin()
