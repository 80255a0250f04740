"""Seconds, calls, tokens, money and findings of a turn in each architecture: `python -m tests.bench.architectures`.

The scripted conversations of `evals/conversations` go through the whole engine and the sandbox model over HTTP. A call
takes `FIRST_TOKEN_MS` and `TOKEN_MS` for each token of its task's mean answer, found by a run without latency: one long
answer is not made cheaper than three short ones. Tokens are the sandbox's estimate, so figures compare arms and are no
bill.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from statistics import fmean, quantiles

import yaml
from rich.console import Console
from rich.table import Table

from cli.runtime import open_runtime
from cli.settings import read_settings
from contracts.conversation import Architecture, TurnRecord
from observability.logs import configure_logs
from tests.builders import ROOT
from tests.engine.test_cached_answers import behave
from tests.flags.making import architecture_flag
from tests.playing import play_all

FIRST_TOKEN_MS, TOKEN_MS = 400, 12.5
AT_ONCE = 6
console = Console(highlight=False, width=160)


def conversations() -> list[list[str]]:
    suite = yaml.safe_load((ROOT / "evals/conversations/portuguese.yaml").read_text(encoding="utf-8"))
    return [[turn["says"] for turn in one["turns"] if "says" in turn] for one in suite["conversations"]]


async def played(architecture: Architecture, latencies: Mapping[str, float]) -> list[TurnRecord]:
    """Play every conversation in this architecture; a task without a latency answers at once."""
    with tempfile.TemporaryDirectory(prefix="prosa-architectures-") as folder:
        flags = Path(folder, "flags.yaml")
        flags.write_text(yaml.safe_dump({"flags": architecture_flag(architecture.value)}))  # noqa: ASYNC240
        given = {"PROSA_DATA_DIR": folder, "PORT": "0", "PROSA_FLAGS_FILE": str(flags), "PROSA_QUIET_WINDOW_S": "0"}
        async with open_runtime(read_settings(given, env_file=None)) as runtime:
            await behave(runtime, task_latency=latencies)
            said, turns = conversations(), list[TurnRecord]()
            for start in range(0, len(said), AT_ONCE):
                turns += await play_all(runtime, said[start : start + AT_ONCE], prefix=f"r{start}-")
    return [turn for turn in turns if turn.tasks]


async def latencies() -> dict[str, float]:
    """Return the milliseconds of a call of each task, by the tokens of its answers."""
    answers: defaultdict[str, list[int]] = defaultdict(list)
    for architecture in (Architecture.THREE_TASKS, Architecture.MERGED):
        for turn in await played(architecture, {}):
            for task in turn.tasks:
                answers[task.task] += [call.tokens.output for call in task.bill]
    return {task: round(FIRST_TOKEN_MS + TOKEN_MS * fmean(tokens)) for task, tokens in answers.items()}


def row(architecture: Architecture, turns: list[TurnRecord]) -> list[str]:
    seconds = sorted(turn.ms.total / 1000 for turn in turns)
    cuts = quantiles(seconds, n=20, method="inclusive")
    tasks = [task for turn in turns for task in turn.tasks]
    tokens = [call.tokens for task in tasks for call in task.bill]
    sent = sum(one.input + one.cache_read + one.cache_write for one in tokens)
    kept = sum(
        any(task.started_ms < 50 and task.task == "response" and task.outcome != "dropped" for task in turn.tasks)
        for turn in turns
    )
    return [
        architecture.value,
        str(len(turns)),
        f"{cuts[9]:.2f}",
        f"{cuts[18]:.2f}",
        f"{len(tokens) / len(turns):.2f}",
        f"{sent / len(turns):,.0f}",
        f"{sum(one.output for one in tokens) / len(turns):,.0f}",
        f"{sum((Decimal(turn.cost_usd or 0) for turn in turns), Decimal(0)) / len(turns):.6f}",
        str(sum(len(turn.violations) for turn in turns)),
        str(sum(turn.fallback for turn in turns)),
        str(kept),
        str(sum(any(task.outcome == "dropped" for task in turn.tasks) for turn in turns)),
    ]


async def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.bench.architectures", description=__doc__).parse_args()
    configure_logs(level="ERROR", stream=Path(os.devnull).open("w"))  # noqa: ASYNC230, SIM115
    ms = await latencies()
    table = Table(title=f"A turn of {len(conversations())} scripted conversations; ms of a call: {ms}")
    for column in (
        "arm",
        "turns",
        "p50 s",
        "p95 s",
        "calls",
        "tokens in",
        "out",
        "USD",
        "findings",
        "fallbacks",
        "kept",
        "dropped",
    ):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for architecture in Architecture:
        table.add_row(*row(architecture, await played(architecture, ms)))
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
