"""Sends stay below the platform's own limits; what waits for its place survives the process."""

from datetime import timedelta
from pathlib import Path

import pytest

from adapters.channels.whatsapp import LIMITS
from contracts.messages import Address, ChannelName, DeliveryState, OutboundMessage
from contracts.ports import Rate
from tests.builders import START, RecordingChannel, conversation_id, engine_bed, inbound, open_backend
from worker.drain import drain
from worker.outbox import PACED, flush
from worker.scheduling.limiter import Pace

C1, C2 = conversation_id("c-1"), conversation_id("c-2")


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_one_person_gets_a_burst_and_then_a_message_every_six_seconds(backend: str, tmp_path: Path) -> None:
    async with open_backend(backend, tmp_path) as (inbox, store):
        channel = RecordingChannel(name=ChannelName.WHATSAPP, limits=LIMITS)
        bed = engine_bed(inbox, store, channel=channel)
        await inbox.append([inbound("Oi"), inbound("Oi", conversation="c-2")])
        await drain(C1, bed.engine.drain)
        texts = [str(number) for number in range(50)]
        for text in texts:
            message = OutboundMessage.of_text(text)
            await bed.engine.operators.agents.reply(C1, message, agent="bia", request_id=text)
        await flush(C1, bed.engine.outbox)
        assert len(channel.accepted) == 40, "the bubbles of a reply are far below it"
        await drain(C2, bed.engine.drain)
        assert channel.accepted[-1].conversation_id == C2, "another person is not held back"

        first = next(row for row in await store.outbox.unsent(C1))
        assert (first.state, first.error_code, first.not_before) == (
            DeliveryState.PENDING,
            PACED,
            START + timedelta(seconds=6),
        )
        # Another process knows nothing of these sends: the row itself has its place.
        successor = engine_bed(inbox, store, channel=channel, clock=bed.clock)
        await flush(C1, successor.engine.outbox)
        assert len(channel.accepted) == 41

        left = []
        for _ in range(90):
            bed.clock.move(timedelta(seconds=1))
            before = len(channel.accepted)
            await flush(C1, bed.engine.outbox)
            left += [(bed.clock.now() - START).total_seconds()] * (len(channel.accepted) - before)
        assert left == [6.0 * number for number in range(1, 12)]
        assert [row.message.text for row in channel.accepted if row.conversation_id == C1][1:] == texts


def test_the_messages_of_a_number_share_one_pace() -> None:
    pace, limits = Pace(), LIMITS.model_copy(update={"number": Rate(every=timedelta(milliseconds=100), burst=5)})

    def leaves(person: int, account: str = "1") -> float:
        address = Address(channel=ChannelName.WHATSAPP, account=account, person=str(person))
        return (pace.reserve(address, limits, START) - START).total_seconds()

    assert [leaves(person) for person in range(8)] == [0, 0, 0, 0, 0, 0.1, 0.2, 0.3]
    assert leaves(0, account="2") == 0
