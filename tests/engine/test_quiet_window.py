"""Quiet window: a burst gets one reply, a complete message does not wait, and nothing of it is lost with a process."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import pytest

from contracts.conversation import Conversation, State, WaitingFor
from contracts.institution import FixedText
from contracts.media import InboundMedia
from contracts.messages import InboundKind, InboundMessage
from contracts.ports import ModelRequest
from contracts.values import ConversationId
from reports.cost import read_day
from tests.builders import (
    BACKENDS,
    ROOT,
    EngineBed,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    rulebook,
)
from tests.scripted import ScriptedModel
from worker import pipeline
from worker.drain import drain
from worker.scheduling.quiet import QuietWindows, quiet_until
from worker.sweeper import sweep

EVALS = ROOT / "evals" / "bursts"
QUIET = QuietWindows(timedelta(seconds=8))
# What the model takes for Task 1, and for Tasks 2 and 3 together.
STAGE_S = 0.7
LOOK_S = 0.001


class Replay:
    """People who write by a script, on a clock that the model's work moves on as well."""

    def __init__(self, inbox: Any, store: Any, *, waiting_for: str = "anything") -> None:
        self.bed = engine_bed(inbox, store, model=ScriptedModel(self._answer), quiet=QUIET)
        self.coming: list[InboundMessage] = []
        self.waiting_for = waiting_for

    async def _answer(self, request: ModelRequest) -> str:
        if request.schema_name in ("state_decision", "response_draft"):
            await self.move(STAGE_S)
            await asyncio.sleep(2 * LOOK_S)
        if request.schema_name == "state_decision":
            return decision(waiting_for=self.waiting_for)
        return await agreeable(request)

    async def move(self, seconds: float) -> None:
        self.bed.clock.move(timedelta(seconds=seconds))
        while self.coming and self.coming[0].received_at <= self.bed.clock.now():
            await self.bed.inbox.append([self.coming.pop(0)])

    async def write(self, name: str, bubbles: Iterable[tuple[float, str]]) -> list[float]:
        """Write each text so many seconds after the one before; return the age of the first message at each reply."""
        at = began = self.bed.clock.now()
        for after_s, text in bubbles:
            at += timedelta(seconds=after_s)
            self.coming.append(inbound(text, conversation=name, at=at))
        replies = list[float]()
        await self.move(0)
        while self.coming or await self.bed.inbox.pending(conversation_id(name)):
            before = len(self.bed.channel.accepted)
            pause = await drain(conversation_id(name), self.bed.engine.drain)
            if len(self.bed.channel.accepted) > before:
                replies.append((self.bed.clock.now() - began).total_seconds())
            wait = pause.total_seconds() if pause else float("inf")
            if self.coming:
                wait = min(wait, max(0.0, (self.coming[0].received_at - self.bed.clock.now()).total_seconds()))
            if wait != float("inf"):
                await self.move(wait)
        return replies


@pytest.fixture(params=["memory"])
async def replay(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Replay]:
    monkeypatch.setattr(pipeline, "LOOK_FOR_NEWER_SECONDS", LOOK_S)
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield Replay(inbox, store)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EVALS / f"{name}.jsonl").read_text().splitlines()]


async def test_a_thousand_bursts_get_one_reply_each(replay: Replay) -> None:
    counts = [
        len(await replay.write(row["id"], [(one["after_s"], one["text"]) for one in row["bubbles"]]))
        for row in rows("bursts")
    ]
    assert len(counts) == 1000
    assert min(counts) == 1
    assert max(counts) <= 2
    assert counts.count(1) >= 950, counts.count(1)


