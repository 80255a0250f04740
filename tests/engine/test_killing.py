"""The real process, killed twenty times under two thousand messages: the figures of delivery, counted from outside."""

from pathlib import Path

import pytest

from tests.engine.killing import run


@pytest.mark.slow
async def test_killing_the_process_twenty_times_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kills = 20
    report = await run(tmp_path, messages=2_000, conversations=100, kills=kills)
    assert (report.lost, report.doubled, report.out_of_order, report.illegal_moves) == (0, 0, 0, 0)
    assert report.unsent_replies == 0
    # The platform reports what it accepted, so even a send whose answer was lost is not made again.
    assert report.doubled_replies == 0
    assert report.posts_repeated > 0, "no kill hit a running load"
