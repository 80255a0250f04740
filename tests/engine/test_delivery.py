"""Nothing lost, nothing doubled, nothing reordered: every crash point, and random histories against the rules."""

import asyncio
import warnings
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from adapters.dead_letters import retry_dead_letter
from cli.trace import trace
from contracts.conversation import Conversation, State
from contracts.delivery import Arrival, OutboxRow, TurnCommit
from contracts.errors import (
    ChannelRefusedError,
    ChannelUnavailableError,
    ConversationConflictError,
    InboxUnavailableError,
    SendOutcomeUnknownError,
    StoreUnavailableError,
)
from contracts.messages import ChannelName, DeliveryState, Media, MessageType, OutboundMessage, StatusUpdate
from contracts.ports import ModelRequest
from contracts.values import ConversationId, OutboxId, TurnId
from fsm.table import MOVES
from tests.builders import (
    BACKENDS,
    REPOSITORIES,
    CrashError,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    agreeable,
    arrivals_of,
    conversation_id,
    damage,
    decision,
    engine_bed,
    inbound,
    open_backend,
)
from tests.scripted import ScriptedModel
from worker import outbox
from worker.analyses.processing import analyse
from worker.dependencies import DrainLimits
from worker.drain import drain
from worker.people import privacy
from worker.scheduling.keyed_queue import EmbeddedQueue
from worker.sweeper import clean, sweep, sweep_forever

C1 = conversation_id()
LEGAL = {(move.source, move.trigger, move.dest) for move in MOVES}

CRASH_POINTS = (
    "drain.claimed",
    "drain.taken",
    "turn.thought",
    "turn.before_commit",
    "turn.committed",
    "outbox.sending",
    "outbox.accepted",
    "outbox.marked",
    "drain.flushed",
    "drain.releasing",
)


@pytest.fixture(params=BACKENDS)
async def bed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineBed]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield engine_bed(inbox, store)


class DrainingQueue:
    """Wakes by draining at once; a crash of the drain is the crash of the process that swept."""

    def __init__(self, bed: EngineBed) -> None:
        self.bed = bed

    async def wake(self, conversation_id: Any) -> None:
        await drain(conversation_id, self.bed.engine.drain)

    async def analyse(self, key: str) -> None:
        await analyse(key, self.bed.engine.analyses)


async def drain_or_die(bed: EngineBed) -> bool:
    """Drain once; True when the process died in it."""
    try:
        await drain(C1, bed.engine.drain)
    except CrashError:
        return True
    except BaseExceptionGroup as group:
        if group.subgroup(CrashError) is None:
            raise
        return True
    return False


async def recover(bed: EngineBed) -> None:
    """What another worker does: wait for leases and deadlines to run out, and sweep until nothing is due."""
    for _ in range(12):
        bed.clock.move(timedelta(seconds=10))
        await sweep(DrainingQueue(bed), bed.engine.sweep)


async def assert_answered_once(bed: EngineBed, texts: list[str]) -> None:
    turns = await bed.store.conversations.turns(C1)
    receipts = await bed.store.conversations.receipts(C1)
    assert [receipt.message.text for receipt in receipts] == texts
    assert [one for turn in turns for one in turn.message_ids] == [receipt.message.id for receipt in receipts]
    assert await bed.inbox.pending(C1) == []
    assert await bed.store.outbox.unsent(C1) == []
    moves = await bed.store.conversations.transitions(C1)
    for move, following in pairwise(moves):
        assert move.dest is following.source
    assert all((move.source, move.trigger, move.dest) in LEGAL for move in moves)


@pytest.mark.parametrize("point", CRASH_POINTS)
async def test_a_crash_anywhere_loses_and_doubles_nothing(bed: EngineBed, point: str) -> None:
    await bed.inbox.append([inbound("um"), inbound("dois")])
    bed.faults.armed = point
    assert await drain_or_die(bed), f"{point} was not reached: {bed.faults.passed}"
    await bed.inbox.append([inbound("três")])
    await recover(bed)
    await assert_answered_once(bed, ["um", "dois", "três"])
    resent = len(bed.channel.accepted) - len(await bed.store.outbox.rows(C1))
    assert resent == (1 if point == "outbox.accepted" else 0)


async def test_a_status_settles_a_send_whose_answer_was_lost(bed: EngineBed) -> None:
    await bed.inbox.append([inbound()])
    bed.faults.armed = "outbox.accepted"
    assert await drain_or_die(bed)
    (row,) = await bed.store.outbox.unsent(C1)
    assert row.state is DeliveryState.SENDING
    await bed.store.outbox.apply_status(status_of(bed, row.id))
    await recover(bed)
    assert len(bed.channel.accepted) == 1
    assert await bed.store.outbox.unsent(C1) == []


