"""People that a number writes to first: templates wait for a place, which all processes count together."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.channels.whatsapp import LIMITS
from contracts.conversation import Conversation
from contracts.delivery import OutboxRow, TurnCommit
from contracts.messages import Address, ChannelName, DeliveryState, MessageType, OutboundMessage, Template
from contracts.values import ConversationId, OutboxId, TurnId
from tests.builders import BACKENDS, EngineBed, RecordingChannel, engine_bed, open_backend
from worker.outbox import flush

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TEMPLATE = OutboundMessage(type=MessageType.TEMPLATE, template=Template(name="news", language="pt_BR"))


class Business:
    """Two processes that send from one number with three places."""

    def __init__(self, inbox: Any, store: Any) -> None:
        limits = LIMITS.model_copy(update={"openings": 3, "pair": None})
        self.channel = RecordingChannel(name=ChannelName.WHATSAPP, limits=limits)
        self.beds: list[EngineBed] = [engine_bed(inbox, store, channel=self.channel)]
        self.clock = self.beds[0].clock
        self.beds.append(engine_bed(inbox, store, channel=self.channel, clock=self.clock))
        self.written = 0

    async def write(self, person: str, *, last_wrote: timedelta | None = None, process: int = 0) -> OutboxRow:
        """Commit a template to a person, and send what may be sent; return its row."""
        store, at, conversation = self.beds[0].store, self.clock.now(), ConversationId(f"wa:{person}")
        self.written += 1
        row = OutboxRow(
            id=OutboxId(f"{conversation}/{self.written}"),
            conversation_id=conversation,
            turn_id=TurnId(f"{conversation}/{self.written}"),
            number=self.written,
            address=Address(channel=ChannelName.WHATSAPP, account="1", person=person),
            message=TEMPLATE,
            window_from=at - last_wrote if last_wrote is not None else None,
            created_at=at,
            updated_at=at,
        )
        head = await store.conversations.load(conversation) or Conversation(id=conversation)
        await store.conversations.commit(TurnCommit(conversation=head, outbox=(row,)))
        await flush(conversation, self.beds[process].engine.outbox)
        return (await store.outbox.rows(conversation))[-1]


@pytest.fixture(params=BACKENDS)
async def business(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Business]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield Business(inbox, store)


async def test_templates_wait_for_a_place_among_new_people(business: Business) -> None:
    sent = [await business.write(f"p{number}", last_wrote=2 * DAY if number else None) for number in range(3)]
    assert {row.state for row in sent} == {DeliveryState.SENT}
    # The same person again, and one whose window is open, take no place.
    assert (await business.write("p0")).state is DeliveryState.SENT
    assert (await business.write("open", last_wrote=HOUR)).state is DeliveryState.SENT
    waits = await business.write("p4")
    assert (waits.state, waits.error_code) == (DeliveryState.PENDING, "tier")
    assert waits.not_before is not None
    assert DAY <= waits.not_before - business.clock.now() <= DAY + HOUR
    # A place is free again a day later, and as many as there were.
    business.clock.at = waits.not_before
    await flush(waits.conversation_id, business.beds[1].engine.outbox)
    assert (await business.beds[0].store.outbox.rows(waits.conversation_id))[-1].state is DeliveryState.SENT
    states = [(await business.write(f"q{number}")).state for number in range(3)]
    assert states == [DeliveryState.SENT, DeliveryState.SENT, DeliveryState.PENDING]


async def test_two_processes_share_the_places(business: Business) -> None:
    rows = await asyncio.gather(*(business.write(f"p{number}", process=number % 2) for number in range(8)))
    for row in rows:
        if row.error_code != "tier" and row.state is DeliveryState.PENDING:
            raise AssertionError("it neither left nor waits for a place")
    assert len(business.channel.accepted) == 3
