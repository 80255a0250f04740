"""One prompt task: check, repair, retry, another model, and the bill of all of it."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from adapters.channels.web import LIMITS
from contracts.conversation import Conversation, State, TaskRecord
from contracts.decisions import StateDecision
from contracts.errors import ModelRequestRejectedError, ModelUnavailableError, UnusableModelOutputError
from contracts.messages import ChannelName
from contracts.ports import Effort, ModelRequest, ModelResponse, TextHeard
from contracts.values import ConversationId
from observability.metrics import PROMPT_CACHE_MISSED
from prompts.execution.executor import PromptCacheWatch, PromptTask, Strategies, Strategy
from prompts.execution.policies import ATTEMPTS, BreakerLimits, Breakers
from prompts.request import TurnView
from prompts.tasks import state
from tests.builders import agreeable, decision, inbound, prompter, pyloto, response, scripted
from tests.scripted import ScriptedModel


def view(**changes: object) -> TurnView:
    institution = pyloto()
    base = TurnView(
        institution=institution,
        conversation=Conversation(id=ConversationId("c"), state=State.UNDERSTANDING_INTENT),
        messages=(inbound(),),
        channel=ChannelName.WEB,
        allowed_states=(State.PROCESSING, State.ESCALATING),
        askable_fields=("name",),
    )
    return TurnView(**{**base.__dict__, **changes})  # type: ignore[arg-type]


async def ask(model: ScriptedModel, **options: object):  # type: ignore[no-untyped-def]
    asker = prompter(model, **options)
    return await asker.ask(state.TASK, view(), asker.begin_calls())


async def test_a_good_answer_is_taken_as_it_is() -> None:
    result = await ask(scripted(state=decision(intent="greeting")))
    assert result.value is not None
    assert (result.value.next_state, result.value.intent) == (State.PROCESSING, "greeting")
    assert (result.record.outcome, result.record.calls) == ("ok", 1)
    assert result.record.template.startswith("select_state_v1@")


@pytest.mark.parametrize(
    "bad",
    [
        "not json",
        "",
        "{}",
        decision(next_state="SPAM"),
        decision(next_state="NOWHERE"),
        decision(confidence=1.5),
        decision(business_line="bank"),
        decision(intent="made-up"),
        decision(collected=[{"name": "password", "value": "x"}]),
        decision(ask_field="company"),
        decision(options=["x"] * 11),
        decision(extra="field"),
        '{"next_state": NaN}',
    ],
)
async def test_a_bad_answer_is_repaired_once(bad: str) -> None:
    model = scripted(state=[bad, decision()])
    result = await ask(model)
    assert result.value is not None
    assert (result.record.outcome, result.record.calls) == ("repaired", 2)
    repair = model.requests[1]
    assert repair.repair_of == bad
    assert repair.repair_reason


async def test_an_answer_that_stays_bad_is_an_error_with_its_bill() -> None:
    result = await ask(scripted(state="no json"))
    assert result.value is None
    assert isinstance(result.error, UnusableModelOutputError)
    assert (result.record.outcome, result.record.calls) == ("failed", 2)
    assert result.record.tokens.input > 0
    assert result.record.cost_usd is not None


class Stubborn(ScriptedModel):
    """Fails a number of times before it answers."""

    def __init__(self, errors: list[Exception], stop_reason: str = "end_turn") -> None:
        super().__init__(agreeable)
        self.errors = errors
        self.stop_reason = stop_reason

    async def complete(self, request: ModelRequest, *, on_text: TextHeard | None = None) -> ModelResponse:
        if self.errors:
            self.requests.append(request)
            raise self.errors.pop(0)
        return (await super().complete(request)).model_copy(update={"stop_reason": self.stop_reason})


async def test_an_overloaded_model_is_asked_again() -> None:
    model = Stubborn([ModelUnavailableError("529")] * (ATTEMPTS - 1))
    result = await ask(model)
    assert result.value is not None
    assert len(model.requests) == ATTEMPTS


async def test_after_the_last_attempt_it_is_an_error() -> None:
    model = Stubborn([ModelUnavailableError("529")] * 10)
    result = await ask(model)
    assert isinstance(result.error, ModelUnavailableError)
    assert len(model.requests) == ATTEMPTS


async def test_the_last_attempt_asks_the_fallback_model() -> None:
    model = Stubborn([ModelUnavailableError("529")] * (ATTEMPTS - 1))
    result = await ask(model, fallback_model="claude-sonnet-5-5")
    assert result.value is not None
    assert [request.model for request in model.requests][-1] == "claude-sonnet-5-5"
    assert result.record.outcome == "fallback_model"


async def test_a_refused_request_is_not_repeated_to_the_same_model() -> None:
    model = Stubborn([ModelRequestRejectedError("400")] * 5)
    result = await ask(model)
    assert isinstance(result.error, ModelRequestRejectedError)
    assert len(model.requests) == 1


async def test_a_refused_request_goes_to_the_fallback_model() -> None:
    model = Stubborn([ModelRequestRejectedError("400")])
    result = await ask(model, fallback_model="claude-sonnet-5-5")
    assert result.value is not None
    assert [request.model for request in model.requests] == ["claude-haiku-5-5", "claude-sonnet-5-5"]


@pytest.mark.parametrize("stop_reason", ["refusal", "max_tokens"])
async def test_an_answer_that_was_refused_or_cut_is_no_answer(stop_reason: str) -> None:
    result = await ask(Stubborn([], stop_reason))
    assert isinstance(result.error, UnusableModelOutputError)
    assert result.record.tokens.output > 0


async def test_a_wish_to_wait_longer_than_the_turn_has_is_not_granted() -> None:
    model = Stubborn([ModelUnavailableError("429", retry_after=timedelta(hours=1))])
    started = time.monotonic()
    result = await ask(model)
    assert isinstance(result.error, ModelUnavailableError)
    assert time.monotonic() - started < 5


async def test_a_turn_whose_time_is_used_up_asks_nobody() -> None:
    model = scripted()
    result = await ask(model, budget=timedelta(0))
    assert isinstance(result.error, ModelUnavailableError)
    assert model.requests == []


async def test_tasks_2_and_3_run_at_the_same_time() -> None:
    """Each of them waits until the other has begun: in turn, they would wait for ever."""
    begun = {"response_draft": asyncio.Event(), "message_type_choice": asyncio.Event()}

    async def answer(request: ModelRequest) -> str:
        if request.schema_name in begun:
            begun[request.schema_name].set()
            for event in begun.values():
                await event.wait()
        return await agreeable(request)

    asker = prompter(ScriptedModel(answer))
    clock = asker.begin_calls()
    decided = StateDecision(next_state=State.PROCESSING, confidence=1)
    async with asyncio.timeout(5):
        response, form = await asker.tasks(None, clock).write_and_shape(view(decision=decided, limits=LIMITS))
    assert response.value is not None
    assert form.value is not None
    assert response.record.started_ms < form.record.ended_ms
    assert form.record.started_ms < response.record.ended_ms


async def test_hooks_run_before_and_after_and_see_what_was_asked() -> None:
    seen: list[tuple[str, str]] = []

    def to_sonnet(task: PromptTask[Any]) -> PromptTask[Any]:
        return task.asking(model="claude-sonnet-5-5")

    def look(task: PromptTask[Any], record: TaskRecord) -> None:
        seen.append((task.request.model, record.outcome))

    model = scripted()
    result = await ask(model, before=[to_sonnet], after=[look])
    assert model.requests[0].model == result.record.model == "claude-sonnet-5-5"
    assert seen == [("claude-sonnet-5-5", "ok")]


async def test_a_hook_that_refuses_fails_the_task_and_the_others_hear_of_it() -> None:
    outcomes: list[str] = []

    def refuse(task: PromptTask[Any]) -> PromptTask[Any]:
        raise UnusableModelOutputError("not today")

    model = scripted()
    result = await ask(model, before=[refuse], after=[lambda _, record: outcomes.append(record.outcome)])
    assert isinstance(result.error, UnusableModelOutputError)
    assert (model.requests, outcomes) == ([], ["failed"])


async def test_a_strategy_of_quality_asks_for_effort() -> None:
    model = scripted()
    strategies = Strategies(quality_model="claude-opus-5-5")
    await ask(model, before=[strategies], strategy=Strategy.QUALITY)
    assert [(request.model, request.effort) for request in model.requests] == [("claude-opus-5-5", Effort.HIGH)]


async def test_an_open_circuit_sends_the_first_attempt_to_the_fallback_model() -> None:
    model = Stubborn([ModelUnavailableError("529")] * 100)
    breakers = Breakers(monotonic=time.monotonic, limits=BreakerLimits(first_pause=timedelta(hours=1)))
    for _ in range(BreakerLimits().failures):
        await ask(model, breakers=breakers)
    model.errors.clear()
    model.requests.clear()
    result = await ask(model, breakers=breakers, fallback_model="claude-sonnet-5-5")
    assert [request.model for request in model.requests] == ["claude-sonnet-5-5"]
    assert (result.record.outcome, result.record.attempts) == ("fallback_model", 1)


async def test_an_open_circuit_without_a_fallback_model_is_an_answer_at_once() -> None:
    model = Stubborn([ModelUnavailableError("529")] * 100)
    breakers = Breakers(monotonic=time.monotonic, limits=BreakerLimits(first_pause=timedelta(hours=1)))
    for _ in range(BreakerLimits().failures):
        await ask(model, breakers=breakers)
    model.requests.clear()
    result = await ask(model, breakers=breakers)
    assert isinstance(result.error, ModelUnavailableError)
    assert model.requests == []


async def test_answers_are_scored() -> None:
    good = await ask(scripted(state=decision()))
    repaired = await ask(scripted(state=["no json", decision()]))
    failed = await ask(scripted(state="no json"))
    assert (good.record.quality, repaired.record.quality, failed.record.quality) == (1.0, 0.5, None)
    asker = prompter(scripted())
    decided = StateDecision(next_state=State.PROCESSING, confidence=1)
    response, _ = await asker.tasks(None, asker.begin_calls()).write_and_shape(view(decision=decided))
    assert set(response.record.scores) == {"schema", "length", "language"}


async def test_a_listener_hears_every_attempt_from_its_beginning() -> None:
    class Heard:
        def __init__(self) -> None:
            self.attempts: list[str] = []
            self.ended = 0

        def begin(self) -> None:
            self.attempts.append("")

        async def on_token(self, piece: str) -> None:
            self.attempts[-1] += piece

        async def end(self) -> None:
            self.ended += 1

    heard = Heard()
    answers = ["no json", response("Oi")]
    asker = prompter(scripted(text=answers))
    decided = StateDecision(next_state=State.PROCESSING, confidence=1)
    words, _ = await asker.tasks(None, asker.begin_calls()).write_and_shape(view(decision=decided), heard)
    assert words.value is not None
    assert (heard.attempts, heard.ended) == (answers, 2)


async def test_a_prefix_that_the_provider_does_not_cache_is_told_once() -> None:
    watch = PromptCacheWatch()
    before = _missed()
    model = scripted()
    for _ in range(3):
        await ask(model, after=[watch])
    assert _missed() == before + 3


def _missed() -> float:
    return PROMPT_CACHE_MISSED.labels(task="state")._value.get()
