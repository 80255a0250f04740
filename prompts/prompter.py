"""The three tasks of a turn: state; then response and message type."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from contracts.calls import Deadline, Listener, TurnCost
from contracts.conversation import State, TaskName, WaitingFor
from contracts.decisions import MAX_OPTIONS, MessageTypeChoice, ResponseDraft, StateDecision
from contracts.errors import UnusableModelOutputError
from contracts.messages import MessageType
from contracts.ports import ChannelLimits, ModelRequest
from contracts.values import ConversationId
from observability.metrics import note_render
from prompts.caching.questions import CachePolicy, Question
from prompts.execution.executor import Executor
from prompts.execution.prompt_task import PromptTask, TaskResult, TurnClock, unanswered
from prompts.execution.quality import response_scores
from prompts.execution.strategies import Strategy, TaskModels
from prompts.language import base_language, likely_language
from prompts.request import TurnView, build_request
from prompts.tasks import schemas
from prompts.templating.registry import PromptTemplate
from prompts.templating.versions import PromptVersions


class Prompter:
    """Asks the model the three questions. Holds no state of a conversation.

    `uses_cache` and `uses_batching` hold for conversations for which nothing else was chosen; without a `cache_policy`
    there is no cache for anybody.
    """

    def __init__(
        self,
        executor: Executor,
        versions: PromptVersions,
        models: TaskModels,
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
        self._models = models
        self._call_timeout = call_timeout
        self._turn_budget = turn_budget
        self._monotonic = monotonic
        self._strategy = strategy
        self._cache_policy = cache_policy
        self.uses_cache = uses_cache
        self.uses_batching = uses_batching
        self._versions = versions
        for name in TURN_TEMPLATES:
            versions.template(name, {})

    def versions_for(self, conversation_id: ConversationId) -> dict[str, int]:
        """The versions of templates that a conversation which begins now keeps to its end."""
        return self._versions.chosen(TURN_TEMPLATES, conversation_id)

    def has_version(self, name: str, version: int) -> bool:
        """Whether there is a template of that name and version to choose."""
        return self._versions.has(name, version)

    def start_clock(self, cost: TurnCost | None = None) -> TurnClock:
        thinking = self._turn_budget * SHARE_FOR_THINKING
        return TurnClock(self._monotonic(), Deadline(thinking, self._monotonic), cost or TurnCost())

    async def select_state(self, view: TurnView, clock: TurnClock) -> TaskResult[StateDecision]:
        """Task 1, always first: everything after it depends on what it decides."""
        institution, template = view.institution, self._template("select_state", view)
        schema = schemas.state_schema(
            states=view.allowed_states,
            lines=[line.id for line in institution.lines],
            intents=[intent.id for intent in institution.intents],
            fields=[field.id for field in institution.fields],
            askable=view.askable_fields,
        )
        task = PromptTask(
            name=TaskName.STATE,
            template=template.label,
            request=self._request(TaskName.STATE, template, view, schema),
            check=lambda text: check_state_decision(text, view),
            strategy=self._strategy_for(view),
            batched=self._batches(view),
            question=self._question(TaskName.STATE, template, view),
        )
        return await self._executor.run(task, clock)

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
            response = both.create_task(self.generate_response(decided, clock, listener))
            message_type = both.create_task(self.select_message_type(decided, limits, clock))
        return response.result(), message_type.result()

    async def generate_response(
        self, view: TurnView, clock: TurnClock, listener: Listener | None = None
    ) -> TaskResult[ResponseDraft]:
        """Task 2. `view.decision` is set; `view.rewrite` names the rules an earlier draft broke.

        `listener` hears the answer, which is JSON, while it forms.
        """
        template = self._template("generate_response", view)
        languages = _fitting_languages(view)
        task = PromptTask(
            name=TaskName.RESPONSE,
            template=template.label,
            request=self._request(TaskName.RESPONSE, template, view, schemas.response_schema()),
            check=ResponseDraft.model_validate_json,
            judge=lambda draft: response_scores(draft, languages=languages),
            strategy=self._strategy_for(view),
            batched=self._batches(view),
            listener=listener,
            question=self._question(TaskName.RESPONSE, template, view),
            gated=True,
        )
        return await self._executor.run(task, clock)

    async def select_message_type(
        self, view: TurnView, limits: ChannelLimits, clock: TurnClock
    ) -> TaskResult[MessageTypeChoice]:
        """Task 3. Only the types of this channel are offered, and of the assets only those it can carry."""
        types = [kind for kind in OFFERED_TYPES if kind in limits.types]
        assets = [asset.id for asset in view.institution.assets if asset.type in limits.types]
        template = self._template("select_message_type", view)
        schema = schemas.message_type_schema(types=types, assets=assets)
        task = PromptTask(
            name=TaskName.MESSAGE_TYPE,
            template=template.label,
            request=self._request(TaskName.MESSAGE_TYPE, template, view, schema),
            check=MessageTypeChoice.model_validate_json,
            strategy=self._strategy_for(view),
            batched=self._batches(view),
            question=self._question(TaskName.MESSAGE_TYPE, template, view),
        )
        return await self._executor.run(task, clock)

    def _request(
        self, task: TaskName, template: PromptTemplate, view: TurnView, schema: dict[str, Any]
    ) -> ModelRequest:
        started = self._monotonic()
        request = build_request(
            template,
            view,
            model=view.conversation.tuning.models.get(task, self._models.of(task)),
            schema_name=SCHEMA_NAMES[task],
            schema=schema,
            timeout=self._call_timeout,
        )
        note_render(task, self._monotonic() - started)
        return request

    async def keep(self, response: TaskResult[ResponseDraft]) -> None:
        """The gate had nothing against the words: from now on they may be given again."""
        await self._executor.keep(response)

    def _question(self, task: TaskName, template: PromptTemplate, view: TurnView) -> Callable[[str], Question | None]:
        """What is asked, in the cache's terms, of whatever model the strategy chooses."""
        tuning, policy = view.conversation.tuning, self._cache_policy
        is_wanted = self.uses_cache if tuning.cache is None else tuning.cache
        if policy is None or not is_wanted:
            return unanswered
        policy = policy.narrowed(semantic=tuning.cache_semantic, template=tuning.cache_template)
        return lambda model: policy.question(task, template.label, model, view)

    def _strategy_for(self, view: TurnView) -> Strategy:
        chosen = view.conversation.tuning.strategy
        return self._strategy if chosen is None else Strategy(chosen)

    def _batches(self, view: TurnView) -> bool:
        chosen = view.conversation.tuning.batching
        return self.uses_batching if chosen is None else chosen

    def _template(self, name: str, view: TurnView) -> PromptTemplate:
        return self._versions.template(name, view.conversation.prompt_versions)


