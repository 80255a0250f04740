"""Tokens, price and time of the judge in a turn: `python -m tests.bench.judge`.

Every reply is a sentence that no document has and that was never judged: the dearest case. The sandbox counts tokens by
an estimate and answers each call after 700 ms.
"""

import asyncio
import tempfile
from decimal import Decimal
from statistics import median
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.conversation import TaskRecord, TurnRecord
from observability.logs import configure_logs
from tests.playing import play

TURNS = 30
LATENCY_MS = 700


def _reply(number: int) -> dict[str, Any]:
    text = f"Claro, conto com prazer o que você quiser saber sobre a entrega {'a' * (number + 1)} por aqui."
    return {"task": "response", "answer": {"parts": [{"says": "echo", "from": [], "text": text}]}}


async def played(streaming: str) -> list[TurnRecord]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PROSA_DATA_DIR": folder, "PORT": "0", "PROSA_STREAMING": streaming}
        async with open_runtime(read_settings(environment, env_file=None)) as runtime:
            behaviour = {"latency": LATENCY_MS, "script": [_reply(number) for number in range(TURNS)]}
            async with httpx.AsyncClient() as client:
                url = f"{runtime.sandbox_url}/anthropic/sandbox/behaviour"
                (await client.put(url, json=behaviour)).raise_for_status()
            turns = [await play(runtime, f"p{number}", ["como funciona a entrega?"]) for number in range(TURNS)]
    return [turn for one in turns for turn in one]


def _row(name: str, turns: list[TurnRecord], *, with_judge: bool) -> tuple[str, ...]:
    tasks: list[TaskRecord] = [task for turn in turns for task in turn.tasks if with_judge or task.task != "judge"]
    tokens = [task.tokens for task in tasks]
    read, fresh = sum(one.cache_read for one in tokens), sum(one.input + one.cache_write for one in tokens)
    cost = sum((Decimal(task.cost_usd or 0) for task in tasks), Decimal(0)) / len(turns)
    seconds = [(turn.ms.total - (0 if with_judge else turn.ms.judge)) / 1000 for turn in turns]
    per_turn = (f"{count / len(turns):.0f}" for count in (read, fresh, sum(one.output for one in tokens)))
    return name, f"{len(tasks) / len(turns):.1f}", *per_turn, f"{cost:.5f}", f"{median(seconds):.2f}"


async def main() -> None:
    configure_logs(level="ERROR")
    turns = await played("false")
    table = Table("a turn", "calls", "cache read", "other input", "output", "USD", "seconds (median)")
    table.add_row(*_row("without the judge", turns, with_judge=False))
    table.add_row(*_row("with the judge", turns, with_judge=True))
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
