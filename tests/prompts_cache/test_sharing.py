"""What is gained on a model behind HTTP: one call for identical requests, one writer of a cold prefix."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.calls import CallContext
from contracts.conversation import TokenCount
from contracts.errors import GroupClosedError, ModelUnavailableError
from contracts.ports import ModelRequest, ModelResponse, SystemBlock
from prompts.execution.policies import SharingModel
from tests.scripted import ScriptedModel

HOUR = timedelta(hours=1)


def request(user: str = "oi", *, prefix: str | None = None, **changes: Any) -> ModelRequest:
    given: dict[str, Any] = {
        "model": "m",
        "system": (SystemBlock(text=prefix or "", cached=prefix is not None),),
        "user": user,
        "schema_name": "response_draft",
        "output_schema": {"type": "object"},
        "max_tokens": 100,
        "timeout": timedelta(minutes=5),
        "context": CallContext(batched=True),
    }
    return ModelRequest(**(given | changes))


class HeldModel:
    """Answers each request with its own words, when it is let."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.inner = ScriptedModel(self._answer)

    async def _answer(self, request: ModelRequest) -> str:
        self.requests.append(request)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return f"answer to {request.user}"


class ListenedModel:
    """A model that streams to who listens."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None] | None] = []

    async def complete(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        self.listeners.append(on_text)
        if on_text:
            on_text("x")
        return ModelResponse(text="x", stop_reason="end_turn", model="m", tokens=TokenCount(input=1))

    async def close(self) -> None:
        return


@pytest.fixture
def held() -> HeldModel:
    return HeldModel()


def grouped(model: Any, **options: Any) -> SharingModel:
    return SharingModel(model, **({"monotonic": lambda: 0.0, "warming": HOUR} | options))


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_identical_requests_are_one_call_that_is_paid_once(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request(timeout=timedelta(seconds=n + 10)))) for n in range(5)]
    await settled()
    held.may_answer.set()
    responses = await asyncio.gather(*waiting)
    assert len(held.requests) == 1
    assert [response.shared for response in responses] == [False, True, True, True, True]
    assert responses[0].tokens.output > 0
    assert {response.tokens for response in responses[1:]} == {TokenCount()}
    assert {response.text for response in responses} == {"answer to oi"}
    assert model.statistics["response_draft"].shared == 4


@pytest.mark.parametrize(
    "change",
    [
        {"user": "Oi"},
        {"model": "n"},
        {"system": (SystemBlock(text="x"),)},
        {"schema_name": "state_decision"},
        {"output_schema": {"type": "string"}},
        {"max_tokens": 99},
        {"repair_of": "{}"},
        {"repair_reason": "no"},
    ],
)
async def test_requests_that_differ_in_anything_are_two(held: HeldModel, change: dict[str, Any]) -> None:
    held.may_answer.set()
    model = grouped(held.inner)
    await asyncio.gather(model.complete(request()), model.complete(request().model_copy(update=change)))
    assert len(held.requests) == 2


async def test_one_after_the_other_is_asked_twice(held: HeldModel) -> None:
    held.may_answer.set()
    model = grouped(held.inner)
    first, second = await model.complete(request()), await model.complete(request())
    assert (len(held.requests), first.shared, second.shared) == (2, False, False)


async def test_an_error_is_everybody_s_and_the_next_one_tries_again(held: HeldModel) -> None:
    held.error = ModelUnavailableError("busy")
    held.may_answer.set()
    model = grouped(held.inner)
    outcomes = await asyncio.gather(*(model.complete(request()) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelUnavailableError] * 3
    assert len(held.requests) == 1
    held.error = None
    assert (await model.complete(request())).text == "answer to oi"


async def test_who_gives_up_takes_nobody_along(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request())) for _ in range(3)]
    await settled()
    waiting[0].cancel()
    await settled()
    held.may_answer.set()
    first, *others = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert [other.text for other in others] == ["answer to oi"] * 2  # type: ignore[union-attr]
    assert len(held.requests) == 1


async def test_behind_a_cold_prefix_they_wait_for_the_first_and_then_for_nobody(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request(f"u{n}", prefix="p"))) for n in range(4)]
    other = asyncio.create_task(model.complete(request("u9", prefix="q")))
    await settled()
    assert [one.user for one in held.requests] == ["u0", "u9"]
    held.may_answer.set()
    responses = await asyncio.gather(*waiting, other)
    assert [response.text for response in responses] == [f"answer to u{n}" for n in (0, 1, 2, 3, 9)]
    held.may_answer.clear()
    late = [asyncio.create_task(model.complete(request(f"v{n}", prefix="p"))) for n in range(3)]
    await settled()
    assert len(held.requests) == 8
    held.may_answer.set()
    await asyncio.gather(*late)
    statistics = model.statistics["response_draft"]
    assert (statistics.batches, statistics.largest) == (2, 4)


async def test_a_prefix_grows_cold(held: HeldModel) -> None:
    now = 0.0
    held.may_answer.set()
    model = grouped(held.inner, monotonic=lambda: now, warm_for=timedelta(seconds=60))
    await model.complete(request(prefix="p"))
    now = 61.0
    held.may_answer.clear()
    waiting = [asyncio.create_task(model.complete(request(f"u{n}", prefix="p"))) for n in range(3)]
    await settled()
    assert len(held.requests) == 2
    held.may_answer.set()
    await asyncio.gather(*waiting)


async def test_without_a_prefix_nobody_waits(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request(f"u{n}"))) for n in range(3)]
    await settled()
    assert len(held.requests) == 3
    held.may_answer.set()
    await asyncio.gather(*waiting)


async def test_the_wait_for_a_prefix_has_an_end(held: HeldModel) -> None:
    model = grouped(held.inner, warming=timedelta(milliseconds=10))
    waiting = [asyncio.create_task(model.complete(request(f"u{n}", prefix="p"))) for n in range(3)]
    async with asyncio.timeout(30):
        while len(held.requests) < 3:  # noqa: ASYNC110 - the passing of time is what is waited for
            await asyncio.sleep(0.005)
    held.may_answer.set()
    await asyncio.gather(*waiting)


async def test_when_the_first_fails_the_others_go_at_once(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request(f"u{n}", prefix="p"))) for n in range(4)]
    await settled()
    waiting[0].cancel()
    await settled()
    assert [one.user for one in held.requests] == ["u0", "u1", "u2", "u3"]
    held.may_answer.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[1:]] == [ModelResponse] * 3


async def test_when_too_many_wait_the_next_goes_its_own_way(held: HeldModel) -> None:
    model = grouped(held.inner, capacity=2)
    waiting = [asyncio.create_task(model.complete(request(f"u{n}", prefix="p"))) for n in range(5)]
    await settled()
    same = [asyncio.create_task(model.complete(request("u0", prefix="p"))) for _ in range(2)]
    await settled()
    assert [one.user for one in held.requests] == ["u0", "u3", "u4", "u0", "u0"]
    assert model.statistics["response_draft"].overflow == 4
    held.may_answer.set()
    responses = await asyncio.gather(*waiting, *same)
    assert [response.text[-2:] for response in responses] == ["u0", "u1", "u2", "u3", "u4", "u0", "u0"]


async def test_who_listens_is_never_grouped_and_other_words_are_passed_on() -> None:
    inner = ListenedModel()
    model = grouped(inner)
    heard: list[str] = []
    waiting = [model.complete(request(prefix="p"), on_text=heard.append) for _ in range(3)]
    responses = await asyncio.gather(*waiting, model.complete(request(prefix="p"), on_text=None))
    assert heard == ["x"] * 3
    assert len(inner.listeners) == 4
    assert not any(response.shared for response in responses)


async def test_closing_settles_everybody(held: HeldModel) -> None:
    model = grouped(held.inner)
    waiting = [asyncio.create_task(model.complete(request(f"u{n % 2}", prefix="p"))) for n in range(6)]
    await settled()
    await model.close()
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {GroupClosedError}
