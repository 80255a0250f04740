"""Conversations played through a running engine, one message after the other's answer."""

import asyncio
from collections.abc import Sequence

from adapters.channels.web import web_message
from adapters.waiting import wait_for_receipt
from cli.runtime import Runtime
from contracts.conversation import TurnRecord
from contracts.values import MessageId

ANSWER_SECONDS = 60.0


async def play_all(runtime: Runtime, conversations: Sequence[Sequence[str]], *, prefix: str = "c") -> list[TurnRecord]:
    """Play them side by side; return every turn."""
    async with asyncio.TaskGroup() as group:
        plays = [
            group.create_task(play(runtime, f"{prefix}{number}", says)) for number, says in enumerate(conversations)
        ]
    return [turn for one in plays for turn in one.result()]


async def play(runtime: Runtime, name: str, says: Sequence[str]) -> list[TurnRecord]:
    """Write each text once the one before has its turn.

    Raises:
        AssertionError: a message got no turn.
    """
    backend, turns = runtime.backend, []
    for number, text in enumerate(says):
        message = web_message(name, MessageId(f"m{number}"), text, at=runtime.engine.drain.clock.now())
        await backend.inbox.append([message])
        await runtime.queue.wake(message.conversation_id)
        receipt = await wait_for_receipt(
            backend.store.conversations, backend.events, message.conversation_id, message.id, seconds=ANSWER_SECONDS
        )
        assert receipt is not None, "a message without an answer"
        turn = await backend.store.conversations.turn_of(receipt)
        assert turn is not None
        turns.append(turn)
    return turns
