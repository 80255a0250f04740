"""What a turn needs from outside itself, gathered once when the process starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from contracts.guardrails import Finding, KnownFacts
from contracts.institution import Institution
from contracts.messages import ChannelName
from contracts.ports import Callback, Channel, Clock, Events, Faults, Inbox, Store
from contracts.values import ConversationId
from fsm.machine import ConversationMachine
from prompts.prompter import Prompter
from prompts.tasks.analyses import Analyst
from reports.ledger import Ledger
from worker.routing import ConsentWords, FloodLimit
from worker.scheduling.limiter import Limiter, PoisonIsolation
from worker.variants import VariantAssigner


class GuardrailGate(Protocol):
    """Reads a draft and returns every reason to withhold it."""

    def check(self, texts: Sequence[str], known: KnownFacts) -> tuple[Finding, ...]: ...


@dataclass(frozen=True)
class Rulebook:
    """One version of the institution's documents, with what is made from them."""

    institution: Institution
    gate: GuardrailGate
    consent: ConsentWords


@dataclass(frozen=True)
class DrainLimits:
    """How many conversations are worked on, how each is held and how often a message is tried.

    `at_once` is for the whole process, while inbox and store answer (`scheduling/`). A lease runs out `lease`
    after its last heartbeat, which comes four times in that span. After `attempts` tries a message goes to the dead
    letters; tries that an outage ended do not count for `outage_patience`. From `isolate_after` tries on it is worked
    on without the others of its conversation, and with at most `suspects_at_once` such conversations in a process;
    before its last tries with no other one. One of them may be what kills the process, and those that only happened to
    be there must get through before their attempts are used up.
    """

    at_once: int = 500
    lease: timedelta = timedelta(seconds=1.5)
    attempts: int = 5
    isolate_after: int = 2
    suspects_at_once: int = 8
    conflicts: int = 3
    stale_drafts: int = 2
    first_backoff: timedelta = timedelta(milliseconds=500)
    longest_backoff: timedelta = timedelta(seconds=30)
    outage_patience: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Confidence:
    """Below `ask_below` the engine asks what was meant; after `unclear_turns` such turns a person is called."""

    ask_below: float = 0.5
    unclear_turns: int = 2


EVER_SINCE = datetime.min.replace(tzinfo=UTC)
NOTED_ESCALATIONS = 10_000
NOTED_ATTEMPTS = 10_000


@dataclass(frozen=True)
class Dependencies:
    """Everything the pipeline, the drain, the outbox and the sweeper work with.

    `listening_since` is when this installation began to hear statuses again; before it none could have arrived.
    """

    inbox: Inbox
    store: Store
    channels: Mapping[ChannelName, Channel]
    prompter: Prompter
    tuner: VariantAssigner
    analyst: Analyst
    machine: ConversationMachine
    rulebook: Callable[[], Rulebook]
    events: Events
    clock: Clock
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    faults: Faults
    ledger: Ledger
    drain_limits: DrainLimits = field(default_factory=DrainLimits)
    confidence: Confidence = field(default_factory=Confidence)
    flood: FloodLimit = field(default_factory=FloodLimit)
    retention: timedelta = timedelta(days=90)
    listening_since: datetime = EVER_SINCE
    callback: Callback | None = None
    limiter: Limiter = field(init=False)
    isolation: PoisonIsolation = field(init=False)
    refunds: "AttemptRefunds" = field(init=False)
    escalations: "Escalations" = field(init=False)

    def __post_init__(self) -> None:
        limits = self.drain_limits
        object.__setattr__(self, "limiter", Limiter(limits.at_once, monotonic=self.monotonic, chance=self.chance))
        isolation = PoisonIsolation(
            isolate_after=limits.isolate_after, attempts=limits.attempts, at_once=limits.suspects_at_once
        )
        object.__setattr__(self, "isolation", isolation)
        object.__setattr__(self, "refunds", AttemptRefunds())
        object.__setattr__(self, "escalations", Escalations())


class AttemptRefunds:
    """Attempts that an outage ended and that could not be taken back in it, by conversation and sequence.

    They are when the inbox answers again. They get lost with the process: what that costs is one attempt of five.
    """

    def __init__(self) -> None:
        self._noted: dict[ConversationId, Sequence[int]] = {}

    @property
    def conversations(self) -> list[ConversationId]:
        return list(self._noted)

    def note(self, conversation_id: ConversationId, sequences: Sequence[int]) -> None:
        if len(self._noted) < NOTED_ATTEMPTS:
            self._noted[conversation_id] = sequences

    def take(self, conversation_id: ConversationId) -> Sequence[int]:
        return self._noted.pop(conversation_id, ())


class Escalations:
    """Conversations that this process has just passed to a person: a turn notes them, the sweep sees to them.

    A note costs the turn nothing and may get lost with the process; the sweep looks for those in the store, later.
    """

    def __init__(self) -> None:
        self._noted: dict[ConversationId, None] = {}

    def note(self, conversation_id: ConversationId) -> None:
        if len(self._noted) < NOTED_ESCALATIONS:
            self._noted[conversation_id] = None

    def take(self) -> ConversationId | None:
        """One of them, the first first, or None when there is none left."""
        first = next(iter(self._noted), None)
        if first is not None:
            del self._noted[first]
        return first
