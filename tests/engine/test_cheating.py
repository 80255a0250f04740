"""A model that always tries to break the rules: a thousand prices and closings, and not one reaches a person."""

from pathlib import Path

import orjson

from adapters.models.scripted import ScriptedModel
from contracts.conversation import State
from contracts.institution import FixedText
from contracts.ports import ModelRequest
from tests.builders import agreeable, engine_bed, inbound, open_backend, pyloto
from tests.context.corpus.prices_and_closings import drafts, held_out_drafts
from worker.drain import drain


async def test_a_thousand_prices_and_closings_never_leave(tmp_path: Path) -> None:
    forbidden = (*drafts(), *held_out_drafts())
    assert len(set(forbidden)) >= 1_000

    async def cheating(request: ModelRequest) -> str:
        if request.schema_name != "response_draft":
            return await agreeable(request)
        # First draft and rewrite alike: the number of the phrase came as the person's message.
        conversation = orjson.loads(request.user.split("<conversation>")[1].split("</conversation>")[0])
        return orjson.dumps(
            {"text": forbidden[int(conversation["messages"][0]["text"].removeprefix("pergunta "))]}
        ).decode()

    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store, model=ScriptedModel(cheating))
        for number in range(len(forbidden)):
            message = inbound(f"pergunta {number}", conversation=f"c-{number}")
            await inbox.append([message])
            await drain(message.conversation_id, bed.deps)
            (turn,) = await store.conversations.turns(message.conversation_id)
            assert (turn.state, turn.reason) == (State.ESCALATING, "gate"), forbidden[number]
    assert {row.message.text for row in bed.channel.accepted} == {pyloto().text(FixedText.BLOCKED)}
    assert len(bed.channel.accepted) == len(forbidden)
