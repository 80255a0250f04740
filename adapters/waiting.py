"""Waits until a message is answered, for those who asked: the HTTP status, the terminal, the replay."""

import asyncio
from contextlib import suppress

from contracts.delivery import Receipt
from contracts.ports import ConversationStore, Events
from contracts.values import ConversationId, MessageId

# News may be lost between processes, so the store is asked again even when none comes.
ASK_AGAIN_SECONDS = 0.25


async def wait_for_receipt(
    store: ConversationStore,
    events: Events,
    conversation_id: ConversationId,
    message_id: MessageId,
    *,
    seconds: float,
) -> Receipt | None:
    """The receipt of the message as soon as its turn is committed, or None when the time is over."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    async with events.subscribe(conversation_id) as news:
        while True:
            receipt = await store.receipt(conversation_id, message_id)
            remaining = ends - loop.time()
            if receipt is not None or remaining <= 0:
                return receipt
            with suppress(TimeoutError):
                await asyncio.wait_for(anext(news), min(ASK_AGAIN_SECONDS, remaining))
