"""One person, one thread: whatever order their names come in, whatever crashes, on every backend."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.channels.web import web_conversation_id
from adapters.channels.whatsapp.inbound import parse
from contracts.conversation import Conversation, State
from contracts.delivery import DeadLetter, TurnCommit
from contracts.errors import ConversationJoinedError, IllegalTransitionError
from contracts.messages import ChannelName, InboundMessage, address_digests
from contracts.paging import all_conversations, thread_of
from contracts.turn import TurnReason
from contracts.values import ConversationId
from sandbox import whatsapp_webhooks as meta
from tests.builders import (
    BACKENDS,
    EngineBed,
    RecordingChannel,
    SteppingClock,
    engine_bed,
    inbound,
    open_backend,
    rulebook,
)
from worker.drain import drain
from worker.people import privacy

ANA, ANA_ID, ANA_PARENT = "5511987654321", "BR.ana", "BR.ENT.ana"


def written(text: str, number: str = "", user_id: str = "", parent: str = "", *, at: datetime) -> InboundMessage:
    """What the webhook makes of a message that carries these names of the person."""
    more = {"from_parent_user_id": parent} if parent else {}
    change = meta.message(number, "text", {"body": text}, user_id=user_id or None, name=None, **more)
    return parse(meta.signed(meta.envelope(change), "secret")[0], id_salt="salt", at=at).messages[0]


@dataclass
class Line:
    """A bed that WhatsApp messages come to."""

    bed: EngineBed

    async def hears(self, text: str = "Oi", *names: str, drained: bool = True) -> InboundMessage:
        message = written(text, *names, at=self.bed.clock.now())
        (appended,) = await self.bed.inbox.append([message])
        self.bed.clock.move(timedelta(minutes=2))
        if drained:
            await drain(appended.conversation_id, self.bed.engine.drain)
        return message

    async def settles(self) -> None:
        """Drain what waits anywhere, as the sweep does."""
        for _ in range(50):
            self.bed.clock.move(timedelta(minutes=1))
            due = await self.bed.inbox.due(at=self.bed.clock.now(), limit=100)
            if not due:
                return
            for conversation_id in due:
                await drain(conversation_id, self.bed.engine.drain)
        raise AssertionError("it does not come to rest")

    async def thread_of(self, message: InboundMessage) -> ConversationId:
        (holder,) = await self.bed.store.conversations.find_message(message.id)
        return (await thread_of(holder, self.bed.store.conversations)).id

    async def head(self, message: InboundMessage) -> Conversation:
        return await thread_of(message.conversation_id, self.bed.store.conversations)

    async def texts(self, conversation_id: ConversationId) -> list[str]:
        return [said.text for said in await self.bed.store.conversations.transcript(conversation_id)]

    @property
    def sent(self) -> list[str]:
        return [row.message.text for row in self.bed.channel.accepted]


@pytest.fixture(params=BACKENDS)
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield Line(engine_bed(inbox, store, channel=RecordingChannel(ChannelName.WHATSAPP)))


async def test_an_opt_out_by_number_holds_when_the_user_id_comes(line: Line) -> None:
    out = await line.hears("SAIR", ANA)
    sent = len(line.sent)
    both = await line.hears("Oi", ANA, ANA_ID)
    await line.hears("Tem alguém?", "", ANA_ID)
    assert len(line.sent) == sent
    head = await line.head(both)
    assert (head.id, head.opted_out, head.turns) == (out.conversation_id, True, 3)
    assert await line.texts(head.id) == ["SAIR", line.sent[-1], "Oi", "Tem alguém?"]


async def test_a_newer_opt_in_holds_and_an_older_one_does_not(line: Line) -> None:
    await line.hears("SAIR", ANA)
    await line.hears("SAIR", "", ANA_ID)
    await line.hears("VOLTAR", "", ANA_ID)
    head = await line.head(await line.hears("Oi", ANA, ANA_ID))
    assert not head.opted_out
    await line.hears("SAIR", "5511900000001")
    await line.hears("VOLTAR", "5511900000001")
    await line.hears("SAIR", "", "BR.bea")
    head = await line.head(await line.hears("Oi", "5511900000001", "BR.bea"))
    assert head.opted_out


async def test_two_threads_become_the_older_one_with_what_both_know(line: Line) -> None:
    first = await line.hears("Sou a Ana", ANA)
    second = await line.hears("Preciso de entrega", "", ANA_ID)
    await line.bed.engine.operators.agents.take(second.conversation_id, agent="bia")
    before = await line.head(second)
    await line.bed.store.conversations.commit(
        TurnCommit(conversation=before.model_copy(update={"fields": {"company": "Padaria Sol"}}))
    )
    both = await line.hears("E aí?", ANA, ANA_ID)
    head = await line.head(both)
    assert head.id == first.conversation_id == await line.thread_of(second) == await line.thread_of(both)
    assert (head.state, head.agent, head.fields) == (State.ESCALATING, "bia", {"company": "Padaria Sol"})
    assert head.times_out_at is not None
    assert [said.text for said in head.window if said.text in ("Sou a Ana", "Preciso de entrega", "E aí?")] == [
        "Sou a Ana",
        "Preciso de entrega",
        "E aí?",
    ]
    assert {"Sou a Ana", "Preciso de entrega", "E aí?"} <= set(await line.texts(head.id))
    assert TurnReason.JOINED in [turn.reason for turn in await line.bed.store.conversations.turns(head.id)]
    assert [one.id async for one in all_conversations(line.bed.store.conversations)] == [head.id]


async def test_a_message_in_flight_in_the_younger_thread_is_answered_once_and_in_the_older(line: Line) -> None:
    await line.hears("um", ANA)
    await line.hears("dois", "", ANA_ID)
    sent = len(line.sent)
    waiting = await line.hears("três", "", ANA_ID, drained=False)

    old = await line.hears("quatro", ANA, drained=False)

    async def joined_meanwhile() -> None:
        await line.bed.engine.turn.threads.join(waiting.conversation_id, old.conversation_id, by="agent")

    line.bed.faults.pausing["turn.thought"] = joined_meanwhile
    await drain(waiting.conversation_id, line.bed.engine.drain)
    await line.settles()
    texts = await line.texts((await line.head(waiting)).id)
    assert (texts.count("três"), texts.count("quatro")) == (1, 1)
    assert len(line.sent) > sent
    assert await line.bed.inbox.depth() == 0
    await line.bed.inbox.append([waiting, old])
    assert await line.bed.inbox.depth() == 0, "a second delivery is recognised after the forwarding"


async def test_a_join_that_ended_after_its_first_step_is_completed_by_the_next_message(line: Line) -> None:
    old, young = await line.hears("SAIR", ANA), await line.hears("Oi", "", ANA_ID)
    head = await line.head(young)
    sealed = head.model_copy(update={"joined_to": old.conversation_id, "turns": 0})
    await line.bed.store.conversations.commit(TurnCommit(conversation=sealed))
    sent = len(line.sent)
    last = await line.hears("Alô?", "", ANA_ID)
    assert len(line.sent) == sent, "the thread that goes on has opted out"
    assert (await line.head(last)).threads == (old.conversation_id, young.conversation_id)
    assert await line.bed.inbox.append([written("?", "", ANA_ID, at=line.bed.clock.now())]) == [
        ("accepted", old.conversation_id)
    ]


async def test_a_number_that_changed_hands_joins_nobody(line: Line) -> None:
    first = await line.hears("Sou a Ana", ANA, ANA_ID)
    second = await line.hears("Sou o Beto", ANA, "BR.beto")
    again = await line.hears("Ainda o Beto", ANA, "BR.beto")
    assert await line.thread_of(first) != await line.thread_of(second) == await line.thread_of(again)


async def test_a_change_of_number_moves_the_thread(line: Line) -> None:
    old = await line.hears("SAIR", ANA)
    change = meta.message(ANA, "system", {"type": "user_changed_number", "wa_id": "5511900000002"}, name=None)
    body, _ = meta.signed(meta.envelope(change), "secret")
    await line.bed.inbox.append(parse(body, id_salt="salt", at=line.bed.clock.now()).messages)
    await line.settles()
    new = await line.hears("Oi", "5511900000002")
    head = await line.head(new)
    assert (head.id, head.opted_out) == (old.conversation_id, True)
    assert head.address
    assert (head.address.person, head.address.aliases) == ("5511900000002", (ANA,))


async def test_what_was_taken_apart_stays_so_and_keeps_the_consent(line: Line) -> None:
    threads = line.bed.engine.turn.threads
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    await line.hears("SAIR", ANA, ANA_ID)
    alone = await threads.part(young.conversation_id)
    assert (alone.opted_out, alone.joined_to, alone.turns > 0) == (True, None, True)
    both = await line.hears("Oi", ANA, ANA_ID)
    assert await line.thread_of(both) == young.conversation_id
    assert await line.thread_of(await line.hears("Oi", ANA)) == old.conversation_id
    with pytest.raises(IllegalTransitionError):
        await threads.part(young.conversation_id)
    again = await threads.join(young.conversation_id, old.conversation_id, by="agent")
    assert again.threads == (old.conversation_id, young.conversation_id)
    assert await line.thread_of(await line.hears("Oi", "", ANA_ID)) == old.conversation_id


async def test_a_message_during_the_parting_does_not_leave_it_half_done(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, store = line.bed.engine.turn.threads, line.bed.store.conversations
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    await line.hears("Somos um", ANA, ANA_ID)
    commit, written = store.commit, 0

    async def overtaken(change: TurnCommit) -> Conversation:
        """Commit, each time after another process has written to the same conversation."""
        nonlocal written
        written += 1
        if written <= 3 and (other := await store.load(change.conversation.id)):
            await commit(TurnCommit(conversation=other))
        return await commit(change)

    monkeypatch.setattr(type(store), "commit", lambda _, change: overtaken(change))
    alone = await threads.part(young.conversation_id)
    monkeypatch.undo()
    assert (alone.joined_to, (await line.head(old)).threads) == (None, (old.conversation_id,))
    assert await line.thread_of(await line.hears("Sou eu", "", ANA_ID)) == young.conversation_id


async def test_a_parting_that_ended_before_the_inbox_knew_is_finished_by_the_next(line: Line) -> None:
    threads, inbox = line.bed.engine.turn.threads, line.bed.inbox
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    await line.hears("Somos um", ANA, ANA_ID)
    await threads.part(young.conversation_id)
    await inbox.join(young.conversation_id, old.conversation_id)
    with pytest.raises(IllegalTransitionError, match="not joined"):
        await threads.part(young.conversation_id)
    assert await line.thread_of(await line.hears("Sou eu", "", ANA_ID)) == young.conversation_id


async def test_two_workers_that_meet_the_same_person_join_one_way(line: Line) -> None:
    """Each holds a thread of hers; both see both names at once."""
    one, two = await line.hears("Oi", ANA, drained=False), await line.hears("Oi", "", ANA_ID, drained=False)
    await line.hears("E", ANA, ANA_ID, drained=False)
    await asyncio.gather(*(drain(each.conversation_id, line.bed.engine.drain) for each in (one, two)))
    await line.settles()
    assert await line.thread_of(one) == await line.thread_of(two)
    assert await line.bed.inbox.depth() == 0


NAMES = [(f"551190000000{n}", f"BR.p{n}", f"BR.ENT.p{n}") for n in range(3)]
some_names = st.tuples(st.booleans(), st.booleans(), st.booleans()).filter(any)
arrivals = st.lists(st.tuples(st.integers(0, 2), some_names, st.booleans()), min_size=1, max_size=9)


async def partition_of(kind: str, events: Sequence[tuple[int, tuple[bool, bool, bool], bool]]) -> None:
    """Play the arrivals; each message is then in the thread of all that its names lead to, over any other's names."""
    with TemporaryDirectory() as folder:
        async with open_backend(kind, Path(folder)) as (inbox, store):
            line = Line(engine_bed(inbox, store, channel=RecordingChannel(ChannelName.WHATSAPP), clock=SteppingClock()))
            messages = []
            for number, (person, which, drained) in enumerate(events):
                names = [name if has else "" for name, has in zip(NAMES[person], which, strict=True)]
                messages.append(await line.hears(f"{number}", *names, drained=drained))
            await line.settles()
            threads = [await line.thread_of(message) for message in messages]
    groups: dict[str, set[str]] = {}
    for message in messages:
        linked = {message.address.person, *message.address.aliases}
        for name in list(linked):
            linked |= groups.get(name, set())
        groups.update(dict.fromkeys(linked, linked))
    for (one, at), (two, there) in itertools.combinations(zip(messages, threads, strict=True), 2):
        assert (at == there) == (two.address.person in groups[one.address.person])


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 60), ("redis", 20), ("firestore", 5)])
def test_any_order_of_arrivals_gives_the_same_threads(kind: str, examples: int) -> None:
    rulebook()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(arrivals)
    def play(events: list[tuple[int, tuple[bool, bool, bool], bool]]) -> None:
        asyncio.run(partition_of(kind, events))

    play()


