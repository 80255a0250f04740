"""Waits until a message is answered or an analysis has ended, for those who asked: HTTP, the terminal, the replay."""

import asyncio
from contextlib import suppress

from contracts.analysis import Analysis
from contracts.delivery import Receipt
from contracts.ports import Analyses, ConversationStore, Events
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


async def wait_for_analysis(analyses: Analyses, analysis_id: str, *, seconds: float) -> Analysis | None:
    """The analysis as soon as it has ended, or as it is when the time is over; None when there is none.

    The store is asked again and again: news of a conversation goes to whoever watches it, also to the person.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while True:
        analysis = await analyses.find(analysis_id)
        remaining = ends - loop.time()
        if analysis is None or analysis.is_finished or remaining <= 0:
            return analysis
        await asyncio.sleep(min(ASK_AGAIN_SECONDS, remaining))