SCHEMA_NAMES = {
    TaskName.STATE: "state_decision",
    TaskName.RESPONSE: "response_draft",
    TaskName.MESSAGE_TYPE: "message_type_choice",
}

# Of a turn's budget: what is left takes the reply to the person, also when it is a fixed one because no answer came.
SHARE_FOR_THINKING = 0.9
TURN_TEMPLATES = ("select_state", "generate_response", "select_message_type")

# What a reply can be. Templates and reactions are sent by rules of the engine, not chosen by the model.
OFFERED_TYPES = tuple(kind for kind in MessageType if kind not in (MessageType.TEMPLATE, MessageType.REACTION))


def check_state_decision(text: str, view: TurnView) -> StateDecision:
    """Parse Task 1's answer and hold it against the table and the institution.

    Raises:
        ValidationError: it is not of the schema's shape.
        UnusableModelOutputError: it names a state, line, intent or field that is not allowed now.
    """
    decision = StateDecision.model_validate_json(text)
    institution = view.institution
    _require(decision.next_state in view.allowed_states, f"next_state must be one of {_names(view.allowed_states)}")
    _require(
        decision.business_line is None or institution.line(decision.business_line) is not None,
        "business_line must be an id of the institution's lines or null",
    )
    _require(
        decision.intent is None or institution.intent(decision.intent) is not None,
        "intent must be an id of the taxonomy or null",
    )
    _require(
        all(institution.field(collected.name) is not None for collected in decision.collected),
        "collected may only name ids of the institution's fields",
    )
    _require(
        decision.ask_field is None or decision.ask_field in view.askable_fields,
        "ask_field must be one of askable_fields or null",
    )
    return decision


def fallback_message_type(decision: StateDecision) -> MessageTypeChoice:
    """The form that Task 3 would most often choose, for when it has no answer."""
    if not decision.options:
        return MessageTypeChoice(type=MessageType.TEXT)
    return MessageTypeChoice(type=MessageType.BUTTON if len(decision.options) <= 3 else MessageType.LIST)


def clarification(decision: StateDecision, options: tuple[str, ...]) -> StateDecision:
    """The decision to ask what was meant, offering `options`."""
    return decision.model_copy(
        update={
            "next_state": State.PROCESSING,
            "waiting_for": WaitingFor.CLARIFICATION,
            "ask_field": None,
            "options": options[:MAX_OPTIONS],
        }
    )


def _fitting_languages(view: TurnView) -> frozenset[str]:
    """The institution's language, and the one the person has just written in."""
    written = likely_language(" ".join(message.text for message in view.messages))
    return frozenset({base_language(view.institution.language), *([written] if written else [])})


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UnusableModelOutputError(message)


def _names(states: Sequence[State]) -> str:
    return ", ".join(state.value for state in states)
