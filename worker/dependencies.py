"""Dependencies of each part of the worker, built once when the process starts (`worker/bootstrap.py`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from context.guardrails.floor import Floor
from contracts.analysis import AnalysisKind
from contracts.backoff import Backoff
from contracts.institution import Institution
from contracts.messages import ChannelName
from contracts.ports import Callback, Channel, Clock, Events, Faults, Inbox, Store
from contracts.values import ConversationId
from fsm.machine import ConversationMachine
from prompts.caching.answers import AnswerCache
from prompts.prompter import Prompter
from prompts.tasks.analyses import Analyst
from reports.ledger import Ledger
from worker.media import MediaReader
from worker.people.notices import Notices
from worker.people.operators import ConversationOperators
from worker.people.threads import Threads
from worker.replies.judging import ClearedSentences
from worker.replies.speech import SpokenReplies
from worker.routing import AgePolicy, ConsentWords, FloodLimit
from worker.scheduling.limiter import AttemptRefunds, Limiter, Pace, PoisonIsolation
from worker.scheduling.quiet import QuietWindows
from worker.variants import VariantAssigner


@dataclass(frozen=True)
class Rulebook:
    """One version of the institution's documents, with what is made from them."""

    institution: Institution
    floor: Floor
    consent: ConsentWords


@dataclass(frozen=True)
class DrainLimits:
    """Limits of a drain: conversations in work, the lease of each, and attempts at a message.

    `at_once` is for the whole process, while inbox and store answer (`scheduling/`). A lease runs out `lease`
    after its last heartbeat, which comes four times in that span. After `attempts` tries a message goes to the dead
    letters; tries that an outage ended do not count for `outage_patience`. From `isolate_after` tries on it is worked
    on without the others of its conversation, and with at most `isolated_at_once` such conversations in a process;
    before its last tries with no other one. One of them may be what kills the process, and those that only happened to
    be there must get through before their attempts are used up.
    """

    at_once: int = 500
    lease: timedelta = timedelta(seconds=1.5)
    attempts: int = 5
    isolate_after: int = 2
    isolated_at_once: int = 8
    conflicts: int = 3
    stale_drafts: int = 2
    outage_patience: timedelta = timedelta(hours=1)


@dataclass(frozen=True)
class Confidence:
    """Below `ask_below` the engine asks what was meant; after `unclear_turns` such turns a person is called.

    Below `opt_out` a wish for no more messages is asked back.
    """

    ask_below: float = 0.5
    unclear_turns: int = 2
    opt_out: float = 0.8


DRAIN_BACKOFF = Backoff(timedelta(milliseconds=500), timedelta(seconds=30))
EVER_SINCE = datetime.min.replace(tzinfo=UTC)
MOST_NOTED = 10_000


class NotedAnalyses:
    """Analyses of conversations that this process has just handed to the team or ended; the sweep asks for them.

    A note costs the turn nothing and may get lost with the process; the sweep looks for hand-offs in the store, later.
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[ConversationId, AnalysisKind], None] = {}

    def note(self, conversation_id: ConversationId, kind: AnalysisKind) -> None:
        if len(self._noted) < MOST_NOTED:
            self._noted[conversation_id, kind] = None

    def take(self) -> tuple[ConversationId, AnalysisKind] | None:
        """Return the oldest of them, or None when there is none left."""
        first = next(iter(self._noted), None)
        if first is not None:
            del self._noted[first]
        return first


@dataclass(frozen=True)
class TurnDependencies:
    """Dependencies of the pipeline. Without a judge every reply is the canonical answer of its intent.

    Without `media` no file is opened; `may_speak`: voice notes are answered in speech. Prompts and raw answers are kept
    for `prompts_kept`; zero: not at all.
    """

    inbox: Inbox
    store: Store
    channels: Mapping[ChannelName, Channel]
    prompter: Prompter
    variants: VariantAssigner
    machine: ConversationMachine
    rulebook: Callable[[], Rulebook]
    events: Events
    ledger: Ledger
    analyses: NotedAnalyses
    threads: Threads
    clock: Clock
    monotonic: Callable[[], float]
    faults: Faults
    confidence: Confidence = field(default_factory=Confidence)
    flood: FloodLimit = field(default_factory=FloodLimit)
    ages: AgePolicy = field(default_factory=AgePolicy)
    notices: Notices = field(default_factory=Notices)
    cleared: ClearedSentences = field(default_factory=ClearedSentences)
    has_judge: bool = True
    reviews_completed: bool = False
    media: MediaReader | None = None
    may_speak: bool = False
    prompts_kept: timedelta = timedelta(0)


@dataclass(frozen=True)
class OutboxDependencies:
    """Dependencies of sending replies. Without `speech` all of them leave as text.

    `listening_since` is when this installation began to hear statuses again; before it none could have arrived.
    """

    store: Store
    channels: Mapping[ChannelName, Channel]
    ledger: Ledger
    clock: Clock
    chance: Callable[[], float]
    faults: Faults
    listening_since: datetime = EVER_SINCE
    pace: Pace = field(default_factory=Pace)
    speech: SpokenReplies | None = None


@dataclass(frozen=True)
class OperatorDependencies:
    """Dependencies of moves outside a turn: operators, timers, dead letters, erasure.

    `id_salt` is the salt of the ids and digests that are made of addresses. `agents` has the moves of agents. Without
    `answers` none is cached.
    """

    inbox: Inbox
    store: Store
    variants: VariantAssigner
    machine: ConversationMachine
    rulebook: Callable[[], Rulebook]
    ledger: Ledger
    threads: Threads
    clock: Clock
    faults: Faults
    id_salt: str
    agents: ConversationOperators
    answers: AnswerCache | None = None


@dataclass(frozen=True)
class AnalysisDependencies:
    """Dependencies of analyses in the background; without a `callback` no receiver learns of their end."""

    store: Store
    analyst: Analyst
    rulebook: Callable[[], Rulebook]
    ledger: Ledger
    analyses: NotedAnalyses
    clock: Clock
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    faults: Faults
    callback: Callback | None = None


@dataclass(frozen=True)
class DrainDependencies:
    """Dependencies of a drain, with those that it passes on: to the turn, the outbox and the dead letters."""

    inbox: Inbox
    turn: TurnDependencies
    outbox: OutboxDependencies
    operators: OperatorDependencies
    limiter: Limiter
    isolation: PoisonIsolation
    refunds: AttemptRefunds
    clock: Clock
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    faults: Faults
    limits: DrainLimits
    quiet: QuietWindows = field(default_factory=QuietWindows)
    backoff: Backoff = DRAIN_BACKOFF


@dataclass(frozen=True)
class SweepDependencies:
    """Dependencies of the sweeper, with those that it passes on: to operators' moves and to the analyses."""

    inbox: Inbox
    store: Store
    operators: OperatorDependencies
    analyses: AnalysisDependencies
    limiter: Limiter
    refunds: AttemptRefunds
    clock: Clock
    monotonic: Callable[[], float]
    retention: timedelta