async def test_without_a_status_it_is_sent_once_more_after_its_deadline(bed: EngineBed) -> None:
    bed.channel.errors_after_accepting = [SendOutcomeUnknownError("cut")]
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    bed.clock.move(bed.channel.send_timeout + bed.channel.settle_after - timedelta(seconds=1))
    await outbox.flush(C1, bed.engine.outbox)
    assert len(bed.channel.accepted) == 1
    bed.clock.move(timedelta(seconds=1))
    await outbox.flush(C1, bed.engine.outbox)
    assert len(bed.channel.accepted) == 2
    assert await bed.store.outbox.unsent(C1) == []


async def test_after_a_long_silence_a_status_gets_its_time_first(bed: EngineBed) -> None:
    """While the process was down no status could come, however long ago the deadline passed."""
    await bed.inbox.append([inbound()])
    bed.faults.armed = "outbox.accepted"
    assert await drain_or_die(bed)
    bed.clock.move(timedelta(hours=1))
    back = engine_bed(bed.inbox, bed.store, clock=bed.clock, channel=bed.channel, listening_since=bed.clock.now())
    await outbox.flush(C1, back.engine.outbox)
    assert len(bed.channel.accepted) == 1
    bed.clock.move(bed.channel.settle_after)
    await outbox.flush(C1, back.engine.outbox)
    assert len(bed.channel.accepted) == 2


async def test_a_channel_that_is_away_holds_later_replies_back_in_order(bed: EngineBed) -> None:
    bed.channel.next_errors = [ChannelUnavailableError("503")] * 3
    for text in ("um", "dois", "três"):
        await bed.inbox.append([inbound(text)])
        await drain(C1, bed.engine.drain)
    assert bed.channel.accepted == []
    await recover(bed)
    assert [row.number for row in bed.channel.accepted] == [1, 2, 3]


def status_of(bed: EngineBed, reference: str, state: DeliveryState = DeliveryState.DELIVERED) -> StatusUpdate:
    address = inbound().address
    return StatusUpdate(
        channel=address.channel,
        account=address.account,
        platform_message_id="p",
        state=state,
        client_reference=reference,
        at=bed.clock.now(),
    )


async def test_a_worker_paused_past_its_lease_writes_nothing(bed: EngineBed) -> None:
    """Crash point 7: it wakes up after another worker has answered; the compare-and-set refuses it."""
    await bed.inbox.append([inbound()])
    paused, goes_on = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        paused.set()
        await goes_on.wait()

    bed.faults.pausing["turn.before_commit"] = pause
    first = asyncio.create_task(drain(C1, bed.engine.drain))
    await paused.wait()
    bed.clock.move(timedelta(seconds=2))
    await drain(C1, bed.engine.drain)
    goes_on.set()
    await first
    await assert_answered_once(bed, ["Oi, bom dia"])
    assert len(bed.channel.accepted) == 1


async def test_two_hundred_wake_ups_are_one_turn(bed: EngineBed) -> None:
    await bed.inbox.append([inbound()])
    await asyncio.gather(*(drain(C1, bed.engine.drain) for _ in range(200)))
    assert len(await bed.store.conversations.turns(C1)) == 1
    assert len(bed.channel.accepted) == 1


async def test_a_message_that_kills_its_worker_goes_to_the_dead_letters(bed: EngineBed) -> None:
    """And does not take its neighbours along; the person is told and somebody is called."""
    bed.clock.at = inbound().received_at
    await bed.inbox.append([inbound("mata"), inbound("vive")])
    attempts = bed.engine.drain.limits.attempts

    async def killing(request: ModelRequest) -> str:
        if "mata" in request.user.split('"messages":')[1]:
            raise CrashError("the worker dies")
        return await agreeable(request)

    dying = engine_bed(bed.inbox, bed.store, model=ScriptedModel(killing), clock=bed.clock, channel=bed.channel)
    for _ in range(attempts):
        assert await drain_or_die(dying)
        dying.clock.move(timedelta(seconds=60))
    await drain(C1, dying.engine.drain)
    (letter,) = await bed.store.dead_letters.letters()
    assert letter.message
    assert (letter.message.text, letter.reason, letter.attempts) == ("mata", "attempts", attempts + 1)
    turns = await bed.store.conversations.turns(C1)
    assert [turn.reason for turn in turns] == ["dead_letter", "record"]
    assert turns[-1].state is State.ESCALATING
    assert len(bed.channel.accepted) == 1
    assert await bed.inbox.pending(C1) == []