class Interrupted:
    """The real inbox or store, with something that may happen before each of its steps."""

    def __init__(self, real: Any, before_step: Callable[[], Awaitable[None]]) -> None:
        self._real, self._before_step = real, before_step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not iscoroutinefunction(found):
            return Interrupted(found, self._before_step) if name in ("conversations", "outbox") else found

        async def step(*args: Any, **options: Any) -> Any:
            await self._before_step()
            return await found(*args, **options)

        return step


async def order_of(kind: str, gaps: Sequence[int]) -> None:
    """Join two threads with histories while their person writes under one name after `gaps` steps each."""
    with TemporaryDirectory() as folder:
        async with open_backend(kind, Path(folder)) as (inbox, store):
            pauses: list[int] = []
            said: list[str] = []
            clock = SteppingClock()

            async def write() -> None:
                if pauses:
                    pauses[0] -= 1
                    if pauses[0] == 0:
                        pauses.pop(0)
                        said.append(f"{len(said)}")
                        await inbox.append([written(said[-1], "", ANA_ID, at=clock.now())])

            some = Interrupted(inbox, write), Interrupted(store, write)
            channel = RecordingChannel(ChannelName.WHATSAPP)
            line = Line(engine_bed(*some, channel=channel, clock=clock))  # type: ignore[arg-type]
            old, _ = await line.hears("old", ANA), await line.hears("young", "", ANA_ID)
            pauses += gaps
            await line.hears("both", ANA, ANA_ID)
            await line.settles()
            pauses.clear()
            await line.settles()
            assert [text for text in await line.texts(old.conversation_id) if text.isdigit()] == said


