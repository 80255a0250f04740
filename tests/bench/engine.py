"""What the engine costs beside the model: `python -m tests.bench.engine`, or `make bench`.

Times are of this machine at this moment; the shares and the ratios are what to compare.
"""

import asyncio
import io
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from adapters.channels.web import LIMITS
from adapters.clock import SystemClock
from contracts.conversation import Conversation, State, Trigger
from contracts.decisions import MessageTypeChoice, StateDecision
from contracts.guardrails import KnownFacts
from contracts.messages import ChannelName, MessageType
from contracts.ports import ModelRequest
from contracts.values import ConversationId
from fsm.machine import ConversationMachine, Transitions
from observability.logs import configure_logs
from prompts.request import TurnView
from prompts.tasks.registry import task_of
from prompts.templating.registry import PromptRegistry
from tests.builders import (
    REPOSITORIES,
    START,
    agreeable,
    conversation_id,
    engine_bed,
    inbound,
    open_backend,
    pyloto,
    rulebook,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.replies.composer import fit
from worker.scheduling.keyed_queue import EmbeddedQueue

TURNS_ALONE = 300
# Half of what 32 turns at once can do at this speed of the model.
TURNS_A_SECOND = 20
TURNS_OPEN_LOOP = 300
MODEL_SECONDS = 0.4
CRITICAL_PATH_MS = 2 * MODEL_SECONDS * 1000

console = Console(highlight=False)


class Timed:
    """A port whose calls are timed, by name."""

    def __init__(self, inner: Any, prefix: str, spent: dict[str, list[float]]) -> None:
        self._inner, self._prefix, self._spent = inner, prefix, spent

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in REPOSITORIES:
            return Timed(method, self._prefix, self._spent)

        async def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return await method(*args, **kwargs)
            finally:
                self._spent[f"{self._prefix} {name}"].append((time.perf_counter() - started) * 1000)

        return timed


async def turns_alone(folder: Path) -> tuple[dict[str, list[float]], list[float]]:
    """One conversation at a time, a model that answers at once: nothing is shared, nothing waits."""
    spent: dict[str, list[float]] = defaultdict(list)
    totals = []
    async with open_backend("sqlite", folder) as (inbox, store):
        bed = engine_bed(Timed(inbox, "inbox", spent), Timed(store, "store", spent), clock=SystemClock())  # type: ignore[arg-type]
        for number in track(range(TURNS_ALONE + 20), description="Turns alone", console=console, transient=True):
            if number == 20:
                spent.clear()
                totals.clear()
            message = inbound(conversation=f"c-{number % 20}", at=bed.clock.now())
            started = time.perf_counter()
            await bed.inbox.append([message])
            await drain(message.conversation_id, bed.engine.drain)
            totals.append((time.perf_counter() - started) * 1000)
    return spent, totals


def pure_stages() -> dict[str, float]:
    """Milliseconds of the stages that touch nothing outside, for one turn."""
    institution, gate, machine = pyloto(), rulebook().gate, ConversationMachine()
    conversation = Conversation(id=ConversationId("c"), state=State.UNDERSTANDING_INTENT)
    view = TurnView(institution, conversation, (inbound(),), ChannelName.WEB, (State.PROCESSING,), ("name",))
    templates = [
        PromptRegistry.read().get(name) for name in ("select_state", "generate_response", "select_message_type")
    ]
    decision = StateDecision(next_state=State.PROCESSING, confidence=1, options=("Entregas", "Serviços"))
    answer = max((intent.answer for intent in institution.intents), key=len)
    long_answer = " ".join(intent.answer for intent in institution.intents)[:1_000]
    path = (Trigger.BEGIN, Trigger.IDENTIFIED, Trigger.PROCESS, Trigger.DRAFT, Trigger.RESPOND, Trigger.SEND)

    def render() -> None:
        for template in templates:
            task_of(template.name).request(view, template, model="m", timeout=timedelta(seconds=1))

    def walk() -> None:
        walked = Transitions(Conversation(id=ConversationId("c")))
        for trigger in path:
            walked = machine.advance(walked, trigger, at=START)

    return {
        "prompts: three requests": _milliseconds(render),
        "fsm: six moves": _milliseconds(walk),
        "fitter": _milliseconds(
            lambda: fit(answer, MessageTypeChoice(type=MessageType.BUTTON), decision.options, institution, LIMITS)
        ),
        f"gate: {len(answer)} characters": _milliseconds(lambda: gate.check([answer], KnownFacts())),
        "gate: 1,000 characters": _milliseconds(lambda: gate.check([long_answer], KnownFacts())),
    }


def _milliseconds(work: Callable[[], object], times: int = 200) -> float:
    work()
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        samples.append((time.perf_counter() - started) * 1000)
    return statistics.median(samples)


async def turns_in_open_loop(folder: Path) -> tuple[list[float], float]:
    """Messages at a steady rate, every call of the model taking its time.

    Returns the milliseconds of each turn from the moment its message was meant to come, and the CPU ms per turn.
    """

    async def thinking(request: ModelRequest) -> str:
        await asyncio.sleep(MODEL_SECONDS)
        return await agreeable(request)

    totals: list[float] = []
    async with open_backend("sqlite", folder) as (inbox, store):
        bed = engine_bed(inbox, store, model=ScriptedModel(thinking), clock=SystemClock())  # type: ignore[arg-type]
        queue = EmbeddedQueue(partial(drain, deps=bed.engine.drain))

        async def turn(number: int, intended: float) -> None:
            await asyncio.sleep(intended - time.perf_counter())
            name = f"p-{number}"
            await bed.inbox.append([inbound(conversation=name, at=bed.clock.now())])
            await queue.work(conversation_id(name))
            totals.append((time.perf_counter() - intended) * 1000)

        # The first turn loads documents and prices; a process does that once.
        await bed.inbox.append([inbound(conversation="warm", at=bed.clock.now())])
        await drain(conversation_id("warm"), bed.engine.drain)
        cpu, begin = time.process_time(), time.perf_counter() + 0.1
        await asyncio.gather(*(turn(n, begin + n / TURNS_A_SECOND) for n in range(TURNS_OPEN_LOOP)))
        used = time.process_time() - cpu
        await queue.close(grace_seconds=1)
    return totals, used * 1000 / len(totals)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report_alone(spent: dict[str, list[float]], totals: list[float], pure: dict[str, float]) -> None:
    whole = statistics.median(totals)
    table = Table(title=f"Engine alone: {len(totals)} turns, one after the other, no model time, SQLite", box=None)
    for column in ("stage", "calls a turn", "ms a turn", "share"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for name, samples in sorted(spent.items(), key=lambda item: -sum(item[1])):
        calls = len(samples) / len(totals)
        ms = statistics.median(samples) * calls
        table.add_row(name, f"{calls:.1f}", f"{ms:.2f}", f"{ms / whole:.0%}")
    for name, ms in pure.items():
        table.add_row(name, "1.0", f"{ms:.2f}", f"{ms / whole:.0%}")
    table.add_row("whole turn, p50", "", f"{whole:.2f}", "100%", style="bold")
    table.add_row("whole turn, p99", "", f"{percentile(totals, 0.99):.2f}", "")
    console.print(table)


def report_open_loop(totals: list[float], cpu_ms: float) -> None:
    table = Table(
        title=f"{TURNS_A_SECOND} turns a second, {MODEL_SECONDS * 1000:.0f} ms a model call, SQLite", box=None
    )
    for column in ("figure", "value"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    p50, p99 = statistics.median(totals), percentile(totals, 0.99)
    table.add_row("turns", str(len(totals)))
    table.add_row("critical path of the model", f"{CRITICAL_PATH_MS:.0f} ms")
    table.add_row("turn p50, over the critical path", f"{p50:.0f} ms, {p50 / CRITICAL_PATH_MS - 1:+.1%}")
    table.add_row("turn p99, over the critical path", f"{p99:.0f} ms, {p99 / CRITICAL_PATH_MS - 1:+.1%}")
    table.add_row("CPU a turn", f"{cpu_ms:.2f} ms")
    console.print(table)


def main() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder:
        alone, open_loop = Path(folder, "alone"), Path(folder, "open-loop")
        alone.mkdir()
        open_loop.mkdir()
        report_alone(*asyncio.run(turns_alone(alone)), pure_stages())
        console.print()
        report_open_loop(*asyncio.run(turns_in_open_loop(open_loop)))


if __name__ == "__main__":
    main()
