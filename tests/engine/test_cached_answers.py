"""The cache in the engine: what one person was answered another one may be, and what must not be kept is not."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.runtime import Runtime, open_runtime
from cli.settings import read_settings
from contracts.conversation import State, TaskName, TurnRecord
from tests.builders import conversation_id, response
from tests.playing import play, play_all
from worker.people import privacy

QUESTION = ["Como funciona a entrega de documentos?"]

Open = Callable[..., AbstractAsyncContextManager[Runtime]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_with(**environment: str) -> AsyncIterator[Runtime]:
        base = {"PROSA_DATA_DIR": str(tmp_path), "PORT": "0", "PROMPTER_USE_CACHE": "true", "PROSA_CACHE_SAMPLE": "0"}
        async with open_runtime(read_settings(base | environment, env_file=None)) as runtime:
            yield runtime

    return open_with


def how(turn: TurnRecord) -> dict[TaskName, tuple[str, str | None]]:
    return {task.task: (task.outcome, task.cache) for task in turn.tasks}


async def behave(runtime: Runtime, **behaviour: Any) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.put(f"{runtime.sandbox_url}/anthropic/sandbox/behaviour", json=behaviour)
        answer.raise_for_status()


async def test_the_same_question_of_somebody_else_asks_task_1_alone(opened: Open) -> None:
    async with opened() as runtime:
        (first,) = await play(runtime, "ana", QUESTION)
        (second,) = await play(runtime, "bia", ["como funciona a ENTREGA de documentos"])
    assert how(first)[TaskName.RESPONSE] == ("ok", None)
    assert how(second)[TaskName.STATE] == ("ok", None)
    assert how(second)[TaskName.RESPONSE] == ("cached", "exact")
    assert how(second)[TaskName.MESSAGE_TYPE] == ("cached", "exact")
    assert second.replies == first.replies
    assert second.tokens.input < first.tokens.input
    assert all(task.calls == 0 and task.cost_usd == "0" for task in second.tasks if task.outcome == "cached")


async def test_without_the_switch_everybody_asks(opened: Open) -> None:
    async with opened(PROMPTER_USE_CACHE="false") as runtime:
        turns = [*await play(runtime, "ana", QUESTION), *await play(runtime, "bia", QUESTION)]
    assert {outcome for turn in turns for outcome in how(turn).values()} == {("ok", None)}


async def test_what_the_gate_withheld_is_not_kept(opened: Open) -> None:
    async with opened() as runtime:
        await behave(runtime, script=[{"task": "response", "answer": response("Custa R$ 50,00.")}])
        (withheld,) = await play(runtime, "ana", QUESTION)
        (second,) = await play(runtime, "bia", QUESTION)
    assert withheld.violations
    assert how(second)[TaskName.RESPONSE] == ("ok", None)
    assert not second.violations


async def test_a_repaired_answer_is_not_kept(opened: Open) -> None:
    async with opened() as runtime:
        await behave(runtime, script=[{"task": "response", "answer": "no json"}])
        (repaired,) = await play(runtime, "ana", QUESTION)
        (second,) = await play(runtime, "bia", QUESTION)
    assert how(repaired)[TaskName.RESPONSE] == ("repaired", None)
    assert how(second)[TaskName.RESPONSE] == ("ok", None)


async def test_a_conversation_that_collected_something_is_its_persons_own(opened: Open) -> None:
    says = ["Quero um sistema sob medida", "Padaria Sol", "Quero controlar os pedidos"]
    async with opened() as runtime:
        await play(runtime, "ana", says)
        turns = await play(runtime, "bia", says)
    collected = [turn for turn in turns if turn.state is State.AWAITING_USER][1:]
    assert collected
    assert all(outcome == ("ok", None) for turn in collected for outcome in how(turn).values())


async def test_a_sampled_hit_is_asked_again_and_compared(opened: Open) -> None:
    async with opened(PROSA_CACHE_SAMPLE="1") as runtime:
        await play(runtime, "ana", QUESTION)
        (second,) = await play(runtime, "bia", QUESTION)
        cache = runtime.engine.turn.prompter.executor.cache
        assert cache is not None
        samples = {(level.value, outcome.value): count for (level, outcome), count in cache.statistics.samples.items()}
    assert how(second)[TaskName.RESPONSE] == ("ok", None)
    assert samples == {("exact", "same"): 2}


async def test_a_sampled_hit_is_compared_with_a_repaired_answer_too(opened: Open) -> None:
    async with opened(PROSA_CACHE_SAMPLE="1") as runtime:
        await play(runtime, "ana", QUESTION)
        await behave(runtime, script=[{"task": "response", "answer": "no json"}])
        (second,) = await play(runtime, "bia", QUESTION)
        cache = runtime.engine.turn.prompter.executor.cache
        assert cache is not None
        assert cache.statistics.samples.total() == 2
    assert how(second)[TaskName.RESPONSE] == ("repaired", None)
    assert second.replies


async def test_one_flight_for_the_same_question_of_the_same_moment(opened: Open) -> None:
    """Off the web, where nobody watches a reply form, ten people who ask the same cost one answer."""
    async with opened(PROSA_STREAMING="false") as runtime:
        await behave(runtime, latency=200)
        turns = await play_all(runtime, [QUESTION] * 10)
    outcomes = [how(turn)[TaskName.RESPONSE] for turn in turns]
    assert outcomes.count(("ok", None)) == 1
    assert set(outcomes) <= {("ok", None), ("cached", "shared"), ("cached", "exact")}
    assert len({turn.replies[0].text for turn in turns}) == 1
    assert sum(task.calls for turn in turns for task in turn.tasks if task.task == TaskName.RESPONSE) == 1


async def test_batching_keeps_the_books(opened: Open) -> None:
    async with opened(PROMPTER_USE_CACHE="false", PROMPTER_USE_BATCHING="true", PROSA_STREAMING="false") as runtime:
        await behave(runtime, latency=100)
        turns = await play_all(runtime, [QUESTION] * 10)
        async with httpx.AsyncClient() as client:
            seen = (await client.get(f"{runtime.sandbox_url}/anthropic/sandbox/requests?limit=1")).json()["counters"]
    assert all(turn.replies for turn in turns)
    booked = sum(turn.tokens.input for turn in turns)
    assert booked == seen["input_tokens"], "what was booked is what was billed"
    assert seen["requests"] < 3 * len(turns)


async def test_an_erasure_drops_what_was_cached_of_one_person_alone(opened: Open) -> None:
    async with opened() as runtime:
        for name in ("ana", "bia"):
            await play(runtime, name, QUESTION)
        deps = runtime.engine.operators
        assert deps.answers is not None
        erased = await privacy.erase(conversation_id("ana"), deps)
        assert erased.caches == 1
        assert await deps.answers.forget(conversation_id("ana")) == 0
        (again,) = await play(runtime, "eva", QUESTION)
        # The answer that all are given stays, and so does what belongs to another person.
        assert how(again)[TaskName.RESPONSE] == ("cached", "exact")
        assert await deps.answers.forget(conversation_id("bia")) == 1