@pytest.mark.parametrize(("kind", "examples"), [("memory", 200), ("sqlite", 60), ("redis", 60), ("firestore", 5)])
def test_what_comes_under_one_name_during_a_join_keeps_its_order(kind: str, examples: int) -> None:
    rulebook()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(st.integers(1, 25), min_size=1, max_size=8))
    def play(gaps: list[int]) -> None:
        asyncio.run(order_of(kind, gaps))

    play()


async def test_ten_thousand_stored_conversations_go_on_as_they_are(tmp_path: Path) -> None:
    """Written by the last release, without a word of threads: met again, each is the thread of its person."""
    async with open_backend("sqlite", tmp_path) as (inbox, store):
        line = Line(engine_bed(inbox, store, channel=RecordingChannel(ChannelName.WHATSAPP)))
        at = line.bed.clock.now()
        stored = [written("Oi", f"55119{number:08d}", at=at) for number in range(10_000)]
        await asyncio.gather(
            *(
                store.conversations.commit(
                    TurnCommit(
                        conversation=Conversation(
                            id=message.conversation_id,
                            address=message.address,
                            state=State.AWAITING_USER,
                            turns=1,
                            opted_out=True,
                            created_at=at,
                            updated_at=at,
                        )
                    )
                )
                for message in stored
            )
        )
        for number in range(0, 10_000, 100):
            both = await line.hears("Oi", f"55119{number:08d}", f"BR.{number}")
            head = await line.head(both)
            assert (head.id, head.opted_out) == (stored[number].conversation_id, True)
        assert line.sent == []
        assert len([one async for one in all_conversations(store.conversations)]) == 10_000


