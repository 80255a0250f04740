"""The gate of `prosa replay` on one version twice, on planted regressions and on harmless edits, with the sandbox.

`python -m tests.bench.replay [CONVERSATIONS]`; ends with 1 when one is judged wrongly.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from cli.comparing import Verdict, verdict
from cli.replay import candidate, replay
from cli.settings import read_settings
from observability.logs import configure_logs
from tests.candidates import HARMLESS, REGRESSIONS, Candidate, many, recorded, scripted

CONVERSATIONS = 1_000
console = Console(markup=False, highlight=False)


def _took(start: float, cpu: float) -> str:
    return f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} s of one core"


async def main(count: int) -> bool:
    configure_logs(level="CRITICAL")
    settings = read_settings({}, env_file=None)
    start, cpu, right = time.perf_counter(), time.process_time(), True
    same = recorded(many(count))
    (before, failed), (after, failed_again) = await replay(settings, same), await replay(settings, same)
    found = verdict(before, after)
    right &= not any(found.counts.values()) and not failed and not failed_again
    console.print(f"twice the same: {count} conversations, {found.turns} turns, {_differs(found)}; {_took(start, cpu)}")

    start, cpu = time.perf_counter(), time.process_time()
    messages = recorded(scripted())
    before, _ = await replay(settings, messages)

    async def judged(one: Candidate) -> Verdict:
        with tempfile.TemporaryDirectory() as folder:
            async with one.written(Path(folder)) as written:
                return verdict(before, (await replay(candidate(written, settings), messages))[0])

    for group, is_harmless in ((REGRESSIONS, False), (HARMLESS, True)):
        for one in group:
            found = await judged(one)
            right &= bool(found.blocked) is not is_harmless
            wrong = "" if bool(found.blocked) is not is_harmless else "WRONG "
            console.print(f"{wrong}{'blocked' if found.blocked else 'passed'}: {one.name} ({_differs(found)})")
    console.print(f"{len(REGRESSIONS) + len(HARMLESS)} candidates on {len(before)} turns; {_took(start, cpu)}")
    return right


def _differs(found: Verdict) -> str:
    counts = {kind.value: count for kind, count in found.counts.items() if count}
    shares = {kind.value: f"{found.shares[kind] or 0:+.1%}" for kind in found.blocked if not found.counts[kind]}
    return ", ".join(f"{kind} {count}" for kind, count in {**counts, **shares}.items()) or "no difference"


if __name__ == "__main__":
    sys.exit(not asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else CONVERSATIONS)))
