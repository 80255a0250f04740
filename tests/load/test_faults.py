"""Real processes of every engine, killed, paused and cut off under traffic: the figures of delivery from outside."""

from pathlib import Path

import pytest

from contracts.messages import ChannelName
from tests.load.faults import play
from tests.load.scenarios import SHORT


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
async def test_no_fault_loses_doubles_or_reorders_anything(name: str, tmp_path: Path) -> None:
    scenario = SHORT[name]
    report = await play(name, scenario, tmp_path)
    counts = report.counts
    assert (report.not_taken, counts.lost, counts.doubled, counts.out_of_order, counts.illegal_moves) == (0, 0, 0, 0, 0)
    assert counts.unsent == 0
    # WhatsApp reports what it accepted, Slack shows it in its history: a send whose answer was lost is not made again.
    # Telegram says nothing of it, and has no key to send with: what a kill interrupts goes once more.
    most = counts.sent_again if scenario.channel is ChannelName.TELEGRAM else 0
    assert counts.doubled_replies <= most
    assert counts.messages == scenario.messages
    done = {fault.kind: fault.times for fault in scenario.faults}
    assert {kind: report.faults[kind] for kind in done} == done
