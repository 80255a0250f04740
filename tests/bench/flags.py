"""What asking a flag costs: `python -m tests.bench.flags`, or `make bench`.

Processor times are of this machine at this moment; the ratio to one SHA-256 of the same text is what to compare.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from adapters.clock import SystemClock
from flags.definitions import Flag
from flags.evaluation import Evaluator
from flags.experiments.recorder import CONVERSION, Recorder
from flags.provider import ProsaProvider, SwitchedProvider, provided
from flags.resolver import Assignment, Resolver
from tests.builders import memory_store
from tests.flags.making import Known, flag, person, variants
from tests.flags.test_experiments import Running, started

LIMIT_US = 20
ROUNDS, CALLS = 15, 4_000
RULES = [
    {"attribute": "channel", "values": ["web", "whatsapp"]},
    {"attribute": "language", "operator": "starts_with", "values": ["pt"]},
]
SEGMENTS = [{"name": f"s{n}", "rules": [{"attribute": "line", "values": [str(n)]}]} for n in range(4)] + [
    {"name": "pt", "rules": RULES}
]
FLAGS = {
    "on for everybody": flag("on"),
    "gradual rollout": flag("rollout", status="gradual_rollout", percentage=30),
    "A/B test of 4 variants": flag("test", status="ab_test", variants=variants(a=1, b=2, c=3, d=4)),
    "fifth segment, then a draw": flag("segments", status="ab_test", variants=variants(a=1, b=1), segments=SEGMENTS),
}

EXPERIMENT = started()


def microseconds(call: Callable[[Any], object]) -> float:
    """The median over rounds of the mean processor time of a call, each time for another person."""
    people = [person(number, channel="web", language="pt-BR", line="x") for number in range(CALLS)]
    times = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        for one in people:
            call(one)
        times.append((time.thread_time() - started) / CALLS * 1e6)
    return median(times)


async def main() -> None:
    flags: list[Flag] = list(FLAGS.values())
    known = Known(*flags, EXPERIMENT.flag(SystemClock().now()), *(flag(f"other-{number}") for number in range(200)))
    ours = Evaluator(known, now=SystemClock().now)
    hashing = microseconds(lambda one: hashlib.sha256(f"test:1:{one.targeting_key}".encode()).digest())
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("question, of 205 flags", "evaluator", "through OpenFeature", "ratio to one SHA-256"):
        table.add_column(column, justify="left" if column.startswith("q") else "right")
    slowest = 0.0
    provider = SwitchedProvider(ProsaProvider(ours), {"cache": False})
    async with provided(provider, domain="bench") as client:
        for name, key in [(name, one.key) for name, one in FLAGS.items()] + [("unknown flag", "none")]:
            alone = microseconds(lambda one, key=key: ours.evaluate(key, one))
            whole = microseconds(lambda one, key=key: client.get_boolean_details(key, False, one))
            slowest = max(slowest, alone)
            table.add_row(name, f"{alone:.2f} us", f"{whole:.1f} us", f"{alone / hashing:.1f}, {whole / hashing:.0f}")
        choices = Resolver(client, Running(EXPERIMENT))
        chosen = microseconds(lambda one: choices.value("prompts.select_state", 0, one))
        table.add_row("a prompt's version, with an experiment on it", "", f"{chosen:.1f} us", f"{chosen / hashing:.0f}")
        recorder = Recorder(memory_store().records, writer="bench", salt="salt", clock=SystemClock())
        arm = [Assignment(EXPERIMENT.key, "v2")]
        noted = microseconds(lambda one: recorder.note(arm, one.targeting_key, CONVERSION))
        table.add_row("a metric event, recorded", "", f"{noted:.1f} us", f"{noted / hashing:.0f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"One SHA-256 of the same text: {hashing:.2f} us. Slowest evaluation {slowest:.1f} us, limit {LIMIT_US}."
    )
    if slowest > LIMIT_US:
        raise SystemExit("an evaluation takes longer than it may")


if __name__ == "__main__":
    asyncio.run(main())
