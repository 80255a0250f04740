"""Wait for the reply to a message or the end of an analysis, for HTTP, the terminal and the replay."""

import asyncio
from contextlib import suppress

from contracts.analysis import Analysis
from contracts.delivery import Receipt
from contracts.ports import Analyses, ConversationStore, Events
from contracts.values import ConversationId, MessageId

# Events may be lost between processes, so the store is polled as well.
ASK_AGAIN_SECONDS = 0.25


async def wait_for_receipt(
    store: ConversationStore, events: Events, conversation_id: ConversationId, message_id: MessageId, *, seconds: float
) -> Receipt | None:
    """Return the receipt of the message as soon as its turn is committed, or None at the time-out."""
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


async def wait_for_analysis(analyses: Analyses, analysis_id: str, *, seconds: float) -> Analysis | None:
    """Return the analysis as soon as it has ended, or its state at the time-out; None when there is none.

    It polls the store: events of a conversation go to all its subscribers, the person included.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while True:
        analysis = await analyses.find(analysis_id)
        remaining = ends - loop.time()
        if analysis is None or analysis.is_finished or remaining <= 0:
            return analysis
        await asyncio.sleep(min(ASK_AGAIN_SECONDS, remaining))
