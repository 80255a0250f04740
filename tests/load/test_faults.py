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
    # Slack shows what it accepted in its history, WhatsApp reports it, a web client numbers what it has seen: a send
    # whose answer was lost is not made again. Telegram says nothing of it, and has no key to send with: what a kill
    # interrupts goes once more. So it does where the echo of Meta or Chatwoot comes later than the four seconds that
    # are waited for it, as on a machine without time.
    exact = (ChannelName.WHATSAPP, ChannelName.SLACK, ChannelName.WEB)
    assert counts.doubled_replies <= (0 if scenario.channel in exact else counts.sent_again)
    assert counts.messages == scenario.messages
    done = {fault.kind: fault.times for fault in scenario.faults}
    assert {kind: report.faults[kind] for kind in done} == done
