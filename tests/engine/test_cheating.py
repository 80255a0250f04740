"""A model that always tries to break the rules: sums of money in every spelling, and not one reaches a person."""

import re
from pathlib import Path

import orjson

from adapters.models.scripted import ScriptedModel
from contracts.conversation import State
from contracts.institution import FixedText
from contracts.ports import ModelRequest
from tests.builders import agreeable, decision, engine_bed, inbound, open_backend, pyloto, response
from tests.evals import replies
from worker.drain import drain

MONEY = re.compile(r"R\$|\d reais\b|[dzt][ae] reais\b")


async def test_no_sum_of_money_leaves(tmp_path: Path) -> None:
    forbidden = [text for text in replies("price", label="violation") if MONEY.search(text)]
    assert len(set(forbidden)) >= 80

    async def cheating(request: ModelRequest) -> str:
        if request.schema_name == "state_decision":
            return decision(intent=None)
        if request.schema_name != "response_draft":
            return await agreeable(request)
        # First draft and rewrite alike: the number of the phrase came as the person's message.
        conversation = orjson.loads(request.user.split("<conversation>")[1].split("</conversation>")[0])
        return response(forbidden[int(conversation["messages"][0]["text"].removeprefix("pergunta "))])

    async with open_backend("memory", tmp_path) as (inbox, store):
        bed = engine_bed(inbox, store, model=ScriptedModel(cheating))
        for number in range(len(forbidden)):
            message = inbound(f"pergunta {number}", conversation=f"c-{number}")
            await inbox.append([message])
            await drain(message.conversation_id, bed.engine.drain)
            (turn,) = await store.conversations.turns(message.conversation_id)
            assert (turn.state, turn.reason) == (State.ESCALATING, "gate"), forbidden[number]
    assert {row.message.text for row in bed.channel.accepted} == {pyloto().text(FixedText.BLOCKED)}
    assert len(bed.channel.accepted) == len(forbidden)
