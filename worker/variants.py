"""Variants of an episode, chosen at its first turn: by experiments, then flags, then the settings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from openfeature.evaluation_context import EvaluationContext

from contracts.conversation import Architecture, Classification, Conversation, State, TaskName, Tuning, TurnRecord
from contracts.decisions import StateDecision
from contracts.delivery import TurnCommit
from contracts.performance import promotes
from contracts.turn import TurnReason
from contracts.values import ConversationId
from flags.experiments.recorder import (
    CLASSIFICATION_HELD,
    CONVERSION,
    CORRECTED,
    ERROR,
    QUALITY_SCORE,
    RESPONSE_TIME_MS,
    Recorder,
)
from flags.resolver import FORCED, PROMPTS, Assignment, Resolver, assignments_of
from observability.logs import logger
from prompts.execution.executor import Strategy
from prompts.prompter import TURN_TEMPLATES, Prompter

log = logger(__name__)

V = TypeVar("V", bool, int, float, str)
S = TypeVar("S", bound=StrEnum)

# Besides the metric events that experiments know by name.
ESCALATION, UNCLEAR, COST_USD, RESOLUTION_SECONDS = "escalation", "unclear", "cost_usd", "resolution_seconds"
# Of each classification one event, and one of value 1 while it holds.
CLASSIFICATION = "classification"
SATISFACTION = "satisfaction"
# 100 of a promoter, -100 of a detractor, so that its mean is the net promoter score.
NPS = "nps"
RATED = {TurnReason.RATED_SATISFIED.value: 1.0, TurnReason.RATED_UNSATISFIED.value: 0.0}


TURN_TASKS = (TaskName.STATE, TaskName.RESPONSE, TaskName.MESSAGE_TYPE, TaskName.JUDGE)
MODELS = "models."
# Flags that the engine asks for, and the types of their values. Tests run both states of each, and `prosa doctor` names
# flags that are none of these.
ENGINE_FLAGS: Mapping[str, type[bool | int | float | str]] = {
    **{PROMPTS + name: int for name in TURN_TEMPLATES},
    **{MODELS + task: str for task in TURN_TASKS},
    "strategy": str,
    "architecture": str,
    "cache": bool,
    "cache.semantic": bool,
    "cache.template": bool,
    "batching": bool,
    "confidence.ask_below": float,
}


class VariantAssigner(Protocol):
    """Choice of variants for an episode, and the record of what became of those that chance chose."""

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        """Return the fields of the head that hold the choice; no I/O, never fails."""

    def observe(self, commit: TurnCommit) -> None:
        """A turn was committed: the person has met what was chosen for them."""

    async def forget(self, conversation_id: ConversationId) -> None:
        """Leave nothing of an erased person. Raises StoreUnavailableError: something may be left; do it again."""


@dataclass(frozen=True)
class _Observer:
    """Record of the outcomes of conversations that have arms."""

    prompter: Prompter
    recorder: Recorder

    def observe(self, commit: TurnCommit) -> None:
        head, turn = commit.conversation, commit.turn
        if turn is None:
            return
        arms = assignments_of(head.tuning.arms)
        if turn.reason in RATED:
            self.recorder.note(arms, head.id, SATISFACTION, RATED[turn.reason])
        if turn.rating is not None:
            self.recorder.note(arms, head.id, NPS, 100.0 * promotes(turn.rating))
        # A turn that asked no model was not worked on in any way that was chosen.
        if turn.tasks:
            self.recorder.expose(arms, head.id)
            for metric, value in _metrics(head, turn):
                self.recorder.note(arms, head.id, metric, value)
        self.recorder.note_correction(commit)

    async def forget(self, conversation_id: ConversationId) -> None:
        await self.recorder.erase(conversation_id)


@dataclass(frozen=True)
class SettingsVariantAssigner(_Observer):
    """Variants by the settings alone, the same for every conversation."""

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        return {
            "prompt_versions": self.prompter.versions_for(conversation.id),
            "tuning": Tuning(forced=conversation.forced),
        }


@dataclass(frozen=True)
class FlagVariantAssigner(_Observer):
    """Variants by experiments, then flags, then the settings. `language` is the institution's."""

    resolver: Resolver
    language: str

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        attributes: dict[str, Any] = {
            **conversation.attributes,
            FORCED: conversation.forced,
            "channel": conversation.address.channel.value if conversation.address else "unknown",
            "language": self.language,
            "returning": bool(conversation.previous_episodes),
        }
        if conversation.business_line:
            attributes["business_line"] = conversation.business_line
        picks = _Picks(self.resolver, EvaluationContext(targeting_key=conversation.id, attributes=attributes))
        versions = self.prompter.versions_for(conversation.id)
        wanted = {name: picks.of(PROMPTS + name, 0) for name in TURN_TEMPLATES}
        versions |= {name: version for name, version in wanted.items() if self.prompter.has_version(name, version)}
        models = {task.value: picks.of(MODELS + task, "") for task in TURN_TASKS}
        ask_below = picks.of("confidence.ask_below", -1.0)
        tuning = Tuning(
            models={task: model for task, model in models.items() if model},
            strategy=_named(Strategy, "strategy", picks),
            architecture=_named(Architecture, "architecture", picks),
            cache=picks.of("cache", self.prompter.uses_cache),
            cache_semantic=picks.of("cache.semantic", True),
            cache_template=picks.of("cache.template", True),
            batching=picks.of("batching", self.prompter.uses_batching),
            ask_below=ask_below if 0 <= ask_below <= 1 else None,
            arms=tuple(map(str, picks.assignments)),
            forced=conversation.forced,
        )
        return {"prompt_versions": versions, "tuning": tuning}


