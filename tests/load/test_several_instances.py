"""Two webhooks and two workers on one Redis under `prosa load`: nothing lost, doubled or out of order."""

from pathlib import Path

from cli.traffic import Load
from tests.load.counts import count, settled
from tests.load.installation import Installation, drive, installed, warmed

LOAD = Load(messages=120, people=30, rate=None)


def lines_of(installation: Installation) -> list[int]:
    """Count the messages that each webhook took and the turns that each worker ended, by their logs."""
    logged = {"message.received": installation.webhooks, "turn.ended": installation.workers}
    return [one.log.read_text("utf-8").count(f'"{event}"') for event, group in logged.items() for one in group]


async def test_two_webhooks_and_two_workers_share_the_work(tmp_path: Path) -> None:
    logged = {"PROSA_LOG_LEVEL": "INFO"}
    async with installed("celery", tmp_path, workers=2, webhooks=2, environment=logged) as installation:
        await warmed(installation)
        # A worker that is still starting gets no share: each has answered before the load begins.
        for number in range(60):
            if 0 not in lines_of(installation)[2:]:
                break
            await installation.traffic(f"99999{number:02}").drive(Load(messages=4, people=4, rate=None, duplicates=0))
            await settled(installation)
        before = lines_of(installation)
        outcome = await drive(installation, LOAD, await_seconds=300)
        await settled(installation, seconds=300)
        counts = await count(installation, outcome.sent, [])
        worked = [after - earlier for after, earlier in zip(lines_of(installation), before, strict=True)]
    assert outcome.replies is not None
    assert (outcome.lost, outcome.replies.doubled, outcome.replies.reordered) == (0, 0, 0)
    assert (counts.lost, counts.doubled, counts.out_of_order) == (0, 0, 0)
    assert min(worked) > 0, worked