async def test_those_that_were_only_there_get_through_before_their_attempts_are_used_up(bed: EngineBed) -> None:
    """A hundred conversations are in flight at every crash, and one of them is the cause of it."""
    names = [f"c-{number}" for number in range(100)]
    killer = "c-57"

    async def killing(request: ModelRequest) -> str:
        if "mata" in request.user:
            inbox.is_down = store.is_down = True
            raise CrashError("the worker dies")
        # The others would be answered, if the process lived long enough.
        await asyncio.sleep(0)
        return await agreeable(request)

    limits = DrainLimits(isolated_at_once=4)
    await bed.inbox.append([inbound("mata" if name == killer else "vive", conversation=name) for name in names])
    for _ in range(40):
        # Once the process is dead nothing of it reaches the backends any more.
        inbox, store = (Outage(port, CrashError("dead")) for port in (bed.inbox, bed.store))
        process = engine_bed(inbox, store, model=ScriptedModel(killing), clock=bed.clock, limits=limits)
        due = await bed.inbox.due(at=bed.clock.now(), limit=200)
        drains = [asyncio.create_task(drain(one, process.engine.drain)) for one in due]
        # The crash of one is the end of all.
        done, others = await asyncio.wait(drains, return_when=asyncio.FIRST_EXCEPTION) if drains else ((), ())
        for task in others:
            task.cancel()
        await asyncio.gather(*done, *others, return_exceptions=True)
        bed.clock.move(timedelta(seconds=40))
    letters = await bed.store.dead_letters.letters()
    assert [letter.conversation_id for letter in letters] == [conversation_id(killer)]
    assert await bed.inbox.depth() == 0


async def test_a_reply_that_waited_past_the_window_fails_and_calls_a_person(bed: EngineBed) -> None:
    bed.channel.next_errors = [ChannelUnavailableError("gateway")] * 2
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    bed.clock.move(timedelta(hours=25))
    await sweep(DrainingQueue(bed), bed.engine.sweep)
    (row,) = await bed.store.outbox.rows(C1)
    assert (row.state, row.error_code) == (DeliveryState.FAILED, "window_closed")
    await sweep(DrainingQueue(bed), bed.engine.sweep)
    assert await bed.store.outbox.to_escalate(limit=1) == []


BROCHURE = OutboundMessage(
    type=MessageType.DOCUMENT, text="Segue a apresentação.", media=Media(link="https://pyloto.com.br/a.pdf")
)


async def commit_replies(bed: EngineBed, *replies: OutboundMessage) -> None:
    rows = tuple(
        OutboxRow(
            id=OutboxId(f"{C1}/1/{index}"),
            conversation_id=C1,
            turn_id=TurnId(f"{C1}/1"),
            number=1 + index,
            address=inbound().address,
            message=reply,
            created_at=bed.clock.now(),
            updated_at=bed.clock.now(),
        )
        for index, reply in enumerate(replies)
    )
    head = Conversation(id=C1, state=State.AWAITING_USER, turns=1, updated_at=bed.clock.now())
    await bed.store.conversations.commit(TurnCommit(conversation=head, outbox=rows))


async def state_of(bed: EngineBed) -> State:
    head = await bed.store.conversations.load(C1)
    assert head is not None
    return head.state


@pytest.mark.parametrize("point", [None, "outbox.refused", "outbox.sending", "outbox.accepted"])
async def test_what_is_refused_for_its_form_goes_once_in_words_and_in_order(bed: EngineBed, point: str | None) -> None:
    await commit_replies(bed, BROCHURE, OutboundMessage.of_text("Algo mais?"))
    bed.channel.next_errors = [ChannelRefusedError("no", code="131053")]
    bed.faults.armed = point
    try:
        await outbox.flush(C1, bed.engine.outbox)
    except CrashError:
        assert point is not None
    await recover(bed)
    said = list(dict.fromkeys(row.message.text for row in bed.channel.accepted))
    assert said == ["Segue a apresentação.", "Algo mais?"]
    assert {row.message.type for row in bed.channel.accepted} == {MessageType.TEXT}
    # A crash after the platform took it leaves it unknown, as with any other reply.
    assert len(bed.channel.accepted) == (3 if point == "outbox.accepted" else 2)
    first, second = await bed.store.outbox.rows(C1)
    assert (first.state, first.refused_code, second.refused_code) == (DeliveryState.SENT, "131053", None)
    shown = [event.detail for event in await trace(C1, bed.inbox, bed.store)]
    assert any("refused in that form (131053) and sent in words" in detail for detail in shown)
    assert await state_of(bed) is State.AWAITING_USER


async def test_what_fails_after_it_was_taken_goes_in_words_and_then_calls_a_person(bed: EngineBed) -> None:
    await commit_replies(bed, BROCHURE)
    for expected in (DeliveryState.PENDING, DeliveryState.FAILED):
        await recover(bed)
        (row,) = await bed.store.outbox.rows(C1)
        assert await state_of(bed) is State.AWAITING_USER
        failed = StatusUpdate(
            channel=row.address.channel,
            account=row.address.account,
            platform_message_id=row.platform_message_id or "",
            state=DeliveryState.FAILED,
            client_reference=row.reference,
            error_code="131053",
            at=bed.clock.now(),
        )
        for _ in range(2):
            changed = await bed.store.outbox.apply_status(failed)
            assert changed is not None
            assert changed.state is expected
    await recover(bed)
    assert [row.message.type for row in bed.channel.accepted] == [MessageType.DOCUMENT, MessageType.TEXT]
    assert await state_of(bed) is State.ESCALATING


