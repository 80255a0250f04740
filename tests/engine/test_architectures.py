"""Orders of a turn's model calls, played through the whole engine on the sandbox model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.runtime import Runtime, open_runtime
from cli.settings import read_settings
from contracts.conversation import State, TaskName, TaskRecord, TurnRecord
from contracts.ports import LiveEvent
from contracts.turn import TurnReason
from contracts.values import ConversationId
from observability.metrics import REGISTRY
from reports.cost import By, Span, cost_report
from tests.engine.test_cached_answers import behave
from tests.flags.making import architecture_flag
from tests.playing import play

Open = Callable[[str], AbstractAsyncContextManager[Runtime]]
ASKS = ["Como funciona a entrega de documentos?"]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_with(architecture: str) -> AsyncIterator[Runtime]:
        file = tmp_path / f"{architecture}.yaml"
        file.write_text(yaml.safe_dump({"flags": architecture_flag(architecture)}), encoding="utf-8")
        given = {"PROSA_DATA_DIR": str(tmp_path / architecture), "PORT": "0", "PROSA_FLAGS_FILE": str(file)}
        async with open_runtime(read_settings(given, env_file=None)) as runtime:
            yield runtime

    return open_with


def tasks_of(turn: TurnRecord) -> dict[str, TaskRecord]:
    return {task.task: task for task in turn.tasks}


def counted(counter: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(counter, labels) or 0


async def test_the_merged_call_replaces_the_three_and_gives_the_same_turn(opened: Open) -> None:
    found = {}
    for architecture in ("three_tasks", "merged"):
        async with opened(architecture) as runtime:
            (found[architecture],) = await play(runtime, "ana", ASKS)
    three, merged = found["three_tasks"], found["merged"]
    assert merged.replies == three.replies
    assert (merged.path, merged.intent, merged.business_line) == (three.path, three.intent, three.business_line)
    assert set(tasks_of(three)) - {TaskName.JUDGE} == {TaskName.STATE, TaskName.RESPONSE, TaskName.MESSAGE_TYPE}
    assert set(tasks_of(merged)) - {TaskName.JUDGE} == {TaskName.MERGED}
    assert tasks_of(merged)["merged"].quality is not None


@pytest.mark.parametrize(
    "bad", [{"fault": "illegal_state"}, {"answer": "no json"}, {"answer": {"state": {}}}, {"fault": "refusal"}]
)
async def test_an_unusable_merged_answer_falls_back_to_the_three_tasks(opened: Open, bad: dict[str, Any]) -> None:
    before = counted("worker_fallbacks_total", reason="merged")
    async with opened("merged") as runtime:
        await behave(runtime, script=[{"task": "merged", **bad}])
        (turn,) = await play(runtime, "ana", ASKS)
    assert counted("worker_fallbacks_total", reason="merged") == before + 1
    assert (turn.state, turn.reason, turn.fallback) == (State.AWAITING_USER, TurnReason.DECIDED, False)
    tasks = tasks_of(turn)
    assert (tasks["merged"].outcome, tasks["merged"].calls) == ("failed", 1)
    assert [tasks[name].outcome for name in ("state", "response", "message_type")] == ["ok"] * 3


async def test_the_gate_reads_a_merged_reply_and_has_it_rewritten(opened: Open) -> None:
    async with opened("merged") as runtime:
        text = {"parts": [{"says": "inform", "from": ["about.1"], "text": "Custa R$ 50,00."}]}
        await behave(runtime, script=[{"task": "merged", "update": {"response": text}}])
        (turn,) = await play(runtime, "ana", ASKS)
    assert turn.violations
    assert tasks_of(turn)["response"].outcome == "ok"
    assert "50" not in turn.replies[0].text


async def test_a_reply_that_was_begun_on_the_right_guess_is_kept(opened: Open) -> None:
    before = counted("prompter_speculations_total", outcome="kept")
    async with opened("three_tasks") as runtime:
        (three,) = await play(runtime, "ana", ASKS)
    async with opened("speculative") as runtime:
        await behave(runtime, task_latency={"state": 300})
        (turn,) = await play(runtime, "ana", ASKS)
    assert counted("prompter_speculations_total", outcome="kept") == before + 1
    tasks = tasks_of(turn)
    assert turn.replies == three.replies
    assert max(tasks["response"].ended_ms, tasks["message_type"].ended_ms) < tasks["state"].ended_ms
    assert [tasks[name].calls for name in ("state", "response", "message_type")] == [1, 1, 1]


@pytest.mark.parametrize("slow", ["response", "state"])
async def test_a_reply_to_another_decision_is_dropped_and_paid(opened: Open, slow: str) -> None:
    """Under way when the state is decided, its prompt is paid; answered by then, all of it."""
    before = counted("prompter_speculations_total", outcome="dropped")
    async with opened("speculative") as runtime:
        script = [{"task": "state", "update": {"next_state": "ESCALATING"}}]
        await behave(
            runtime, script=script, task_latency={slow: 1_500, "message_type": 1_500 if slow != "state" else 0}
        )
        (turn,) = await play(runtime, "ana", ASKS)
        await runtime.engine.turn.ledger.flush()
        today = turn.at.date()
        booked = await cost_report(runtime.backend.store, Span(today, today, UTC), By.TASK, at=turn.at)
    assert counted("prompter_speculations_total", outcome="dropped") == before + 1
    assert turn.state is State.ESCALATING
    dropped = [task for task in turn.tasks if task.outcome == "dropped"]
    assert {task.task for task in dropped} == {TaskName.RESPONSE, TaskName.MESSAGE_TYPE}
    for task in dropped:
        assert Decimal(task.cost_usd or 0) > 0
        assert task.tokens.input > 0
        assert (task.tokens.output > 0) == (slow == "state")
    assert Decimal(turn.cost_usd or 0) == sum(Decimal(task.cost_usd or 0) for task in turn.tasks) == booked.total.usd


async def seen(runtime: Runtime, name: str) -> tuple[TurnRecord, list[LiveEvent]]:
    """Return the turn of one message and the events that a watching client got until its reply."""
    events: list[LiveEvent] = []
    async with runtime.backend.events.subscribe(ConversationId(f"web:{name}")) as watched:
        asked = asyncio.create_task(play(runtime, name, ASKS))
        async for event in watched:
            events.append(event)
            if event.name == "reply":
                break
        (turn,) = await asked
    return turn, events


def texts_shown(events: list[LiveEvent]) -> list[str]:
    """Return the texts that were shown forming; the last is the one that stayed."""
    shown: list[str] = []
    for event in events:
        if event.name == "token":
            shown = [*shown, ""] if event.data["index"] == 0 else shown
            shown[-1] += event.data["text"]
    return shown


@pytest.mark.parametrize("architecture", ["three_tasks", "merged", "speculative"])
async def test_a_reply_is_seen_forming_and_again_after_a_broken_stream(opened: Open, architecture: str) -> None:
    """The first stream breaks in its middle: what was shown of it was shown before there was a whole answer."""
    task = "merged" if architecture == "merged" else "response"
    said = (
        "Oi! Recebemos a sua mensagem. Conte para nós o que você precisa, por favor. Assim podemos ajudar melhor. "
        "Pode escrever com as suas palavras. Lemos tudo com atenção. Se preferir, mande mais de uma mensagem. "
        "Não se preocupe com a ordem. Conte como quiser. Ficamos felizes com o seu contato."
    )
    parts = {"parts": [{"says": "echo", "from": [], "text": said}]}
    update = {"response": parts} if architecture == "merged" else parts
    script = [{"task": task, "update": update, "fault": fault} for fault in ("stream_error", None)]
    async with opened(architecture) as runtime:
        slow = {"state": 400} if architecture == "speculative" else {}
        await behave(runtime, script=script, stream_chunk_characters=16, stream_interval_ms=30, task_latency=slow)
        turn, events = await seen(runtime, "ana")
    shown = texts_shown(events)
    assert turn.replies[0].text == shown[-1] == said
    if architecture != "speculative":  # what breaks before Task 1 agrees is seen by no person
        assert len(shown) == 2
        assert said.startswith(shown[0])
    names = [event.name for event in events]
    assert names.index("token") < len(names) - 1 - names[::-1].index("state")


async def test_a_dropped_reply_is_not_seen(opened: Open) -> None:
    async with opened("speculative") as runtime:
        await behave(
            runtime,
            script=[{"task": "state", "update": {"next_state": "ESCALATING"}}],
            task_latency={"state": 800},
        )
        turn, events = await seen(runtime, "ana")
    assert [task.outcome for task in turn.tasks].count("dropped") == 2
    assert texts_shown(events) == []


async def test_a_repeated_merged_call_that_decides_otherwise_is_no_reply(opened: Open) -> None:
    """The state of the first stream was followed: Tasks 2 and 3 write the reply to it."""
    other = {"state": {"next_state": "ESCALATING"}}
    async with opened("merged") as runtime:
        script = [{"task": "merged", "fault": "stream_error"}, {"task": "merged", "update": other}]
        await behave(runtime, script=script, stream_chunk_characters=16, stream_interval_ms=30)
        turn, events = await seen(runtime, "ana")
    assert (turn.state, turn.fallback) == (State.AWAITING_USER, False)
    assert set(tasks_of(turn)) - {TaskName.JUDGE} == {TaskName.MERGED, TaskName.RESPONSE, TaskName.MESSAGE_TYPE}
    assert texts_shown(events)[-1] == turn.replies[0].text