async def letter(line: Line, raw: str, *addresses: str) -> None:
    """An unreadable piece; without addresses as a release without digests kept it."""
    await line.bed.store.dead_letters.add(
        DeadLetter(
            id=raw,
            conversation_id=None,
            message_id=None,
            channel="whatsapp",
            reason="unreadable",
            attempts=0,
            raw=raw,
            addresses=addresses,
            at=line.bed.clock.now(),
        )
    )


@pytest.mark.parametrize("person", ["+55 (11) 98765-4321", "11 98765-4321", "551187654321", ANA, ANA_ID])
async def test_a_person_is_found_exported_and_erased_by_any_name(line: Line, person: str) -> None:
    deps = line.bed.engine.operators
    await line.hears("segredo um", ANA)
    await line.hears("segredo dois", "", ANA_ID)
    thread = (await line.head(await line.hears("segredo três", ANA, ANA_ID))).id
    other = await line.hears("de outra", "5511900000009")
    await letter(line, f'{{"from": "{ANA}"}}')
    await letter(line, '{"from": "5511900000009"}')
    assert await privacy.threads_of(person, deps) == [thread]
    exported = str(await privacy.export(thread, deps))
    assert all(secret in exported for secret in ("segredo um", "segredo dois", "segredo três"))
    erased = await privacy.erase_person(person, deps)
    assert (erased.names, erased.dead_letters, erased.conversation >= 3) == (2, 1, True)
    assert await privacy.export(thread, deps) is None
    assert "de outra" in str(await privacy.export(other.conversation_id, deps))
    assert [one.id for one in await line.bed.store.dead_letters.letters()] == ['{"from": "5511900000009"}']
    assert (await privacy.erase_person(person, deps)).is_empty

    empty = await line.bed.store.conversations.load(thread)
    assert empty
    assert ANA not in empty.model_dump_json()
    await letter(line, "came later", *address_digests("salt", ANA))
    assert (await privacy.erase(thread, deps)).dead_letters == 1, "by the digests that the empty head keeps"
    again = await line.hears("de novo", "", ANA_ID)
    assert await line.thread_of(again) == thread, "the names are still one person's"