async def test_single_messages_hardly_wait(replay: Replay) -> None:
    waits = []
    for row in rows("singles"):
        if row["kind"] == "answer":
            # Something was asked of this person.
            replay.waiting_for = WaitingFor.FIELD
            await replay.write(row["id"], [(0.0, "vocês entregam em Campinas hoje?")])
            replay.bed.clock.move(timedelta(minutes=1))
        replay.waiting_for = WaitingFor.ANYTHING
        (replied,) = await replay.write(row["id"], [(0.0, row["text"])])
        waits.append(max(0.0, replied - 2 * STAGE_S))
    assert median(waits) <= 1.0
    assert quantiles(waits, n=20)[-1] <= 2.5


async def test_who_never_stops_is_answered(replay: Replay) -> None:
    replies = await replay.write("c-1", [(0.0, "oi")] + [(2.0, "e mais uma coisa")] * 60)
    assert replies[0] <= 15.0


def due(*texts: str, gap: float = 1.0, conversation: Any = None, **changes: Any) -> float | None:
    """Return the seconds that the last of these messages waits; None: it does not."""
    start = inbound().received_at
    messages = [inbound(text, at=start + timedelta(seconds=gap * number)) for number, text in enumerate(texts)]
    messages[-1] = messages[-1].model_copy(update=changes)
    until = quiet_until(
        messages,
        conversation,
        longest=QUIET.usual,
        late_after=timedelta(minutes=10),
        consent=rulebook().consent,
        institution=rulebook().institution,
    )
    return None if until is None else (until - messages[-1].received_at).total_seconds()


@pytest.mark.parametrize(
    "text",
    [
        "Vocês entregam em Valinhos hoje?",
        "sair",
        "quero falar com uma pessoa",
        "Preciso de um técnico para a impressora da minha loja em Campinas.",
    ],
)
def test_what_is_complete_or_urgent_does_not_wait(text: str) -> None:
    assert due(text) is None


def test_a_pressed_button_ends_a_burst() -> None:
    assert due("oi", "Entregas", kind=InboundKind.CHOICE) is None
    assert due("oi", "Entregas") is not None


def test_a_voice_note_is_waited_after_as_it_may_not_be_the_last() -> None:
    note = InboundMedia(reference="voice", mime_type="audio/ogg")
    assert due("", kind=InboundKind.AUDIO, media=note) is not None
    assert due("oi", "", kind=InboundKind.AUDIO, media=note) is not None


@pytest.mark.parametrize("text", ["eu queria saber", "é o seguinte:", "então...", "uma dúvida"])
def test_an_unfinished_sentence_waits_longer_than_a_fragment(text: str) -> None:
    unfinished, fragment = due(text), due("uma caixa")
    assert unfinished is not None
    assert fragment is not None
    assert unfinished > fragment


def test_the_pace_of_the_burst_counts_within_bounds() -> None:
    waits = [due("oi", "preciso levar", "uma caixa", gap=gap) for gap in (0.3, 2.0, 3.0, 5.0)]
    assert all(wait is not None and 0.8 <= wait <= 8.0 for wait in waits[:3])
    assert waits[:3] == sorted(waits[:3], key=lambda wait: wait or 0)
    # At most twelve seconds from the first message.
    assert waits[3] == pytest.approx(2.0)


def test_a_slow_hand_is_waited_for_longer() -> None:
    start = inbound().received_at - timedelta(hours=1)

    def known(*gaps: float) -> Conversation:
        arrivals = tuple(start + timedelta(seconds=sum(gaps[:number])) for number in range(len(gaps) + 1))
        return Conversation(id=inbound().conversation_id, turns_in_episode=1, recent_arrivals=arrivals)

    assert due("uma caixa", conversation=known(1, 1, 1)) == due("uma caixa", conversation=known(60, 600, 60))
    assert due("uma caixa", conversation=known(4, 3, 4)) == pytest.approx(7.2)
    assert due("uma caixa", conversation=known(7, 7, 7)) == pytest.approx(8.0)
    assert due("quanto custa?", conversation=known(4, 4, 4)) == pytest.approx(0.8)


