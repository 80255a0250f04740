"""A model that always tries to break the rules: a thousand prices, closings and promises, and not one leaves."""

from pathlib import Path
from typing import Any

import orjson

from contracts.conversation import State
from contracts.institution import FixedText
from contracts.ports import ModelRequest
from tests.builders import agreeable, decision, engine_bed, inbound, open_backend, pyloto, response, verdict
from tests.evals import replies
from tests.scripted import ScriptedModel
from worker.drain import drain


def conversation(request: ModelRequest) -> Any:
    return orjson.loads(request.user.split("<conversation>")[1].split("</conversation>")[0])


async def test_what_floor_and_judge_find_never_leaves(tmp_path: Path) -> None:
    forbidden = list(dict.fromkeys(replies(label="violation")))
    assert len(forbidden) >= 1_000

    async def cheating(request: ModelRequest) -> str:
        match request.schema_name:
            case "state_decision":
                return decision(intent=None)
            case "response_draft":
                # First draft and rewrite alike: the number of the phrase came as the person's message.
                number = int(conversation(request)["messages"][0]["text"].removeprefix("pergunta "))
                return response(forbidden[number])
            case "judge_verdict":
                return verdict(*((one["sentence"], "never.1") for one in conversation(request)["sentences"]))
        return await agreeable(request)

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
