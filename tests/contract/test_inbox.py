"""What every inbox guarantees, on each of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.firestore.inbox import FirestoreInbox
from contracts.delivery import Ages, Arrival
from contracts.errors import LeaseLostError
from contracts.ports import Inbox
from tests.builders import BACKENDS, START, arrivals_of, conversation_id, damage, inbound, open_backend

TTL = timedelta(seconds=1.5)
C1 = conversation_id("c-1")


@pytest.fixture(params=BACKENDS)
async def inbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Inbox]:
    async with open_backend(request.param, tmp_path) as (inbox, _):
        yield inbox


async def sequences_of(inbox: Inbox) -> list[int]:
    return [entry.sequence for entry in await inbox.pending(C1)]


async def test_messages_come_back_in_the_order_of_their_arrival(inbox: Inbox) -> None:
    messages = [inbound(f"{n}") for n in range(5)]
    assert arrivals_of(await inbox.append(messages)) == [Arrival.ACCEPTED] * 5
    assert [entry.message for entry in await inbox.pending(C1)] == messages
    sequences = await sequences_of(inbox)
    assert sequences == sorted(set(sequences))
    assert sequences[0] > 0
    assert await inbox.depth() == 5


GARBAGE = (b"", b"\xff", b"garbage", b"5", b"[]", b'{"received_at": 5}', b'{"text": "my secret"}')


@pytest.mark.parametrize("stored", GARBAGE, ids=repr)
async def test_an_entry_that_cannot_be_read_hides_no_other(inbox: Inbox, tmp_path: Path, stored: bytes) -> None:
    await inbox.append([inbound("1"), inbound("2")])
    await damage(inbox, tmp_path, C1, stored)
    spoilt, good = await inbox.pending(C1)
    assert (spoilt.raw, good.raw) == (stored.decode("utf-8", "replace"), None)
    # Firestore keeps the time of arrival outside the message, and counts the spoilt one too.
    overdue = 2 if isinstance(inbox, FirestoreInbox) else 1
    assert (await inbox.ages(overdue_before=START + TTL)).overdue == overdue
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease is not None
    assert [entry.raw is None for entry in await inbox.take(lease, isolate_after=3)] == [False, True]
    assert not await inbox.release(lease, answered=[spoilt.sequence])
    assert [entry.message.text for entry in await inbox.pending(C1)] == ["2"]


async def test_a_second_delivery_is_recognised_before_and_after_the_answer(inbox: Inbox) -> None:
    message = inbound()
    await inbox.append([message])
    assert arrivals_of(await inbox.append([message, message])) == [Arrival.DUPLICATE_PENDING] * 2
    await inbox.remove(C1, await sequences_of(inbox))
    assert arrivals_of(await inbox.append([message])) == [Arrival.DUPLICATE_DONE]
    assert await inbox.depth() == 0


async def test_two_hundred_deliveries_at_once_are_one_message(inbox: Inbox) -> None:
    message = inbound()
    arrivals = await asyncio.gather(*(inbox.append([message]) for _ in range(200)))
    assert [one for (one,) in map(arrivals_of, arrivals)].count(Arrival.ACCEPTED) == 1
    assert len(await inbox.pending(C1)) == 1


async def test_a_duplicate_of_a_waiting_message_arms_the_wake_up_again(inbox: Inbox) -> None:
    message = inbound()
    await inbox.append([message])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.abandon(lease, due_at=START + timedelta(hours=1))
    assert await inbox.due(at=START, limit=10) == []
    await inbox.append([message])
    assert await inbox.due(at=START, limit=10) == [C1]


async def test_the_same_id_in_another_conversation_is_another_message(inbox: Inbox) -> None:
    await inbox.append([inbound(id="1", conversation="a"), inbound(id="1", conversation="b")])
    assert await inbox.depth() == 2


async def test_only_one_worker_holds_a_conversation(inbox: Inbox) -> None:
    await inbox.append([inbound()])
    leases = await asyncio.gather(*(inbox.claim(C1, ttl=TTL, at=START) for _ in range(20)))
    assert sum(1 for lease in leases if lease) == 1
    assert await inbox.due(at=START, limit=10) == []


async def test_an_expired_lease_is_taken_over_and_its_holder_finds_out(inbox: Inbox) -> None:
    await inbox.append([inbound()])
    first = await inbox.claim(C1, ttl=TTL, at=START)
    later = START + TTL
    second = await inbox.claim(C1, ttl=TTL, at=later)
    assert first
    assert second
    assert second.token > first.token
    with pytest.raises(LeaseLostError):
        await inbox.renew(first, ttl=TTL, at=later)
    with pytest.raises(LeaseLostError):
        await inbox.take(first, isolate_after=2)
    assert not await inbox.release(first)
    await inbox.abandon(first, due_at=later)
    assert await inbox.claim(C1, ttl=TTL, at=later) is None


async def test_a_heartbeat_keeps_the_lease(inbox: Inbox) -> None:
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    renewed = await inbox.renew(lease, ttl=TTL, at=START + timedelta(seconds=1))
    assert renewed.expires_at == START + timedelta(seconds=1) + TTL
    assert await inbox.claim(C1, ttl=TTL, at=START + timedelta(seconds=2)) is None


async def test_taking_counts_an_attempt_and_removes_nothing(inbox: Inbox) -> None:
    await inbox.append([inbound("a"), inbound("b")])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    assert [entry.attempts for entry in await inbox.take(lease, isolate_after=2)] == [1, 1]
    assert [entry.attempts for entry in await inbox.pending(C1)] == [1, 1]


async def test_an_attempt_that_was_nobody_s_fault_is_taken_back(inbox: Inbox) -> None:
    await inbox.append([inbound("a"), inbound("b"), inbound("c")])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.take(lease, isolate_after=5)
    await inbox.take(lease, isolate_after=5)
    first, second, third = await sequences_of(inbox)
    await inbox.remove(C1, [third])
    await inbox.refund_attempts(C1, [first, third, third + 1])
    assert [entry.attempts for entry in await inbox.pending(C1)] == [1, 2]
    for _ in range(3):
        await inbox.refund_attempts(C1, [first])
    assert [(entry.sequence, entry.attempts) for entry in await inbox.pending(C1)] == [(first, 0), (second, 2)]


async def test_a_message_that_was_tried_often_comes_alone(inbox: Inbox) -> None:
    await inbox.append([inbound("bad"), inbound("good")])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.take(lease, isolate_after=2)
    await inbox.take(lease, isolate_after=2)
    (alone,) = await inbox.take(lease, isolate_after=2)
    again = await inbox.claim(C1, ttl=TTL, at=START + TTL)
    assert (lease.oldest_attempts, again.oldest_attempts if again else None) == (0, 3)
    assert (alone.message.text, alone.attempts) == ("bad", 3)
    assert [entry.attempts for entry in await inbox.pending(C1)] == [3, 2]


async def test_a_lease_is_not_given_back_while_something_waits(inbox: Inbox) -> None:
    """A message that arrives between the last look and the release must not wait for nobody."""
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.append([inbound()])
    assert not await inbox.release(lease)
    await inbox.remove(C1, await sequences_of(inbox))
    assert await inbox.release(lease)
    assert await inbox.due(at=START + timedelta(days=1), limit=10) == []


async def test_what_was_answered_goes_with_the_lease_or_without_it(inbox: Inbox) -> None:
    """A message that came meanwhile keeps the lease; the answered one is gone either way."""
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.append([inbound("first", id="m-1"), inbound("second", id="m-2")])
    first, second = await sequences_of(inbox)
    assert not await inbox.release(lease, answered=[first])
    assert await sequences_of(inbox) == [second]
    assert await inbox.due(at=START, limit=10) == []
    assert await inbox.release(lease, answered=[first, second])
    assert (await inbox.depth(), await inbox.due(at=START + timedelta(days=1), limit=10)) == (0, [])
    assert await inbox.claim(C1, ttl=TTL, at=START)


async def test_who_has_lost_the_lease_still_forgets_what_was_answered(inbox: Inbox) -> None:
    lost = await inbox.claim(C1, ttl=TTL, at=START)
    assert lost
    await inbox.append([inbound()])
    assert await inbox.claim(C1, ttl=TTL, at=START + TTL)
    assert not await inbox.release(lost, answered=await sequences_of(inbox))
    assert await inbox.depth() == 0
    assert await inbox.claim(C1, ttl=TTL, at=START + TTL) is None


async def test_the_longest_waiting_conversation_is_due_first(inbox: Inbox) -> None:
    await inbox.append([inbound(conversation="late", at=START + timedelta(seconds=1))])
    await inbox.append([inbound(conversation="early", at=START)])
    assert await inbox.due(at=START, limit=10) == [conversation_id("early")]
    at = START + timedelta(seconds=1)
    assert await inbox.due(at=at, limit=10) == [conversation_id("early"), conversation_id("late")]
    assert await inbox.due(at=at, limit=1) == [conversation_id("early")]


async def test_it_tells_how_long_messages_have_waited_whoever_holds_them(inbox: Inbox) -> None:
    assert await inbox.ages(overdue_before=START) == Ages()
    minute = timedelta(minutes=1)
    # A text is a person's: it may look like the field that is asked for.
    hostile = '"received_at":"1999-01-01T00:00:00Z"'
    await inbox.append([inbound(hostile, at=START + timedelta(microseconds=123_456)), inbound(at=START + minute)])
    await inbox.append([inbound(conversation="another", at=START + 2 * minute)])
    await inbox.claim(C1, ttl=TTL, at=START)
    ages = await inbox.ages(overdue_before=START + minute)
    assert ages == Ages(oldest_received_at=START + timedelta(microseconds=123_456), overdue=1)
    await inbox.remove(C1, await sequences_of(inbox))
    assert await inbox.ages(overdue_before=START + 3 * minute) == Ages(oldest_received_at=START + 2 * minute, overdue=1)


async def test_the_ages_of_many_conversations(inbox: Inbox) -> None:
    await inbox.append([inbound(conversation=f"c-{n}", at=START + timedelta(seconds=n)) for n in range(250)])
    ages = await inbox.ages(overdue_before=START + timedelta(seconds=240))
    assert ages == Ages(oldest_received_at=START, overdue=240)


async def test_it_tells_whether_something_newer_waits(inbox: Inbox) -> None:
    await inbox.append([inbound(), inbound()])
    first, second = await sequences_of(inbox)
    assert await inbox.has_newer(C1, first)
    assert not await inbox.has_newer(C1, second)


async def test_an_erased_conversation_has_no_messages_and_refuses_a_late_delivery(inbox: Inbox) -> None:
    message = inbound()
    await inbox.append([message])
    (sequence,) = await sequences_of(inbox)
    assert await inbox.forget(C1) == sequence
    assert await inbox.pending(C1) == []
    assert await inbox.depth() == 0
    assert arrivals_of(await inbox.append([message])) == [Arrival.DUPLICATE_DONE]
    await inbox.append([inbound()])
    assert await sequences_of(inbox) > [sequence]


async def test_removing_twice_is_harmless(inbox: Inbox) -> None:
    await inbox.append([inbound(), inbound()])
    first, second = await sequences_of(inbox)
    await inbox.remove(C1, [first])
    await inbox.remove(C1, [first])
    assert await sequences_of(inbox) == [second]
    assert await inbox.depth() == 1


async def test_numbering_goes_on_where_another_inbox_had_come_to(inbox: Inbox) -> None:
    far = 2_000_000_000_000_000
    await inbox.advance(C1, past=far)
    await inbox.append([inbound()])
    (sequence,) = await sequences_of(inbox)
    assert sequence > far
    await inbox.advance(C1, past=1)
    await inbox.append([inbound()])
    assert (await sequences_of(inbox))[1] > sequence


async def test_what_another_inbox_had_answered_is_a_duplicate_here(inbox: Inbox) -> None:
    answered, waiting = inbound(), inbound()
    await inbox.append([waiting])
    await inbox.advance(C1, past=0, answered=[answered, waiting])
    assert arrivals_of(await inbox.append([answered, waiting])) == [Arrival.DUPLICATE_DONE, Arrival.DUPLICATE_PENDING]
    assert await inbox.depth() == 1


async def test_a_worker_that_holds_nothing_due_leaves_nothing_due(inbox: Inbox) -> None:
    """A claim for the sake of the outbox alone must not make its conversation due when the lease runs out."""
    assert await inbox.claim(C1, ttl=TTL, at=START)
    assert await inbox.due(at=START + timedelta(days=1), limit=10) == []


async def test_a_message_that_arrives_under_a_lease_is_due_when_the_lease_runs_out(inbox: Inbox) -> None:
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    await inbox.append([inbound()])
    assert await inbox.due(at=START, limit=10) == []
    lease = await inbox.renew(lease, ttl=TTL, at=START + TTL / 2)
    assert await inbox.due(at=START + TTL, limit=10) == []
    assert await inbox.due(at=START + TTL / 2 + TTL, limit=10) == [C1]


async def test_it_says_that_it_is_there(inbox: Inbox) -> None:
    await inbox.ping()
    assert await inbox.depth() == 0


async def test_what_comes_for_a_joined_thread_is_a_message_of_the_other(inbox: Inbox) -> None:
    follows, again = inbound("follows"), inbound("again")
    await inbox.join(C1, conversation_id("c-2"))
    await inbox.join(conversation_id("c-2"), conversation_id("c-3"))
    joined, beside = await inbox.append([follows, inbound("beside", conversation="c-4")])
    assert (joined.arrival, joined.conversation_id) == (Arrival.ACCEPTED, conversation_id("c-3"))
    assert beside.conversation_id == conversation_id("c-4")
    (entry,) = await inbox.pending(conversation_id("c-3"))
    assert entry.message == follows.model_copy(update={"conversation_id": conversation_id("c-3")})
    assert await inbox.append([follows]) == [(Arrival.DUPLICATE_PENDING, conversation_id("c-3"))]
    await inbox.join(C1, None)
    assert await inbox.append([again]) == [(Arrival.ACCEPTED, C1)]


async def test_a_join_moves_what_waits_and_deletes_what_is_answered(inbox: Inbox) -> None:
    texts, other = [f"message {number}" for number in range(25)], conversation_id("c-2")
    await inbox.append([inbound(text) for text in texts])
    await inbox.append([first := inbound("first", conversation="c-2")])
    held = await inbox.claim(C1, ttl=TTL, at=START)
    assert held
    answered = (await inbox.take(held, isolate_after=3))[1]
    for _ in range(2):
        await inbox.join(C1, other, after=answered.sequence)
    moved = await inbox.pending(other)
    assert [entry.message.text for entry in moved] == ["first", *texts[2:]]
    assert {(entry.attempts, entry.message.conversation_id) for entry in moved} == {(0, other)}
    assert moved == sorted(moved, key=lambda entry: entry.sequence)
    assert (await inbox.pending(C1), await inbox.depth()) == ([], 24)
    assert await inbox.release(held)
    assert await inbox.due(at=START + TTL, limit=10) == [other]
    # The answer to its first delivery stays: what has moved is not taken in again.
    again = await inbox.append([answered.message, first])
    assert arrivals_of(again) == [Arrival.DUPLICATE_DONE, Arrival.DUPLICATE_PENDING]
    lease = await inbox.claim(other, ttl=TTL, at=START)
    assert lease
    assert await inbox.take(lease, isolate_after=3) == [entry.model_copy(update={"attempts": 1}) for entry in moved]
