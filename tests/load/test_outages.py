"""The table "When something is down", row by row, on real processes."""

from pathlib import Path

import pytest

from tests.load.outages import Answered, channel_down, inbox_down, model_failing


def assert_whole(answered: Answered) -> None:
    counts = answered.counts
    assert (answered.unanswered, counts.lost, counts.doubled, counts.out_of_order, counts.unsent) == (0, 0, 0, 0, 0)
    assert counts.doubled_replies == 0


@pytest.mark.slow
async def test_without_an_inbox_the_platform_is_told_to_come_again(tmp_path: Path) -> None:
    assert set((await inbox_down(tmp_path)).statuses) == {503}


@pytest.mark.slow
async def test_without_a_model_everybody_gets_a_reply_and_a_person_is_called(tmp_path: Path) -> None:
    assert_whole(await model_failing(tmp_path))


@pytest.mark.slow
async def test_without_the_platform_replies_wait_in_order(tmp_path: Path) -> None:
    assert_whole(await channel_down(tmp_path, seconds=2))
