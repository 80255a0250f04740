"""The embedded queue: one drain of a conversation at a time, and no wake-up between two drains is lost."""

import asyncio

from contracts.values import ConversationId
from worker.scheduling.keyed_queue import EmbeddedQueue

C = ConversationId("c")


async def test_wake_ups_while_a_drain_runs_become_one_more() -> None:
    runs: list[str] = []
    goes_on = asyncio.Event()

    async def drain(conversation_id: ConversationId) -> None:
        runs.append(conversation_id)
        await goes_on.wait()

    queue = EmbeddedQueue(drain)
    for _ in range(10):
        await queue.wake(C)
        await asyncio.sleep(0)
    assert runs == [C]
    goes_on.set()
    await queue.idle()
    assert runs == [C, C]


async def test_no_wake_up_is_lost_at_the_end_of_a_drain() -> None:
    """Whatever the moment between the last look and the end of the task."""
    woken = drained = 0

    async def drain(_: ConversationId) -> None:
        nonlocal drained
        seen = woken
        await asyncio.sleep(0)
        drained = max(drained, seen)

    queue = EmbeddedQueue(drain)
    for steps in range(40):
        woken += 1
        await queue.wake(C)
        for _ in range(steps % 7):
            await asyncio.sleep(0)
    await queue.idle()
    assert drained == woken


async def test_different_conversations_run_side_by_side_within_the_room() -> None:
    running = most = 0

    async def drain(_: ConversationId) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    queue = EmbeddedQueue(drain, at_once=5)
    for number in range(50):
        await queue.wake(ConversationId(f"c-{number}"))
    await queue.idle()
    assert most == 5


async def test_closing_gives_running_drains_their_time_and_then_stops_them() -> None:
    ended: list[str] = []

    async def drain(conversation_id: ConversationId) -> None:
        try:
            await asyncio.sleep(0.01 if conversation_id == "short" else 60)
            ended.append(conversation_id)
        except asyncio.CancelledError:
            ended.append(f"{conversation_id} stopped")
            raise

    queue = EmbeddedQueue(drain)
    await queue.wake(ConversationId("short"))
    await queue.wake(ConversationId("long"))
    await asyncio.sleep(0)
    await queue.close(grace_seconds=0.2)
    await queue.wake(ConversationId("late"))
    assert ended == ["short", "long stopped"]
