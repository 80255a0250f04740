"""How an episode is worked on, chosen at its first turn: by experiments, then flags, then the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from openfeature.evaluation_context import EvaluationContext

from contracts.conversation import Conversation, State, TaskName, Tuning, TurnRecord
from contracts.delivery import TurnCommit
from contracts.ports import Clock, Records
from contracts.values import ConversationId
from flags.choices import PROMPTS, Assignment, Choices
from flags.observations import erase_person
from flags.recorder import CONVERSION, ERROR, QUALITY_SCORE, RESPONSE_TIME_MS, Recorder
from observability.logs import logger
from prompts.prompter import TURN_TEMPLATES, Prompter
from prompts.strategies import Strategy
from worker.rules import Course

log = logger(__name__)

V = TypeVar("V", bool, int, float, str)

# Beside the metric events that experiments know by name.
ESCALATION, UNCLEAR, COST_USD, RESOLUTION_SECONDS = "escalation", "unclear", "cost_usd", "resolution_seconds"


SATISFACTION = "satisfaction"
RATED = {Course.SATISFIED.value: 1.0, Course.UNSATISFIED.value: 0.0}


class Tuner(Protocol):
    """Chooses for an episode, and tells what became of those for whom chance chose."""

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        """The fields of the head that hold what was chosen; asks nobody and never fails."""
        ...

    def observe(self, commit: TurnCommit) -> None:
        """A turn was committed: the person has met what was chosen for them."""
        ...

    async def forget(self, conversation_id: ConversationId) -> None:
        """Leave nothing of an erased person.

        Raises:
            StoreUnavailableError: something may be left; do it again.
        """
        ...


@dataclass(frozen=True)
class SettingsTuner:
    """Everything as the settings say, for everybody. `salt` made the pseudonyms that other processes have written."""

    prompter: Prompter
    store: Records
    clock: Clock
    salt: str

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        return {"prompt_versions": self.prompter.versions_for(conversation.id), "tuning": Tuning()}

    def observe(self, commit: TurnCommit) -> None:
        return

    async def forget(self, conversation_id: ConversationId) -> None:
        await erase_person(self.store, conversation_id, salt=self.salt.encode(), at=self.clock.now())


@dataclass(frozen=True)
class FlagTuner:
    """Asks experiments, then flags; what neither says is the settings'.

    `language` is the institution's. `asks_prompts` is off where a switch has chosen the templates' versions.
    """

    prompter: Prompter
    choices: Choices
    recorder: Recorder
    language: str
    asks_prompts: bool

    def chosen(self, conversation: Conversation) -> Mapping[str, Any]:
        picks = _Picks(self.choices, _context(conversation, self.language))
        versions = self.prompter.versions_for(conversation.id)
        if self.asks_prompts:
            wanted = {name: picks.of(PROMPTS + name, 0) for name in TURN_TEMPLATES}
            versions |= {name: version for name, version in wanted.items() if self.prompter.has_version(name, version)}
        models = {task.value: picks.of(f"models.{task}", "") for task in TURN_TASKS}
        tuning = Tuning(
            models={task: model for task, model in models.items() if model},
            strategy=_strategy(picks.of("strategy", "")),
            cache=picks.of("cache", self.prompter.uses_cache),
            cache_semantic=picks.of("cache.semantic", True),
            cache_template=picks.of("cache.template", True),
            batching=picks.of("batching", self.prompter.uses_batching),
            ask_below=_share(picks.of("confidence.ask_below", -1.0)),
            arms=tuple(map(str, picks.assignments)),
        )
        return {"prompt_versions": versions, "tuning": tuning}

    def observe(self, commit: TurnCommit) -> None:
        head, turn = commit.conversation, commit.turn
        arms = [Assignment(*arm.split("=", 1)) for arm in head.tuning.arms]
        if not arms or turn is None:
            return
        if turn.reason in RATED:
            self.recorder.note(arms, head.id, SATISFACTION, RATED[turn.reason])
        # A turn that asked no model was not worked on in any way that was chosen.
        if not turn.tasks:
            return
        self.recorder.expose(arms, head.id)
        for metric, value in _metrics(head, turn).items():
            self.recorder.note(arms, head.id, metric, value)

    async def forget(self, conversation_id: ConversationId) -> None:
        await self.recorder.erase(conversation_id)


TURN_TASKS = (TaskName.STATE, TaskName.RESPONSE, TaskName.MESSAGE_TYPE)


@dataclass
class _Picks:
    """Asks one key after the other, and remembers in which arms that put the person; each once."""

    choices: Choices
    context: EvaluationContext
    assignments: dict[Assignment, None] = field(default_factory=dict)

    def of(self, key: str, default: V) -> V:
        choice = self.choices.value(key, default, self.context)
        self.assignments |= dict.fromkeys(choice.assignments)
        return choice.value


def _context(conversation: Conversation, language: str) -> EvaluationContext:
    channel = conversation.address.channel.value if conversation.address else "unknown"
    attributes: dict[str, Any] = {
        "channel": channel,
        "language": language,
        "returning": bool(conversation.previous_episodes),
    }
    if conversation.business_line:
        attributes["business_line"] = conversation.business_line
    return EvaluationContext(targeting_key=conversation.id, attributes=attributes)


def _metrics(head: Conversation, turn: TurnRecord) -> dict[str, float]:
    """What a turn says of the arms that its person is in."""
    found: dict[str, float] = {ERROR: float(turn.fallback), ESCALATION: float(turn.state is State.ESCALATING)}
    if turn.received_at is not None:
        found[RESPONSE_TIME_MS] = (turn.at - turn.received_at).total_seconds() * 1000
    if turn.reason == "unclear":
        found[UNCLEAR] = 1.0
    if turn.cost_usd is not None:
        found[COST_USD] = float(turn.cost_usd)
    qualities = [task.quality for task in turn.tasks if task.task is TaskName.RESPONSE and task.quality is not None]
    if qualities:
        found[QUALITY_SCORE] = qualities[-1]
    if turn.state is State.COMPLETED:
        found[CONVERSION] = 1.0
        if head.episode_began_at is not None:
            found[RESOLUTION_SECONDS] = (turn.at - head.episode_began_at).total_seconds()
    # Of what did not happen there is no event: shares are of the persons who have met the arm.
    return {name: value for name, value in found.items() if value or name not in (ERROR, ESCALATION)}


def _strategy(name: str) -> str | None:
    if name and name not in list(Strategy):
        log.warning("flag.unusable", setting="strategy")
        return None
    return name or None


def _share(value: float) -> float | None:
    return value if 0 <= value <= 1 else None
