"""What only Firestore's inbox has to get right: processes that compete for a box, bursts, lost answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions as google
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient

from adapters.firestore import inbox as firestore_inbox
from adapters.firestore.database import DOCUMENT_BYTES, Delete, Guarded
from adapters.firestore.inbox import SEEN_FOR, FirestoreInbox
from contracts.delivery import Arrival
from contracts.errors import InboxUnavailableError, LeaseLostError, PermanentError
from contracts.messages import InboundMessage
from contracts.values import ConversationId
from tests.builders import START, arrivals_of, conversation_id, inbound, open_firestore

C1 = conversation_id("c-1")
TTL = timedelta(seconds=1.5)
Pair = tuple[FirestoreInbox, FirestoreInbox]


@pytest.fixture
async def inboxes() -> AsyncIterator[Pair]:
    """Two inboxes with connections of their own to the same data, as two processes have them."""
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(open_firestore())
        theirs = await stack.enter_async_context(open_firestore(mine.project))
        yield FirestoreInbox(mine), FirestoreInbox(theirs)


@pytest.fixture
def inbox(inboxes: Pair) -> FirestoreInbox:
    return inboxes[0]


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many documents each commit wrote."""
    sizes: list[int] = []
    commit = FirestoreAsyncClient.commit

    async def counted(client: FirestoreAsyncClient, *args: Any, **options: Any) -> Any:
        sizes.append(len(args[0].writes))
        return await commit(client, *args, **options)

    monkeypatch.setattr(FirestoreAsyncClient, "commit", counted)
    return sizes


async def texts_of(inbox: FirestoreInbox) -> list[str]:
    return [entry.message.text for entry in await inbox.pending(C1)]


async def test_of_the_same_message_in_two_processes_one_is_accepted(inboxes: Pair) -> None:
    for _ in range(5):
        message = inbound()
        arrivals = await asyncio.gather(*(inbox.append([message]) for inbox in inboxes for _ in range(20)))
        outcomes = sorted(one for (one,) in map(arrivals_of, arrivals))
        assert outcomes == [Arrival.ACCEPTED] + [Arrival.DUPLICATE_PENDING] * 39
    assert await inboxes[0].depth() == 5


async def test_messages_of_two_processes_all_stay_and_are_numbered_once(inboxes: Pair) -> None:
    await asyncio.gather(*(inbox.append([inbound()]) for _ in range(40) for inbox in inboxes))
    sequences = [entry.sequence for entry in await inboxes[0].pending(C1)]
    assert len(set(sequences)) == 80
    assert sequences == sorted(sequences)


async def test_one_of_two_processes_gets_the_lease_and_the_other_learns_of_it(inboxes: Pair) -> None:
    mine, theirs = inboxes
    await mine.append([inbound()])
    leases = await asyncio.gather(*(inbox.claim(C1, ttl=TTL, at=START) for _ in range(5) for inbox in inboxes))
    (lease,) = (one for one in leases if one)
    taken_over = await theirs.claim(C1, ttl=TTL, at=START + TTL)
    assert taken_over
    assert taken_over.token > lease.token
    with pytest.raises(LeaseLostError):
        await mine.take(lease, isolate_after=2)
    with pytest.raises(LeaseLostError):
        await mine.renew(lease, ttl=TTL, at=START + TTL)
    assert not await mine.release(lease)
    assert [entry.attempts for entry in await theirs.take(taken_over, isolate_after=2)] == [1]


async def test_a_lease_is_kept_over_what_another_process_appends(inboxes: Pair) -> None:
    mine, theirs = inboxes
    lease = await mine.claim(C1, ttl=TTL, at=START)
    assert lease
    await theirs.append([inbound("um")])
    # What this process remembers of the box is old, and says that nothing waits.
    assert not await mine.release(lease)
    assert [entry.message.text for entry in await mine.take(lease, isolate_after=2)] == ["um"]
    await theirs.append([inbound("dois")])
    await mine.renew(lease, ttl=TTL, at=START)
    await mine.remove(C1, [1])
    assert await texts_of(mine) == ["dois"]
    assert await theirs.due(at=START + TTL, limit=9) == [C1]
    await mine.append([inbound("três")])
    await theirs.remove(C1, [2, 3])
    # And now it says that something waits.
    assert await mine.release(lease)


async def test_a_burst_shares_its_writes(inbox: FirestoreInbox, commits: list[int]) -> None:
    arrivals = await asyncio.gather(*(inbox.append([inbound(f"{n}")]) for n in range(100)))
    assert [one for (one,) in map(arrivals_of, arrivals)] == [Arrival.ACCEPTED] * 100
    assert await texts_of(inbox) == [f"{n}" for n in range(100)]
    # The first goes alone; those that came meanwhile go together, with an entry and a mark each and one box.
    assert commits == [3, 2 * 99 + 1]


async def test_a_large_burst_goes_in_parts(inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore_inbox, "BYTES_AT_ONCE", 5_000)
    messages = [inbound(f"{n}" * 2_000) for n in range(9)]
    assert arrivals_of(await inbox.append(messages)) == [Arrival.ACCEPTED] * 9
    assert await texts_of(inbox) == [message.text for message in messages]