@dataclass
class _Picks:
    """Asks one key after the other, and remembers in which arms that put the person; each once."""

    resolver: Resolver
    context: EvaluationContext
    assignments: dict[Assignment, None] = field(default_factory=dict)

    def of(self, key: str, default: V) -> V:
        choice = self.resolver.value(key, default, self.context)
        self.assignments |= dict.fromkeys(choice.assignments)
        return choice.value


def _metrics(head: Conversation, turn: TurnRecord) -> Iterator[tuple[str, float]]:
    """Yield the metric events of a turn, for the arms of its person; what did not happen has no event."""
    if turn.fallback:
        yield ERROR, 1.0
    if turn.state is State.ESCALATING:
        yield ESCALATION, 1.0
    if turn.received_at is not None:
        yield RESPONSE_TIME_MS, (turn.at - turn.received_at).total_seconds() * 1000
    if turn.reason == TurnReason.UNCLEAR:
        yield UNCLEAR, 1.0
    if turn.cost_usd is not None:
        yield COST_USD, float(turn.cost_usd)
    qualities = [task.quality for task in turn.tasks if task.wrote_reply and task.quality is not None]
    if qualities:
        yield QUALITY_SCORE, qualities[-1]
    if turn.state is State.COMPLETED:
        yield CONVERSION, 1.0
        if head.episode_began_at is not None:
            yield RESOLUTION_SECONDS, (turn.at - head.episode_began_at).total_seconds()
    if was_classified(turn):
        yield CLASSIFICATION, 1.0
        yield CLASSIFICATION_HELD, 1.0
        if gave_up(turn):
            yield from CORRECTED


def _named(kind: type[S], key: str, picks: _Picks) -> S | None:
    """Return the member that a flag names; None without the flag, and where it names none."""
    name = picks.of(key, "")
    if name and name not in list(kind):
        log.warning("flag.unusable", setting=key)
        return None
    return kind(name) if name else None


# A person who is back so soon had not come to the end.
BACK_WITHIN = timedelta(minutes=10)
# Where a classification led, and where an operator put the conversation afterwards.
_OVERRULED = {(State.PROCESSING, State.ESCALATING), (State.COMPLETED, State.INIT), (State.SPAM, State.INIT)}


def classification(decision: StateDecision, conversation: Conversation, at: datetime) -> Classification:
    """Return what is kept of a followed decision, until the next one."""
    return Classification(
        dest=decision.next_state, business_line=decision.business_line, arms=conversation.tuning.arms, at=at
    )


def taken_back(before: Classification | None, decision: StateDecision, at: datetime) -> Classification | None:
    """Return the classification before, where this decision shows that the person has just taken it back.

    Either the person goes on with another business line at once, or is back soon after the end with a matter of a
    business line, or with one for a person of the team. Thanks and greetings have no line.
    """
    if before is None:
        return None
    if before.dest is State.COMPLETED:
        has_matter = decision.business_line is not None or decision.next_state is State.ESCALATING
        return before if has_matter and at - before.at <= BACK_WITHIN else None
    lines = {before.business_line, decision.business_line} - {None}
    return before if before.dest is State.PROCESSING and len(lines) == 2 else None


def overruled(before: Conversation, after: State) -> Classification | None:
    """Return the classification before, where an operator puts the conversation elsewhere than it led to.

    An operator who calls a person takes over from an assistant that went on; one who reopens undoes an end. Handing
    back and closing say nothing of how it was understood.
    """
    found = before.classified
    return found if found is not None and (found.dest, after) in _OVERRULED else None


def gave_up(turn: TurnRecord) -> bool:
    """Whether a person was called because it could not be understood what was meant, after asking."""
    return turn.reason == TurnReason.UNCLEAR and turn.state is State.ESCALATING


def was_classified(turn: TurnRecord) -> bool:
    """Whether the engine followed a decision of Task 1, or gave up; a question back is neither."""
    return turn.confidence is not None and (turn.reason != TurnReason.UNCLEAR or gave_up(turn))