async def test_a_conversation_of_the_team_does_not_wait(replay: Replay) -> None:
    await replay.write("c-1", [(0.0, "Vocês entregam em Valinhos hoje?")])
    head = await replay.bed.store.conversations.load(conversation_id())
    assert head is not None
    assert due("oi", conversation=head) is not None
    for state in (State.ESCALATING, State.SPAM):
        assert due("oi", conversation=head.model_copy(update={"state": state})) is None
    assert due("oi", conversation=head.model_copy(update={"opted_out": True})) is None


class Queue:
    """Wake-ups of the sweep, noted."""

    def __init__(self) -> None:
        self.woken: list[ConversationId] = []

    async def wake(self, conversation_id: ConversationId) -> None:
        self.woken.append(conversation_id)

    async def analyse(self, key: str) -> None:
        raise NotImplementedError


@pytest.fixture(params=BACKENDS)
async def bed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineBed]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield engine_bed(inbox, store, quiet=QUIET)


async def test_the_due_time_is_durable_and_found_by_the_sweep(bed: EngineBed) -> None:
    """The process that waits may be killed: another one's sweep takes the burst when it is due."""
    await bed.inbox.append([inbound("oi", at=bed.clock.now())])
    pause = await drain(conversation_id(), bed.engine.drain)
    assert pause is not None
    queue = Queue()
    await sweep(queue, bed.engine.sweep)
    assert queue.woken == []
    bed.clock.move(pause)
    await sweep(queue, bed.engine.sweep)
    assert queue.woken == [conversation_id()]
    assert await drain(conversation_id(), bed.engine.drain) is None
    turns: Sequence[Any] = await bed.store.conversations.turns(conversation_id())
    assert [turn.attempts for turn in turns] == [1]


async def test_a_newer_message_ends_the_calls_in_flight_and_their_prompts_are_booked(tmp_path: Path) -> None:
    async with open_backend("memory", tmp_path) as (inbox, store):
        asked = asyncio.Event()

        async def answer(request: ModelRequest) -> str:
            if not asked.is_set():
                asked.set()
                await asyncio.sleep(60)
            return await agreeable(request)

        bed = engine_bed(inbox, store, model=ScriptedModel(answer))
        await inbox.append([inbound("vocês entregam")])
        draining = asyncio.create_task(drain(conversation_id(), bed.engine.drain))
        await asked.wait()
        await inbox.append([inbound("em Valinhos?")])
        await draining
        (turn,) = await store.conversations.turns(conversation_id())
        assert len(turn.message_ids) == 2
        await bed.ledger.flush()
        booked = await read_day(store.records, bed.clock.now().date(), at=bed.clock.now())
        assert booked.total.calls == len(bed.model.requests) == 4
        assert booked.total.input > turn.tokens.input


async def test_a_draft_that_is_written_goes_out_and_the_newer_message_has_its_own_turn(bed: EngineBed) -> None:
    async def came(text: str) -> None:
        await bed.inbox.append([inbound(text, at=bed.clock.now())])

    await came("vocês entregam em Valinhos hoje?")
    bed.faults.pausing["turn.thought"] = lambda: came("e no sábado vocês trabalham também?")
    await drain(conversation_id(), bed.engine.drain)
    turns = await bed.store.conversations.turns(conversation_id())
    assert [len(turn.message_ids) for turn in turns] == [1, 1]
    assert len(bed.model.requests) == 6


async def test_a_word_of_consent_stops_a_draft_that_is_written(bed: EngineBed) -> None:
    async def came() -> None:
        await bed.inbox.append([inbound("sair", at=bed.clock.now())])

    await bed.inbox.append([inbound("vocês entregam em Valinhos hoje?", at=bed.clock.now())])
    bed.faults.pausing["turn.thought"] = came
    await drain(conversation_id(), bed.engine.drain)
    assert [row.message.text for row in bed.channel.accepted] == [rulebook().institution.text(FixedText.OPTED_OUT)]