async def test_conversations_do_not_wait_for_each_other(inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = asyncio.Event()
    arrive = inbox._arrive

    async def slow(box: Any, batch: Any, **options: Any) -> Any:
        if box.conversation_id == conversation_id("slow"):
            await goes_on.wait()
        return await arrive(box, batch, **options)

    monkeypatch.setattr(inbox, "_arrive", slow)
    waiting = asyncio.create_task(inbox.append([inbound(conversation="slow")]))
    assert arrivals_of(await inbox.append([inbound(conversation="quick")])) == [Arrival.ACCEPTED]
    goes_on.set()
    assert arrivals_of(await waiting) == [Arrival.ACCEPTED]


async def test_who_is_cancelled_takes_nobody_along(inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that writes for the others goes away in the middle of it; another one writes for them."""
    held = asyncio.Event()
    arrive = inbox._arrive

    async def hang(box: Any, batch: Any, **options: Any) -> Any:
        monkeypatch.setattr(inbox, "_arrive", arrive)
        held.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(inbox, "_arrive", hang)
    first = asyncio.create_task(inbox.append([inbound("gone")]))
    await held.wait()
    others = [asyncio.create_task(inbox.append([inbound(f"{n}")])) for n in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert [arrivals_of(one) for one in await asyncio.gather(*others)] == [[Arrival.ACCEPTED]] * 3
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await texts_of(inbox) == ["0", "1", "2"]


async def test_an_append_whose_answer_got_lost_is_accepted_once(
    inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = FirestoreAsyncClient.commit

    async def lost(client: FirestoreAsyncClient, *args: Any, **options: Any) -> None:
        await commit(client, *args, **options)
        monkeypatch.undo()
        raise google.DeadlineExceeded("lost")

    message = inbound()
    monkeypatch.setattr(FirestoreAsyncClient, "commit", lost)
    assert arrivals_of(await inbox.append([message])) == [Arrival.ACCEPTED]
    assert arrivals_of(await inbox.append([message])) == [Arrival.DUPLICATE_PENDING]
    assert await inbox.depth() == 1


async def test_an_append_that_cannot_be_made_is_told_to_all_who_share_it(
    inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(client: FirestoreAsyncClient, *args: Any, **options: Any) -> None:
        raise google.ServiceUnavailable("away")

    messages = [inbound() for _ in range(5)]
    with monkeypatch.context() as patched:
        patched.setattr(FirestoreAsyncClient, "commit", away)
        results = await asyncio.gather(*(inbox.append([one]) for one in messages), return_exceptions=True)
    assert [type(result) for result in results] == [InboxUnavailableError] * 5
    assert arrivals_of(await inbox.append(messages)) == [Arrival.ACCEPTED] * 5


async def test_a_message_that_no_document_holds_is_refused_for_good(inbox: FirestoreInbox) -> None:
    with pytest.raises(PermanentError):
        await inbox.append([inbound("x" * DOCUMENT_BYTES)])
    assert await inbox.depth() == 0


@pytest.mark.parametrize("name", ["a/b", "..", "__x__", "á é", "\0", "x" * 3_000, ""])
async def test_hostile_conversation_ids_are_ids_like_others(inbox: FirestoreInbox, name: str) -> None:
    odd = ConversationId(name)
    message = inbound().model_copy(update={"conversation_id": odd})
    assert arrivals_of(await inbox.append([message])) == [Arrival.ACCEPTED]
    assert arrivals_of(await inbox.append([message])) == [Arrival.DUPLICATE_PENDING]
    assert await inbox.due(at=START, limit=9) == [odd]
    lease = await inbox.claim(odd, ttl=TTL, at=START)
    assert lease
    (entry,) = await inbox.take(lease, isolate_after=2)
    await inbox.remove(odd, [entry.sequence])
    assert await inbox.release(lease)


async def test_more_than_a_batch_is_taken_and_forgotten_in_parts(
    inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firestore_inbox, "BATCH_LIMIT", 2)
    await inbox.append([inbound(f"{n}") for n in range(5)])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    taken = await inbox.take(lease, isolate_after=9)
    assert [entry.message.text for entry in taken] == ["0", "1"]
    await inbox.remove(C1, [entry.sequence for entry in taken])
    assert not await inbox.release(lease)
    assert await inbox.forget(C1) == 5
    assert await inbox.depth() == 0
    assert await inbox.release(lease)


async def test_a_wrong_count_keeps_nobody_at_an_empty_inbox(inbox: FirestoreInbox) -> None:
    """Somebody deleted a message by hand: the next worker finds nothing, and goes."""
    await inbox.append([inbound()])
    await inbox._documents.apply([Delete(firestore_inbox._entry_path(firestore_inbox._Box(C1), 1))])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    assert not await inbox.release(lease)
    assert await inbox.take(lease, isolate_after=2) == []
    assert await inbox.release(lease)
    assert await inbox.due(at=START + timedelta(days=1), limit=9) == []


async def as_before(inbox: FirestoreInbox, *, attempts: int) -> None:
    """Attempts as earlier releases counted them: in each message."""
    box = await inbox._documents.get(firestore_inbox._box_path(C1))
    assert box
    # Their writes leave alone what they do not know.
    entries = await inbox._documents.find(firestore_inbox._entries_path(C1))
    known = {name: value for name, value in box.fields.items() if name != "attempts"}
    await inbox._documents.commit(
        Guarded(box.path, known | {"is_tried": True}, box.update_time),
        *(Guarded(entry.path, {"attempts": attempts}, entry.update_time) for entry in entries),
    )


async def test_attempts_that_an_earlier_release_counted_count(inboxes: Pair) -> None:
    mine, theirs = inboxes
    await mine.append([inbound("um"), inbound("dois")])
    await as_before(mine, attempts=1)
    lease = await theirs.claim(C1, ttl=TTL, at=START)
    assert lease
    assert lease.oldest_attempts == 1
    assert [entry.attempts for entry in await theirs.take(lease, isolate_after=2)] == [2, 2]
    assert [entry.attempts for entry in await mine.pending(C1)] == [2, 2]
    # An earlier release takes once more, and knows nothing of the list; what it leaves of it is added up.
    await as_before(mine, attempts=2)
    again = await theirs.claim(C1, ttl=TTL, at=START + TTL)
    assert again
    assert again.oldest_attempts == 3
    assert [entry.attempts for entry in await theirs.take(again, isolate_after=2)] == [4]
    await mine.refund_attempts(C1, [1])
    assert [entry.attempts for entry in await mine.pending(C1)] == [3, 3]


async def test_a_beat_is_written_when_half_of_the_lease_is_over(inbox: FirestoreInbox, commits: list[int]) -> None:
    await inbox.append([inbound()])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    commits.clear()
    for beat, (writes, expires_at) in enumerate([(0, START + TTL), (1, START + TTL * 1.5), (1, START + TTL * 1.5)], 1):
        lease = await inbox.renew(lease, ttl=TTL, at=START + beat * TTL / 4)
        assert (len(commits), lease.expires_at) == (writes, expires_at)


async def test_what_was_answered_and_the_lease_go_in_one_write(inbox: FirestoreInbox, commits: list[int]) -> None:
    await inbox.append([inbound("um"), inbound("dois")])
    lease = await inbox.claim(C1, ttl=TTL, at=START)
    assert lease
    taken = await inbox.take(lease, isolate_after=2)
    commits.clear()
    assert await inbox.release(lease, answered=[entry.sequence for entry in taken])
    assert commits == [3]


async def test_a_box_that_was_left_alone_for_long_is_read_and_not_guessed(
    inboxes: Pair, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = inboxes
    monkeypatch.setattr(firestore_inbox, "UNHELD_SECONDS", 0.0)
    for _ in range(3):
        for inbox in (mine, theirs):
            await inbox.append([inbound()])
    assert commits == [3] * 6


async def test_old_marks_are_forgotten_in_batches(
    inbox: FirestoreInbox, inboxes: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.firestore.database.BATCH_LIMIT", 2)
    old = [inbound(f"{n}", at=START) for n in range(5)]
    new = inbound("new", at=START + timedelta(days=1))
    await inbox.append([*old, new])
    await inbox.forget(C1)
    assert await inbox.prune(before=START + timedelta(hours=1)) == 5
    assert arrivals_of(await inbox.append([new])) == [Arrival.DUPLICATE_DONE]
    assert arrivals_of(await inbox.append(old)) == [Arrival.ACCEPTED] * 5


async def test_marks_have_a_time_to_live_beyond_every_platform_s_retries(inbox: FirestoreInbox) -> None:
    await inbox.append([inbound()])
    (mark,) = await inbox._documents.find(firestore_inbox.SEEN)
    assert mark.fields["expires_at"] == START + SEEN_FOR
    assert timedelta(days=7) < SEEN_FOR


async def test_idle_conversations_are_not_kept_in_mind(inbox: FirestoreInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firestore_inbox, "LANES", 3)
    for number in range(6):
        await inbox.append([inbound(conversation=f"{number}")])
    assert len(inbox._lanes) == 3
    assert await inbox.depth() == 6


async def test_a_duplicate_in_another_conversation_is_one(inbox: FirestoreInbox) -> None:
    """The id of a conversation may be made in another way after an upgrade; the platform's message is the same."""
    message: InboundMessage = inbound()
    moved = message.model_copy(update={"conversation_id": conversation_id("moved")})
    assert arrivals_of(await inbox.append([message])) == [Arrival.ACCEPTED]
    assert arrivals_of(await inbox.append([moved])) == [Arrival.DUPLICATE_PENDING]
    both = inbound()
    at_once = [both, both.model_copy(update={"conversation_id": conversation_id("moved")})]
    assert sorted(arrivals_of(await inbox.append(at_once))) == [Arrival.ACCEPTED, Arrival.DUPLICATE_PENDING]
    assert await inbox.depth() == 2
