"""Orders of a turn's model calls, played through the whole engine on the sandbox model."""

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
from contracts.turn import TurnReason
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
