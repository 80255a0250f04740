"""The tasks of a turn: state; then response and message type; then the judge of the draft."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from contracts.calls import Deadline, Listener, TurnCost
from contracts.decisions import MessageTypeChoice, ResponseDraft, StateDecision
from contracts.ports import ChannelLimits
from contracts.values import ConversationId, Value
from observability.metrics import TEMPLATE_SECONDS
from prompts.caching.questions import CachePolicy, shown
from prompts.execution.executor import Executor
from prompts.execution.prompt_task import PromptTask, TaskResult, TurnClock
from prompts.execution.strategies import Strategy
from prompts.request import TurnView
from prompts.tasks import message_type, response, state
from prompts.tasks.registry import TURN_TASKS
from prompts.tasks.task import Task
from prompts.templating.registry import PromptVersions

A = TypeVar("A", bound=Value)

TURN_TEMPLATES = tuple(task.template for task in TURN_TASKS)
# Share of a turn's budget for the model; the rest takes the reply to the person, a fixed one without an answer.
SHARE_FOR_THINKING = 0.9


class Prompter:
    """The tasks of a turn, asked of a model. Holds no state of a conversation.

    `models` are by the task's name. `uses_cache` and `uses_batching` are the defaults of conversations for which
    nothing else was chosen; without a `cache_policy` there is no cache at all. `monotonic` gives seconds.
    """

    def __init__(
        self,
        executor: Executor,
        versions: PromptVersions,
        models: Mapping[str, str],
        *,
        call_timeout: timedelta,
        turn_budget: timedelta,
        monotonic: Callable[[], float],
        strategy: Strategy = Strategy.BALANCED,
        cache_policy: CachePolicy | None = None,
        uses_cache: bool = True,
        uses_batching: bool = False,
    ) -> None:
        self._executor = executor
        self._versions = versions
        self._models = models
        self._call_timeout = call_timeout
        self._turn_budget = turn_budget
        self._monotonic = monotonic
        self._strategy = strategy
        self._cache_policy = cache_policy
        self.uses_cache = uses_cache
        self.uses_batching = uses_batching
        for name in TURN_TEMPLATES:
            versions.template(name, {})

    def versions_for(self, conversation_id: ConversationId) -> dict[str, int]:
        """Return the template versions that a conversation which begins now keeps to its end."""
        return self._versions.chosen(TURN_TEMPLATES, conversation_id)

    def has_version(self, name: str, version: int) -> bool:
        """Whether there is a template of that name and version to choose."""
        return self._versions.has(name, version)

    def start_clock(self, cost: TurnCost | None = None) -> TurnClock:
        thinking = self._turn_budget * SHARE_FOR_THINKING
        return TurnClock(self._monotonic(), Deadline(thinking, self._monotonic), cost or TurnCost())

    def select_state(self, view: TurnView, clock: TurnClock) -> Coroutine[Any, Any, TaskResult[StateDecision]]:
        """Task 1, always first: the others depend on its decision."""
        return self.ask(state.TASK, view, clock)

    async def write_and_shape(
        self,
        view: TurnView,
        decision: StateDecision,
        limits: ChannelLimits,
        clock: TurnClock,
        listener: Listener | None = None,
    ) -> tuple[TaskResult[ResponseDraft], TaskResult[MessageTypeChoice]]:
        """Tasks 2 and 3 at the same time: neither needs the other's answer."""
        decided = replace(view, decision=decision)
        async with asyncio.TaskGroup() as both:
            words = both.create_task(self.generate_response(decided, clock, listener))
            form = both.create_task(self.ask(message_type.TASK, replace(decided, limits=limits), clock))
        return words.result(), form.result()

    def generate_response(
        self, view: TurnView, clock: TurnClock, listener: Listener | None = None
    ) -> Coroutine[Any, Any, TaskResult[ResponseDraft]]:
        """Task 2. `view.decision` is set; `view.rewrite` has the sentences that an earlier draft was withheld for.

        `listener` receives the answer, which is JSON, while it forms.
        """
        return self.ask(response.TASK, view, clock, listener)

    async def keep(self, response: TaskResult[ResponseDraft]) -> None:
        """Let the cache keep a reply that the gate has let pass."""
        await self._executor.keep(response)

    def identity(self, task: Task[TurnView, Any], view: TurnView) -> tuple[str, str]:
        """Return the template, with its hash, and the model that a task of the conversation is asked with."""
        tuning = view.conversation.tuning
        template = self._versions.template(task.template, view.conversation.prompt_versions)
        return template.label, tuning.models.get(task.name, self._models[task.name])

    def ask(
        self, task: Task[TurnView, A], view: TurnView, clock: TurnClock, listener: Listener | None = None
    ) -> Coroutine[Any, Any, TaskResult[A]]:
        """Ask any task, in the versions and with the tuning that the conversation keeps."""
        tuning, started, policy = view.conversation.tuning, self._monotonic(), self._policy(view)
        named, view = view, shown(task.name, view) if policy is not None else view
        template = self._versions.template(task.template, view.conversation.prompt_versions)
        model = tuning.models.get(task.name, self._models[task.name])
        request = task.request(view, template, model=model, timeout=self._call_timeout)
        name = template.label.partition("@")[0]
        TEMPLATE_SECONDS.labels(task.name, name).observe(self._monotonic() - started)
        prompt = PromptTask(
            name=task.name,
            template=template.label,
            request=request,
            check=lambda answer: task.check(answer, view),
            judge=lambda value: task.scores(value, view),
            strategy=self._strategy if tuning.strategy is None else Strategy(tuning.strategy),
            batched=self.uses_batching if tuning.batching is None else tuning.batching,
            listener=listener,
            question=lambda model: policy.question(task.name, template.label, model, named) if policy else None,
            gated=task.gated,
        )
        return self._executor.run(prompt, clock)

    def _policy(self, view: TurnView) -> CachePolicy | None:
        """Return what the cache may do for the conversation; None when it is off."""
        tuning, policy = view.conversation.tuning, self._cache_policy
        is_wanted = self.uses_cache if tuning.cache is None else tuning.cache
        if policy is None or not is_wanted or view.has_media:
            return None
        return policy.narrowed(semantic=tuning.cache_semantic, template=tuning.cache_template)