@pytest.mark.parametrize("in_any_form", [True, False])
async def test_a_text_or_a_person_that_is_refused_calls_a_person_at_once(bed: EngineBed, in_any_form: bool) -> None:
    await commit_replies(bed, BROCHURE if in_any_form else OutboundMessage.of_text("Olá"))
    bed.channel.next_errors = [ChannelRefusedError("no", code="131047", in_any_form=in_any_form)]
    await recover(bed)
    assert bed.channel.accepted == []
    assert await state_of(bed) is State.ESCALATING


async def test_an_entry_that_cannot_be_read_becomes_a_dead_letter_and_the_rest_is_answered(
    bed: EngineBed, tmp_path: Path
) -> None:
    await bed.inbox.append([inbound("1"), inbound("2")])
    await damage(bed.inbox, tmp_path, C1, b"garbage")
    assert any(event.what == "received, waiting" for event in await trace(C1, bed.inbox, bed.store))
    await drain(C1, bed.engine.drain)
    (letter,) = await bed.store.dead_letters.letters()
    assert (letter.raw, letter.message) == ("garbage", None)
    assert len(await bed.store.conversations.turns(C1)) == 1
    assert await bed.inbox.depth() == 0


async def test_a_crash_while_dead_lettering_is_redone(bed: EngineBed) -> None:
    limited = engine_bed(bed.inbox, bed.store, clock=bed.clock, limits=DrainLimits(attempts=0))
    await bed.inbox.append([inbound()])
    limited.faults.armed = "dead_letter.kept"
    assert await drain_or_die(limited)
    limited.clock.move(timedelta(seconds=60))
    await drain(C1, limited.engine.drain)
    assert len(await bed.store.dead_letters.letters()) == 1
    assert len(await bed.store.conversations.turns(C1)) == 1


async def test_a_dead_letter_can_be_tried_again(bed: EngineBed) -> None:
    limited = engine_bed(bed.inbox, bed.store, clock=bed.clock, limits=DrainLimits(attempts=0))
    await bed.inbox.append([inbound("de novo")])
    await drain(C1, limited.engine.drain)
    (letter,) = await bed.store.dead_letters.letters()
    await bed.engine.operators.agents.hand_back(C1, agent="ana")
    places = (bed.inbox, bed.store.dead_letters)
    assert await retry_dead_letter(letter.id, *places, at=bed.clock.now()) == C1
    await drain(C1, bed.engine.drain)
    assert await bed.store.dead_letters.letters() == []
    assert (await bed.store.conversations.turns(C1))[-1].reason == "decided"
    assert await retry_dead_letter("nothing", *places, at=bed.clock.now()) is None


async def test_an_erasure_while_the_model_thinks_is_not_written_over(bed: EngineBed) -> None:
    """Before the first commit of a conversation as well as after many."""
    for erased_before in (False, True):
        await bed.inbox.append([inbound("apague isto")])
        bed.faults.pausing["turn.before_commit"] = lambda: _erase(bed)
        await drain(C1, bed.engine.drain)
        assert await bed.store.conversations.turns(C1) == [], erased_before
        assert await bed.inbox.pending(C1) == []
        assert await bed.store.outbox.rows(C1) == []
    await bed.inbox.append([inbound("sou nova aqui")])
    await drain(C1, bed.engine.drain)
    assert len(await bed.store.conversations.turns(C1)) == 1


async def _erase(bed: EngineBed) -> None:
    await privacy.erase(C1, bed.engine.operators)


async def test_a_person_who_takes_over_while_the_model_thinks_wins(bed: EngineBed) -> None:
    await bed.inbox.append([inbound("oi")])
    await drain(C1, bed.engine.drain)

    async def take_over() -> None:
        await bed.engine.operators.agents.escalate(C1, agent="ana", reason="operator")

    bed.faults.pausing["turn.before_commit"] = take_over
    await bed.inbox.append([inbound("e o horário?")])
    await drain(C1, bed.engine.drain)
    turns = await bed.store.conversations.turns(C1)
    assert [turn.state for turn in turns] == [State.AWAITING_USER, State.ESCALATING, State.ESCALATING]
    assert len(bed.channel.accepted) == 1


@pytest.mark.parametrize("point", ["drain.claimed", "drain.taken", "turn.thought", "turn.before_commit"])
async def test_an_erasure_at_any_moment_of_a_turn_leaves_nothing(bed: EngineBed, point: str) -> None:
    await bed.inbox.append([inbound("meu segredo")])
    bed.faults.pausing[point] = lambda: _erase(bed)
    await drain(C1, bed.engine.drain)
    assert await bed.store.conversations.transcript(C1) == []
    assert await bed.store.conversations.receipts(C1) == []
    assert await bed.inbox.pending(C1) == []


