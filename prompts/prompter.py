"""The tasks of a turn: state, response and message type in the order of an architecture; then the judge."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self, TypeAlias, TypeVar

from contracts.calls import Deadline, Listener, TurnCost
from contracts.conversation import Architecture, TaskRecord
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision, TurnAnswer
from contracts.errors import UnusableModelOutputError, WorkerError
from contracts.values import ConversationId, Value
from observability.metrics import FALLBACKS, SPECULATIONS, TEMPLATE_SECONDS
from prompts.caching.questions import CachePolicy, shown
from prompts.execution.executor import Executor, ModelCalls, PromptTask, Strategy, TaskResult
from prompts.request import TurnView
from prompts.tasks import merged, message_type, response, state
from prompts.tasks.registry import TURN_TASKS
from prompts.tasks.task import Task
from prompts.templating.registry import PromptVersions

A = TypeVar("A", bound=Value)

TURN_TEMPLATES = tuple(task.template for task in TURN_TASKS)
# Share of a turn's budget for the model; the rest takes the reply to the person, a fixed one without an answer.
SHARE_FOR_THINKING = 0.9


@dataclass(eq=False)
class Prompter:
    """The tasks of a turn, asked of a model. Holds no state of a conversation.

    `models` are by the task's name. `uses_cache` and `uses_batching` are the defaults of conversations for which
    nothing else was chosen; without a `cache_policy` there is no cache at all. `monotonic` gives seconds.
    """

    executor: Executor
    versions: PromptVersions
    models: Mapping[str, str]
    call_timeout: timedelta
    turn_budget: timedelta
    monotonic: Callable[[], float]
    strategy: Strategy = Strategy.BALANCED
    cache_policy: CachePolicy | None = None
    uses_cache: bool = True
    uses_batching: bool = False

    def __post_init__(self) -> None:
        for name in TURN_TEMPLATES:
            self.versions.template(name, {})

    def versions_for(self, conversation_id: ConversationId) -> dict[str, int]:
        """Return the template versions that a conversation which begins now keeps to its end."""
        return self.versions.chosen(TURN_TEMPLATES, conversation_id)

    def has_version(self, name: str, version: int) -> bool:
        """Whether there is a template of that name and version to choose."""
        return self.versions.has(name, version)

    def begin_calls(self, cost: TurnCost | None = None) -> ModelCalls:
        thinking = self.turn_budget * SHARE_FOR_THINKING
        return ModelCalls(self.monotonic(), Deadline(thinking, self.monotonic), cost or TurnCost())

    def tasks(self, architecture: Architecture | None, calls: ModelCalls, *, is_shown: bool = False) -> "ThreeTasks":
        """Return the tasks of one draft, in the order of the architecture; None: three tasks.

        `is_shown`: the channel shows the reply while it forms.
        """
        match architecture:
            case Architecture.MERGED:
                return MergedTask(self, calls, is_shown=is_shown)
            case Architecture.SPECULATIVE:
                return SpeculativeTasks(self, calls, is_shown=is_shown)
        return ThreeTasks(self, calls, is_shown=is_shown)

    def generate_response(
        self, view: TurnView, calls: ModelCalls, listener: Listener | None = None
    ) -> Coroutine[Any, Any, TaskResult[ResponseDraft]]:
        """Task 2. `view.decision` is set; `view.rewrite` has the sentences that an earlier draft was withheld for.

        `listener` receives the answer, which is JSON, while it forms.
        """
        return self.ask(response.TASK, view, calls, listener)

    async def keep(self, response: TaskResult[ResponseDraft]) -> None:
        """Let the cache keep a reply that the gate has let pass."""
        await self.executor.keep(response)

    def identity(self, task: Task[TurnView, Any], view: TurnView) -> tuple[str, str]:
        """Return the template, with its hash, and the model that a task of the conversation is asked with."""
        template = self.versions.template(task.template, view.conversation.prompt_versions)
        return template.label, self._model_of(task, view)

    def _model_of(self, task: Task[TurnView, Any], view: TurnView) -> str:
        """Return the model that flags chose for the task, or for the one whose setting it shares; else the setting."""
        chosen = view.conversation.tuning.models
        setting = task.model_setting.removeprefix("model_")
        return chosen.get(task.name) or chosen.get(setting) or self.models[task.name]

    def ask(
        self, task: Task[TurnView, A], view: TurnView, calls: ModelCalls, listener: Listener | None = None
    ) -> Coroutine[Any, Any, TaskResult[A]]:
        """Ask any task, in the versions and with the tuning that the conversation keeps."""
        tuning, started, policy = view.conversation.tuning, self.monotonic(), self.cache_policy
        is_cached = self.uses_cache if tuning.cache is None else tuning.cache
        if policy is not None:
            narrowed = policy.narrowed(semantic=tuning.cache_semantic, template=tuning.cache_template)
            policy = narrowed if is_cached and not view.has_media else None
        named, view = view, shown(task.name, view) if policy is not None else view
        template = self.versions.template(task.template, view.conversation.prompt_versions)
        request = task.request(view, template, model=self._model_of(task, view), timeout=self.call_timeout)
        name = template.label.partition("@")[0]
        TEMPLATE_SECONDS.labels(task.name, name).observe(self.monotonic() - started)
        prompt = PromptTask(
            name=task.name,
            template=template.label,
            request=request,
            check=lambda answer: task.check(answer, view),
            judge=lambda value: task.scores(value, view),
            strategy=self.strategy if tuning.strategy is None else Strategy(tuning.strategy),
            batched=self.uses_batching if tuning.batching is None else tuning.batching,
            listener=listener,
            question=lambda model: policy.question(task.name, template.label, model, named) if policy else None,
            gated=task.gated,
            repairs=task.repairs,
        )
        return self.executor.run(prompt, calls)


Written: TypeAlias = tuple[TaskResult[ResponseDraft], TaskResult[MessageTypeChoice]]


class HeldText:
    """Listener that keeps an answer while it forms, until a receiver may follow it."""

    def __init__(self) -> None:
        self.text = ""
        self._is_whole = False
        self._receiver: Listener | None = None

    def begin(self) -> None:
        self.text, self._is_whole = "", False
        if self._receiver is not None:
            self._receiver.begin()

    async def on_token(self, piece: str) -> None:
        self.text += piece
        if self._receiver is not None:
            await self._receiver.on_token(piece)

    async def end(self) -> None:
        self._is_whole = True
        if self._receiver is not None:
            await self._receiver.end()

    async def follow(self, receiver: Listener) -> None:
        """Let a receiver take the answer as far as it has come, and all that comes from now on."""
        self._receiver = receiver
        await receiver.on_token(self.text)
        if self._is_whole:
            await receiver.end()


class HeldAnswer(HeldText):
    """Merged answer that is held; `decided` is its state, as soon as that is complete and leads to a reply."""

    def __init__(self, view: TurnView) -> None:
        super().__init__()
        self._view = view
        self.decided: asyncio.Future[StateDecision] = asyncio.get_running_loop().create_future()

    async def on_token(self, piece: str) -> None:
        await super().on_token(piece)
        if not self.decided.done() and (decision := merged.state_so_far(self.text, self._view)) is not None:
            self.decided.set_result(decision)


class ThreeTasks:
    """Task 1, then Tasks 2 and 3 at the same time: neither needs the other's answer.

    `records` are those of the tasks that have ended and whose record was not taken yet. The context ends calls that are
    under way.
    """

    def __init__(self, prompter: Prompter, calls: ModelCalls, *, is_shown: bool) -> None:
        self._prompter = prompter
        self._calls = calls
        self._is_shown = is_shown
        self._ahead: tuple[asyncio.Task[TaskResult[Any]], ...] = ()
        self.records: list[TaskRecord] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._drop()

    async def select_state(self, view: TurnView) -> StateDecision | WorkerError | None:
        """Decide, or return what kept the task from it; `view.limits` are those of the channel."""
        result = await self._prompter.ask(state.TASK, view, self._calls)
        self.records.append(result.record)
        return result.value or result.error

    async def write_and_shape(self, view: TurnView, listener: Listener | None = None) -> Written:
        """Write the reply to `view.decision` and choose its form. `listener` receives the answer while it forms."""
        async with asyncio.TaskGroup() as both:
            words = both.create_task(self._prompter.generate_response(view, self._calls, listener))
            form = both.create_task(self._prompter.ask(message_type.TASK, view, self._calls))
        self.records += (words.result().record, form.result().record)
        return words.result(), form.result()

    async def _drop(self) -> None:
        """End the calls under way, which are billed all the same, and record what came in vain."""
        if not self._ahead:
            return
        ahead, self._ahead = self._ahead, ()
        for one in ahead:
            one.cancel()
        await asyncio.wait(ahead)
        in_vain = [one.result().record for one in ahead if not one.cancelled()]
        self.records += (record.model_copy(update={"outcome": "dropped", "quality": None}) for record in in_vain)
        self.records += self._calls.dropped
        self._calls.dropped.clear()


class MergedTask(ThreeTasks):
    """One call for all three; what is unusable in its answer, the three tasks are asked for in its place.

    Where the reply is shown while it forms, the state is followed as soon as it is written, and the call goes on.
    """

    _held: HeldAnswer | None = None
    _answered: TaskResult[TurnAnswer] | None = None

    async def select_state(self, view: TurnView) -> StateDecision | WorkerError | None:
        self._held = HeldAnswer(view) if self._is_shown else None
        call = asyncio.create_task(self._prompter.ask(merged.TASK, view, self._calls, self._held))
        self._ahead = (call,)
        if self._held is not None:
            await asyncio.wait((call, self._held.decided), return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                return self._held.decided.result()
        answered = await self._whole()
        if isinstance(answered.error, UnusableModelOutputError):
            return await super().select_state(view)
        return answered.value.state if answered.value else answered.error

    async def write_and_shape(self, view: TurnView, listener: Listener | None = None) -> Written:
        is_ahead = self._answered is None
        if is_ahead and self._held is not None and listener is not None:
            await self._held.follow(listener)
        answered = self._answered or await self._whole()
        value = answered.value
        # A call that was repeated may have decided otherwise than the state that was followed.
        if value is None or value.response is None or (is_ahead and value.state != view.decision):
            return await super().write_and_shape(view, listener)
        return TaskResult(value.response, answered.record), TaskResult(value.message_type, answered.record)

    async def _whole(self) -> TaskResult[TurnAnswer]:
        self._answered = answered = await self._ahead[0]
        self._ahead = ()
        self.records.append(answered.record)
        if isinstance(answered.error, UnusableModelOutputError):
            FALLBACKS.labels(reason="merged").inc()
        return answered


class SpeculativeTasks(ThreeTasks):
    """Tasks 2 and 3 begin with Task 1, on the most probable decision, and are dropped when it decides otherwise.

    A dropped reply is seen by no person: what has formed of a kept one is shown once Task 1 agrees.
    """

    _held: HeldText | None = None

    async def select_state(self, view: TurnView) -> StateDecision | WorkerError | None:
        likely = state.likely_decision(view)
        if likely is not None:
            known = {"business_line": likely.business_line, "intent": likely.intent}
            going_on = view.conversation.model_copy(update={**known, "waiting_for": likely.waiting_for})
            guessed = replace(view, decision=likely, conversation=going_on)
            self._held = HeldText() if self._is_shown else None
            self._ahead = (
                asyncio.create_task(self._prompter.generate_response(guessed, self._calls, self._held)),
                asyncio.create_task(self._prompter.ask(message_type.TASK, guessed, self._calls)),
            )
        decided = await super().select_state(view)
        if likely is None or not isinstance(decided, StateDecision) or not state.foresees(likely, decided):
            await self._drop()
        return decided

    async def write_and_shape(self, view: TurnView, listener: Listener | None = None) -> Written:
        if not self._ahead:
            return await super().write_and_shape(view, listener)
        if self._held is not None and listener is not None:
            await self._held.follow(listener)
        words, form = await self._ahead[0], await self._ahead[1]
        self._ahead = ()
        SPECULATIONS.labels(outcome="kept").inc()
        self.records += (words.record, form.record)
        return words, form

    async def _drop(self) -> None:
        if self._ahead:
            SPECULATIONS.labels(outcome="dropped").inc()
        await super()._drop()