@pytest.mark.parametrize(
    ("raw", "is_hers"),
    [
        ('{"text": "ligue (11) 98765-4321"}', True),
        ('{"text": "+55 11 98765 4321"}', True),
        (f'{{"to": {ANA}}}', True),
        (f'{{"from_user_id":"{ANA_ID}xyz"}}', False),
        (f'{{"id": "9{ANA}"}}', False),
        ('{"a": "11987", "b": "654321"}', False),
    ],
)
async def test_a_letter_of_before_is_found_by_what_it_says(tmp_path: Path, raw: str, is_hers: bool) -> None:
    async with open_backend("memory", tmp_path) as (inbox, store):
        line = Line(engine_bed(inbox, store, channel=RecordingChannel(ChannelName.WHATSAPP)))
        await letter(line, raw)
        assert (await privacy.erase_person(ANA, line.bed.engine.operators)).dead_letters == is_hers
        assert (await privacy.erase_person(ANA_ID, line.bed.engine.operators)).is_empty


async def test_a_person_of_any_channel_is_found_by_the_name_there(tmp_path: Path) -> None:
    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store)
        await inbox.append([inbound("oi", conversation="ana-42")])
        await drain(web_conversation_id("ana-42"), bed.engine.drain)
        assert await privacy.threads_of("ana-42", bed.engine.operators) == ["web:ana-42"]
        assert (await privacy.erase_person("ana-42", bed.engine.operators)).conversation == 1


async def test_a_sealed_conversation_answers_nobody(line: Line) -> None:
    old, young = await line.hears("Oi", ANA), await line.hears("Oi", "", ANA_ID)
    await line.hears("Oi", ANA, ANA_ID)
    sealed = await line.bed.store.conversations.load(young.conversation_id)
    assert sealed
    with pytest.raises(ConversationJoinedError) as joined:
        await line.bed.engine.turn.threads.settle(sealed, [young])
    assert joined.value.into == old.conversation_id
