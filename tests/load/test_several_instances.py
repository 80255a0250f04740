"""Two webhooks and two workers on one Redis under `prosa load`: nothing lost, doubled or out of order."""

from pathlib import Path

from cli.load import run
from cli.traffic import Load
from tests.load.counts import count, settled
from tests.load.installation import PHONE_NUMBER_ID, SECRET, installed, warmed
from tests.load.processes import usage_of

LOAD = Load(messages=120, people=30, rate=None)


async def test_two_webhooks_and_two_workers_share_the_work(tmp_path: Path) -> None:
    async with installed("celery", tmp_path, workers=2, webhooks=2) as installation:
        await warmed(installation)
        processes = [*installation.webhooks, *installation.workers]
        before = [usage_of(one.pid).cpu_seconds for one in processes]
        outcome = await run(
            LOAD,
            urls=installation.urls,
            secret=SECRET,
            phone_number_id=PHONE_NUMBER_ID,
            sandbox_url=installation.sandbox_url,
            await_seconds=300,
        )
        await settled(installation, seconds=300)
        counts = await count(installation, outcome.sent, [])
        worked = [usage_of(one.pid).cpu_seconds - start for one, start in zip(processes, before, strict=True)]
    assert outcome.replies is not None
    assert (outcome.lost, outcome.replies.doubled, outcome.replies.reordered) == (0, 0, 0)
    assert (counts.lost, counts.doubled, counts.out_of_order) == (0, 0, 0)
    assert all(seconds > 0 for seconds in worked), "an instance had nothing to do"