async def test_an_erasure_while_dead_lettering_leaves_nothing(bed: EngineBed) -> None:
    limited = engine_bed(bed.inbox, bed.store, clock=bed.clock, limits=DrainLimits(attempts=0))
    await bed.inbox.append([inbound("meu segredo")])
    limited.faults.pausing["dead_letter.kept"] = lambda: _erase(bed)
    await drain(C1, limited.engine.drain)
    assert await bed.store.dead_letters.letters() == []
    assert await bed.store.conversations.turns(C1) == []


async def test_replies_after_an_erasure_have_numbers_that_nobody_has_seen(bed: EngineBed) -> None:
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    await _erase(bed)
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    assert [row.number for row in bed.channel.accepted] == [1, 2]


async def test_retention_forgets_what_was_said_but_answers_what_just_came(bed: EngineBed) -> None:
    await bed.inbox.append([inbound("há muito tempo")])
    await drain(C1, bed.engine.drain)
    bed.clock.move(timedelta(days=91))
    await bed.inbox.append([inbound("voltei", at=bed.clock.now())])

    async def clean_now() -> None:
        await clean(bed.engine.sweep)

    bed.faults.pausing["turn.before_commit"] = clean_now
    await drain(C1, bed.engine.drain)
    assert (await bed.store.conversations.transcript(C1))[0].text == "voltei"
    assert len(await bed.store.conversations.turns(C1)) == 1
    assert await bed.inbox.pending(C1) == []


async def test_old_dead_letters_are_forgotten(bed: EngineBed) -> None:
    limited = engine_bed(bed.inbox, bed.store, clock=bed.clock, limits=DrainLimits(attempts=0))
    await bed.inbox.append([inbound()])
    await drain(C1, limited.engine.drain)
    bed.clock.move(timedelta(days=8))
    await clean(bed.engine.sweep)
    assert await bed.store.dead_letters.letters()
    bed.clock.move(timedelta(days=91))
    await clean(bed.engine.sweep)
    assert await bed.store.dead_letters.letters() == []


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_old_deduplication_keys_are_forgotten(kind: str, tmp_path: Path) -> None:
    """Where they do not expire by themselves, which the tests of the others show."""
    async with open_backend(kind, tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store)
        message = inbound()
        await inbox.append([message])
        await drain(C1, bed.engine.drain)
        bed.clock.move(timedelta(days=8))
        await clean(bed.engine.sweep)
        assert arrivals_of(await inbox.append([message])) == [Arrival.DUPLICATE_DONE]
        bed.clock.move(timedelta(days=91))
        await clean(bed.engine.sweep)
        assert arrivals_of(await inbox.append([message])) == [Arrival.ACCEPTED]


async def test_a_model_that_drips_its_answer_is_away(bed: EngineBed) -> None:
    """However long it keeps the connection alive: the turn has its reply within its time."""

    async def dripping(request: ModelRequest) -> str:
        await asyncio.Event().wait()
        return ""

    slow = engine_bed(bed.inbox, bed.store, model=ScriptedModel(dripping), budget=timedelta(milliseconds=50))
    await bed.inbox.append([inbound()])
    async with asyncio.timeout(5):
        await drain(C1, slow.engine.drain)
    assert (await bed.store.conversations.turns(C1))[0].reason == "model_unavailable"


async def test_a_platform_that_drips_its_answer_leaves_the_send_to_be_settled(bed: EngineBed) -> None:
    class Dripping(RecordingChannel):
        async def send(self, row: OutboxRow) -> str:
            await asyncio.Event().wait()
            return ""

    slow = engine_bed(bed.inbox, bed.store, channel=Dripping(send_timeout=timedelta(milliseconds=20)))
    await bed.inbox.append([inbound()])
    async with asyncio.timeout(5):
        await drain(C1, slow.engine.drain)
    (row,) = await bed.store.outbox.rows(C1)
    assert row.state is DeliveryState.SENDING


async def test_a_channel_that_is_gone_does_not_keep_new_messages_from_their_turn(bed: EngineBed) -> None:
    bed.channel.next_errors = [ChannelUnavailableError("down")]
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    gone = engine_bed(bed.inbox, bed.store, clock=bed.clock, channels={ChannelName.WHATSAPP: bed.channel})
    bed.clock.move(timedelta(minutes=1))
    await outbox.flush(C1, gone.engine.outbox)
    (row,) = await bed.store.outbox.rows(C1)
    assert (row.state, row.error_code) == (DeliveryState.PENDING, "no_channel")


