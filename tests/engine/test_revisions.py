"""Edits and deletions: what later prompts read, what the transcript keeps, and that neither is answered."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.conversation import Conversation, Speaker, Utterance
from contracts.messages import InboundKind, InboundMessage, Revision, newest_texts
from contracts.ports import ModelRequest
from contracts.values import MessageId
from tests.builders import (
    START,
    EngineBed,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    response,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.revisions import as_revised, revised

C1 = conversation_id()
CPF = "529.982.247-25"


class Reader:
    """A model that keeps what it was given; `state` and `text` are its answers."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.state, self.text = decision(), response()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, request: ModelRequest) -> str:
        self.given.append(request.user)
        if self.meanwhile is not None:
            came, self.meanwhile = self.meanwhile, None
            await came()
        if request.schema_name == "state_decision":
            return self.state
        return self.text if request.schema_name == "response_draft" else await agreeable(request)


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture(params=["sqlite"])
async def bed(request: pytest.FixtureRequest, tmp_path: Path, reader: Reader) -> AsyncIterator[EngineBed]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield engine_bed(inbox, store, model=ScriptedModel(reader))


async def say(bed: EngineBed, *messages: InboundMessage) -> None:
    await bed.inbox.append(messages)
    await drain(C1, bed.engine.drain)
    assert await bed.inbox.pending(C1) == []


def edit(of: str, text: str, **changes: Any) -> InboundMessage:
    return inbound(text, kind=InboundKind.EDIT, revises=MessageId(of), **changes)


def revoke(of: str, **changes: Any) -> InboundMessage:
    return inbound("", kind=InboundKind.REVOKE, revises=MessageId(of), **changes)


async def test_an_edit_replaces_the_text_in_later_prompts_and_is_recorded(bed: EngineBed, reader: Reader) -> None:
    await say(bed, inbound("de Campinas para Pedralva", id="a"))
    calls, replies = len(reader.given), len(bed.channel.accepted)
    await say(bed, edit("a", "de Campinas para Jaçanã"))
    assert (len(reader.given), len(bed.channel.accepted)) == (calls, replies)
    await say(bed, inbound("pode ser hoje?"))
    later = "".join(reader.given[calls:])
    assert "para Jaçanã" in later
    assert "Pedralva" not in later
    said = [one.text for one in await bed.store.conversations.transcript(C1) if one.speaker is Speaker.PERSON]
    assert said == ["de Campinas para Pedralva", "[edit] de Campinas para Jaçanã", "pode ser hoje?"]


async def test_a_deleted_number_is_in_no_later_prompt(bed: EngineBed, reader: Reader) -> None:
    """Neither as the person wrote it, nor as a collected field, nor as the assistant repeated it."""
    reader.state = decision(collected=[{"name": "company", "value": "CPF 52998224725"}])
    reader.text = response("Anotei o seu documento 529.982.247-25. Mais alguma coisa?")
    await say(bed, inbound(f"meu CPF é {CPF}", id="a"))
    head = await bed.store.conversations.load(C1)
    assert head
    assert head.fields
    await say(bed, revoke("a"))
    calls = len(reader.given)
    reader.state, reader.text = decision(), response("Em que posso ajudar?")
    await say(bed, inbound("e o horário?"))
    later = "".join(reader.given[calls:])
    assert CPF not in later
    assert "52998224725" not in later
    head = await bed.store.conversations.load(C1)
    assert head
    assert head.fields == {}
    assert (await bed.store.conversations.transcript(C1))[0].text == f"meu CPF é {CPF}"


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
async def test_a_revision_before_the_answer_counts_in_that_turn(
    bed: EngineBed, reader: Reader, order: tuple[int, ...]
) -> None:
    messages = [inbound("quero ir a Pedralva", id="a"), edit("a", "quero ir a Jaçanã"), inbound("hoje")]
    await say(bed, *(messages[index] for index in order))
    given = "".join(reader.given)
    assert "Jaçanã" in given
    assert "Pedralva" not in given


async def test_what_was_deleted_before_its_answer_is_not_answered(bed: EngineBed, reader: Reader) -> None:
    await say(bed, inbound(f"meu CPF é {CPF}", id="a"), revoke("a"))
    assert (reader.given, bed.channel.accepted) == ([], [])
    await say(bed, inbound("Oi"))
    assert CPF not in "".join(reader.given)


@pytest.mark.parametrize("late", ["edit", "revoke"])
async def test_a_revision_may_come_before_its_message(bed: EngineBed, reader: Reader, late: str) -> None:
    await say(bed, edit("a", "para Jaçanã") if late == "edit" else revoke("a"))
    await say(bed, inbound("para Pedralva", id="a"))
    assert bool(reader.given) == (late == "edit")
    await say(bed, inbound("hoje?"))
    assert "Pedralva" not in "".join(reader.given)


async def test_neither_starts_the_model_again_while_it_thinks(bed: EngineBed, reader: Reader) -> None:
    for number, revision in enumerate((edit("a0", "para Jaçanã"), revoke("a1"))):

        async def came(revision: InboundMessage = revision) -> None:
            await bed.inbox.append([revision])

        calls = len(reader.given)
        bed.faults.pausing["turn.thought"] = came
        await say(bed, inbound("para Pedralva", id=f"a{number}"))
        assert len(reader.given) - calls == 3
    assert len(bed.channel.accepted) == 2


async def test_a_newer_message_starts_it_again_with_the_edit(bed: EngineBed, reader: Reader) -> None:
    async def came() -> None:
        await bed.inbox.append([edit("a", "para Jaçanã"), inbound("e quanto custa?")])

    reader.meanwhile = came
    await say(bed, inbound("para Pedralva", id="a"))
    assert "Pedralva" not in reader.given[-1]
    assert "Jaçanã" in reader.given[-1]
    assert len(bed.channel.accepted) == 1


async def test_what_a_group_or_the_business_revised_changes_nothing(bed: EngineBed) -> None:
    await say(bed, inbound("para Pedralva", id="a"))
    await say(bed, revoke("a", recorded_only=True), edit("a", " "))
    head = await bed.store.conversations.load(C1)
    assert head
    assert "para Pedralva" in [said.text for said in head.window]


REVISIONS = st.lists(
    st.builds(
        Revision,
        of=st.sampled_from([MessageId("m0"), MessageId("m1"), MessageId("m9")]),
        text=st.sampled_from(["b", None]),
    ),
    max_size=6,
)


@given(REVISIONS)
def test_head_and_transcript_agree_in_any_order(revisions: list[Revision]) -> None:
    """The window after each revision, and the transcript read at the end, say the same."""
    said = [
        Utterance(speaker=Speaker.PERSON, text=f"a{index}", message_id=MessageId(f"m{index}"), at=START)
        for index in range(3)
    ]
    head = Conversation(id=C1).says(*said)
    for revision in revisions:
        head = revised(head, [revision])
    recorded = [
        Utterance(speaker=Speaker.PERSON, text="[edit]", revision=revision, at=START + timedelta(seconds=1))
        for revision in revisions
    ]
    assert list(head.window) == as_revised([*said, *recorded])
    texts = newest_texts(revisions)
    expected = [texts.get(one.message_id, one.text) for one in said if one.message_id]
    assert [one.text for one in head.window] == [text for text in expected if text is not None]