async def test_a_sweep_survives_a_conversation_that_cannot_be_read(bed: EngineBed) -> None:
    class Broken(Outage):
        """One conversation of it does not parse."""

    store = Broken(bed.store, ValueError("does not parse"), "load")
    broken = engine_bed(bed.inbox, store, clock=bed.clock)
    await bed.inbox.append([inbound()])
    await drain(C1, bed.engine.drain)
    bed.clock.move(timedelta(days=2))
    await bed.inbox.append([inbound(conversation="other", at=bed.clock.now())])
    store.is_down = True
    woken: list[str] = []
    often = asyncio.Event()

    class Queue:
        async def wake(self, conversation_id: str) -> None:
            woken.append(conversation_id)
            if len(woken) >= 3:
                often.set()

    sweeping = asyncio.create_task(sweep_forever(Queue(), broken.engine.sweep, every=timedelta(milliseconds=1)))  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await often.wait()
    assert not sweeping.done()
    sweeping.cancel()


async def test_a_sweep_that_ends_as_it_begins_leaves_no_coroutine_unawaited(bed: EngineBed) -> None:
    queue = EmbeddedQueue(partial(drain, deps=bed.engine.drain), at_once=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sweeping = asyncio.create_task(sweep_forever(queue, bed.engine.sweep))
        await asyncio.sleep(0)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
    await queue.close(grace_seconds=0)
    assert [str(one.message) for one in caught] == []


async def test_the_sweep_looks_for_messages_less_often_while_none_waits(
    bed: EngineBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    wanted, is_enough = 0, asyncio.Event()
    due, sendable = bed.inbox.due, bed.store.outbox.sendable

    def looked_for(what: str) -> None:
        looks.append(what)
        if len(looks) >= wanted:
            is_enough.set()

    async def look_for_messages(*, at: datetime, limit: int) -> list[ConversationId]:
        looked_for("messages")
        return await due(at=at, limit=limit)

    async def look_for_replies(*, at: datetime, limit: int) -> list[ConversationId]:
        looked_for("replies")
        return await sendable(at=at, limit=limit)

    async def next_looks(count: int) -> Counter[str]:
        nonlocal wanted
        looks.clear()
        is_enough.clear()
        wanted = count
        async with asyncio.timeout(30):
            await is_enough.wait()
        return Counter(looks[:count])

    monkeypatch.setattr(bed.inbox, "due", look_for_messages)
    monkeypatch.setattr(bed.store.outbox, "sendable", look_for_replies)
    queue = EmbeddedQueue(partial(drain, deps=bed.engine.drain))
    sweeping = asyncio.create_task(sweep_forever(queue, bed.engine.sweep, every=timedelta(milliseconds=1)))
    try:
        assert await next_looks(20) == {"messages": 10, "replies": 10}
        await bed.inbox.append([inbound()])
        assert await bed.inbox.claim(C1, ttl=timedelta(minutes=1), at=bed.clock.now())
        await next_looks(2)
        assert (await next_looks(20))["messages"] == 16
    finally:
        sweeping.cancel()
        await queue.close(grace_seconds=0)


async def test_a_send_is_finished_when_its_drain_is_cancelled(bed: EngineBed) -> None:
    """A lease that was lost, or a process that stops: the answer to a request that has left is still waited for."""
    entered, goes_on = asyncio.Event(), asyncio.Event()
    send = bed.channel.send

    async def slow(row: OutboxRow) -> str:
        entered.set()
        await goes_on.wait()
        return await send(row)

    bed.channel.send = slow  # type: ignore[method-assign]
    await bed.inbox.append([inbound()])
    draining = asyncio.create_task(drain(C1, bed.engine.drain))
    await entered.wait()
    draining.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.wait([draining])
    (row,) = await bed.store.outbox.rows(C1)
    assert row.state is DeliveryState.SENT
    await recover(bed)
    assert len(bed.channel.accepted) == 1


class Outage:
    """Makes the methods of a port fail while it lasts."""

    def __init__(self, inner: Any, error: BaseException, *names: str) -> None:
        self._inner, self._error, self._names = inner, error, names
        self._repositories: dict[str, Outage] = {}
        self._is_down = False

    @property
    def is_down(self) -> bool:
        return self._is_down

    @is_down.setter
    def is_down(self, is_down: bool) -> None:
        self._is_down = is_down
        for one in self._repositories.values():
            one.is_down = is_down

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name in REPOSITORIES:
            one = self._repositories.setdefault(name, Outage(method, self._error, *self._names))
            one.is_down = self.is_down
            return one
        if self.is_down and (name in self._names or not self._names):

            async def fail(*_: Any, **__: Any) -> None:
                raise self._error

            return fail
        return method


@pytest.mark.parametrize("methods", [(), ("commit",), ("unsent",), ("begin_send",), ("mark_sent",)])
async def test_while_the_store_is_away_the_entries_are_kept(bed: EngineBed, methods: tuple[str, ...]) -> None:
    store = Outage(bed.store, StoreUnavailableError("down"), *methods)
    broken = engine_bed(bed.inbox, store, clock=bed.clock, channel=bed.channel)
    await bed.inbox.append([inbound()])
    store.is_down = True
    for _ in range(3):
        await drain(C1, broken.engine.drain)
        broken.clock.move(timedelta(seconds=40))
    store.is_down = False
    await recover(broken)
    await assert_answered_once(bed, ["Oi, bom dia"])
    assert await bed.store.dead_letters.letters() == []


async def test_a_store_that_is_away_costs_no_attempt(bed: EngineBed) -> None:
    store = Outage(bed.store, StoreUnavailableError("down"))
    broken = engine_bed(bed.inbox, store, clock=bed.clock)
    await bed.inbox.append([inbound()])
    store.is_down = True
    for _ in range(20):
        await drain(C1, broken.engine.drain)
        broken.clock.move(timedelta(seconds=40))
    assert [entry.attempts for entry in await bed.inbox.pending(C1)] == [0]


async def test_a_store_that_goes_away_in_mid_turn_costs_no_attempt_for_an_hour(bed: EngineBed) -> None:
    """Each time it is back when the turn begins, and away at the commit."""
    store = Outage(bed.store, StoreUnavailableError("down"), "commit")
    broken = engine_bed(bed.inbox, store, clock=bed.clock)
    await bed.inbox.append([inbound()])
    store.is_down = True
    for _ in range(20):
        await drain(C1, broken.engine.drain)
        broken.clock.move(timedelta(seconds=40))
    assert [entry.attempts for entry in await bed.inbox.pending(C1)] == [0]
    broken.clock.move(broken.engine.drain.limits.outage_patience)
    for _ in range(2):
        await drain(C1, broken.engine.drain)
        broken.clock.move(timedelta(seconds=40))
    assert [entry.attempts for entry in await bed.inbox.pending(C1)] == [2], (
        "it may be the message that brings it about"
    )


async def test_an_inbox_that_is_away_leaves_the_worker_idle(bed: EngineBed) -> None:
    inbox = Outage(bed.inbox, InboxUnavailableError("down"))
    broken = engine_bed(inbox, bed.store, clock=bed.clock, channel=bed.channel)
    await bed.inbox.append([inbound()])
    inbox.is_down = True
    await drain(C1, broken.engine.drain)
    inbox.is_down = False
    await recover(broken)
    await assert_answered_once(bed, ["Oi, bom dia"])


async def test_conflicts_are_retried_a_bounded_number_of_times(bed: EngineBed) -> None:
    store = Outage(bed.store, ConversationConflictError("c"), "commit")
    contested = engine_bed(bed.inbox, store, clock=bed.clock)
    await bed.inbox.append([inbound()])
    store.is_down = True
    await drain(C1, contested.engine.drain)
    assert contested.faults.passed.count("turn.before_commit") == contested.engine.drain.limits.conflicts
    (entry,) = await bed.inbox.pending(C1)
    assert entry.attempts == 1


async def test_a_defect_is_counted_kept_and_dead_lettered(bed: EngineBed) -> None:
    async def defective(request: ModelRequest) -> str:
        raise ZeroDivisionError

    broken = engine_bed(bed.inbox, bed.store, model=ScriptedModel(defective), clock=bed.clock, channel=bed.channel)
    await bed.inbox.append([inbound()])
    await recover(broken)
    await recover(broken)
    (letter,) = await bed.store.dead_letters.letters()
    assert letter.attempts == broken.engine.drain.limits.attempts + 1
    assert (await bed.store.conversations.turns(C1))[-1].reason == "dead_letter"


async def test_a_process_that_stops_gives_its_conversation_back_at_once(bed: EngineBed) -> None:
    await bed.inbox.append([inbound()])
    thinking = asyncio.Event()

    async def slow(request: ModelRequest) -> str:
        thinking.set()
        await asyncio.Event().wait()
        return ""

    stopping = engine_bed(bed.inbox, bed.store, model=ScriptedModel(slow), clock=bed.clock)
    task = asyncio.create_task(drain(C1, stopping.engine.drain))
    await thinking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await bed.inbox.due(at=bed.clock.now(), limit=1) == [C1]


class Delivery(RuleBasedStateMachine):
    """People, platforms and crashes in any order; after every step the rules of delivery hold."""

    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.backend = open_backend("memory", Path())
        inbox, store = self.loop.run_until_complete(self.backend.__aenter__())
        self.bed = engine_bed(inbox, store, clock=SteppingClock(), model=ScriptedModel(self.answer))
        self.accepted: dict[str, str] = {}
        self.order: list[str] = []
        self.erased: set[str] = set()
        self.crashed_sends = 0

    async def answer(self, request: ModelRequest) -> str:
        return decision(next_state="ESCALATING") if '"text":"pessoa"' in request.user else await agreeable(request)

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @rule(target=messages, text=st.sampled_from(["oi", "pessoa", "PARAR", "VOLTAR", "horário?"]))
    def deliver(self, text: str) -> Any:
        message = inbound(text, at=self.bed.clock.now())
        assert arrivals_of(self.run(self.bed.inbox.append([message]))) == [Arrival.ACCEPTED]
        self.accepted[message.id] = message.dedup_key
        self.order.append(message.id)
        return message

    @rule(message=messages)
    def redeliver(self, message: Any) -> None:
        assert arrivals_of(self.run(self.bed.inbox.append([message]))) != [Arrival.ACCEPTED]

    @rule(times=st.integers(1, 3))
    def wake(self, times: int) -> None:
        self.run(_gather_drains(self.bed, times))

    @rule(point=st.sampled_from(CRASH_POINTS))
    def crash(self, point: str) -> None:
        self.bed.faults.armed = point
        if self.run(drain_or_die(self.bed)) and point == "outbox.accepted":
            self.crashed_sends += 1
        self.bed.faults.armed = None

    @rule()
    def pause_past_the_lease(self) -> None:
        self.run(self._pause())

    async def _pause(self) -> None:
        paused, goes_on = asyncio.Event(), asyncio.Event()

        async def pause() -> None:
            paused.set()
            await goes_on.wait()

        self.bed.faults.pausing["turn.before_commit"] = pause
        first = asyncio.create_task(drain(C1, self.bed.engine.drain))
        stopped = asyncio.create_task(paused.wait())
        await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
        if paused.is_set():
            self.bed.clock.move(timedelta(seconds=2))
            await drain(C1, self.bed.engine.drain)
            goes_on.set()
        stopped.cancel()
        self.bed.faults.pausing.clear()
        await first

    @rule()
    def operator_takes_over(self) -> None:
        head = self.run(self.bed.store.conversations.load(C1))
        if head is not None and head.turns:
            self.run(self.bed.engine.operators.agents.escalate(C1, agent="ana", reason="operator"))

    @rule()
    def channel_fails_once(self) -> None:
        self.bed.channel.next_errors.append(ChannelUnavailableError("503"))

    @rule()
    def send_is_cut_after_it_arrived(self) -> None:
        self.bed.channel.errors_after_accepting.append(SendOutcomeUnknownError("cut"))
        self.crashed_sends += 1

    @rule()
    def statuses_arrive(self) -> None:
        for row in self.run(self.bed.store.outbox.rows(C1)):
            if row.id in {accepted.id for accepted in self.bed.channel.accepted}:
                self.run(self.bed.store.outbox.apply_status(status_of(self.bed, row.id)))

    @rule()
    def erase(self) -> None:
        self.run(privacy.erase(C1, self.bed.engine.operators))
        self.erased |= set(self.accepted)

    @rule(seconds=st.integers(1, 30))
    def time_passes(self, seconds: int) -> None:
        self.bed.clock.move(timedelta(seconds=seconds))
        self.run(sweep(DrainingQueue(self.bed), self.bed.engine.sweep))

    @invariant()
    def every_message_is_answered_or_waits(self) -> None:
        answered = [receipt.message.id for receipt in self.run(self.bed.store.conversations.receipts(C1))]
        waiting = [entry.message.id for entry in self.run(self.bed.inbox.pending(C1))]
        assert set(self.accepted) - self.erased <= {*answered, *waiting}
        assert not self.erased & {*answered, *waiting}

    @invariant()
    def no_message_has_two_turns_and_order_is_kept(self) -> None:
        in_turns = [one for turn in self.run(self.bed.store.conversations.turns(C1)) for one in turn.message_ids]
        assert len(in_turns) == len(set(in_turns))
        assert in_turns == [one for one in self.order if one in set(in_turns)]

    @invariant()
    def every_move_is_legal_and_follows_the_one_before(self) -> None:
        moves = self.run(self.bed.store.conversations.transitions(C1))
        assert all((move.source, move.trigger, move.dest) in LEGAL for move in moves)
        for move, following in pairwise(moves):
            assert move.dest is following.source or following.source is State.INIT

    @invariant()
    def replies_leave_in_order_and_are_doubled_only_by_a_lost_answer(self) -> None:
        numbers = [row.number for row in self.bed.channel.accepted]
        assert len(numbers) - len(set(numbers)) <= self.crashed_sends
        assert numbers == sorted(numbers)

    def teardown(self) -> None:
        self.bed.channel.next_errors.clear()
        self.bed.channel.errors_after_accepting.clear()
        self.run(recover(self.bed))
        assert self.run(self.bed.inbox.pending(C1)) == []
        assert self.run(self.bed.store.outbox.unsent(C1)) == []
        self.every_message_is_answered_or_waits()
        self.run(self.backend.__aexit__(None, None, None))
        self.loop.close()


async def _gather_drains(bed: EngineBed, times: int) -> None:
    await asyncio.gather(*(drain(C1, bed.engine.drain) for _ in range(times)))


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
