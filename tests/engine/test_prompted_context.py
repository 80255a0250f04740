"""What the model reads of a conversation: the moment, quotes, the advertisement, the summary, ended episodes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.messages import ADVERTISEMENT, InboundKind, InboundMessage
from contracts.ports import ModelRequest
from contracts.values import MessageId
from prompts.request import HISTORY_UTTERANCES, OLDER_CHARACTERS
from tests.builders import EngineBed, agreeable, conversation_id, decision, engine_bed, inbound, open_backend, response
from tests.scripted import ScriptedModel
from worker.drain import drain

C1 = conversation_id()


class Reader:
    """A model that keeps what it was given of the conversation; `states` and `text` are its answers."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.state, self.text = decision(), response()

    async def __call__(self, request: ModelRequest) -> str:
        self.requests.append(request)
        if request.schema_name == "state_decision":
            return self.state
        return self.text if request.schema_name == "response_draft" else await agreeable(request)

    def read(self, schema: str = "state_decision") -> dict[str, Any]:
        newest = [one for one in self.requests if one.schema_name == schema][-1]
        inner = newest.user.split("<conversation>\n")[1].split("\n</conversation>")[0]
        read: dict[str, Any] = orjson.loads(inner)
        return read


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture(params=["sqlite"])
async def bed(request: pytest.FixtureRequest, tmp_path: Path, reader: Reader) -> AsyncIterator[EngineBed]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield engine_bed(inbox, store, model=ScriptedModel(reader))


async def say(bed: EngineBed, text: str | InboundMessage, **changes: Any) -> None:
    bed.clock.move(timedelta(seconds=30))
    message = inbound(text, at=bed.clock.now(), **changes) if isinstance(text, str) else text
    await bed.inbox.append([message])
    await drain(C1, bed.engine.drain)


async def test_the_moment_is_told_and_the_cached_prefix_stays(bed: EngineBed, reader: Reader) -> None:
    await say(bed, "Oi")
    first = reader.read()["now"]
    bed.clock.move(timedelta(days=2))
    await say(bed, "e agora?")
    second = reader.read()["now"]
    # 12:00:30 and 12:01 in UTC; Campinas is three hours earlier.
    assert first == {"date": "2026-11-20", "open": True, "time": "09:00", "weekday": "Friday"}
    assert second == {"date": "2026-11-22", "open": False, "time": "09:01", "weekday": "Sunday"}
    states = [one for one in reader.requests if one.schema_name == "state_decision"]
    assert len({one.system for one in states}) == 1


async def test_quotes_are_read_as_they_are_now(bed: EngineBed, reader: Reader) -> None:
    reader.text = response("Anotei o documento 529.982.247-25. Mais alguma coisa?")
    await say(bed, "meu CPF é 529.982.247-25", id="a", platform_id="p-a")
    [row] = await bed.store.outbox.rows(C1)
    reader.text = response("Em que posso ajudar?")
    await say(bed, "isso", reply_to=row.platform_message_id)
    assert reader.read()["messages"][0]["quotes"] == row.message.text
    await say(bed, "esse", reply_to="p-a")
    assert reader.read()["messages"][0]["quotes"] == "meu CPF é 529.982.247-25"
    await say(bed, inbound("", kind=InboundKind.REVOKE, revises=MessageId("a"), at=bed.clock.now()))
    await say(bed, "e aquele?", reply_to="p-a")
    assert "quotes" not in reader.read()["messages"][0]
    await say(bed, "e isso?", reply_to=row.platform_message_id)
    quoted = reader.read()["messages"][0]["quotes"]
    assert "Mais alguma coisa?" in quoted
    assert "529" not in quoted


async def test_the_advertisement_is_known_for_the_whole_episode(bed: EngineBed, reader: Reader) -> None:
    await say(bed, "Oi", data={ADVERTISEMENT: "Entregas em Campinas\nPeça a sua"})
    await say(bed, "como funciona?")
    assert reader.read("response_draft")["advertisement"] == "Entregas em Campinas\nPeça a sua"
    reader.state = decision(next_state="COMPLETED", intent="goodbye")
    await say(bed, "era isso")
    reader.state = decision()
    await say(bed, "voltei")
    assert "advertisement" not in reader.read()


async def test_what_is_older_than_the_history_is_summarised_and_an_ended_episode_is_marked(
    bed: EngineBed, reader: Reader
) -> None:
    for number in range(9):
        reader.state = decision(intent="menu" if number < 5 else "greeting")
        await say(bed, f"mensagem {number} " + "x" * 30 * number)
    read = reader.read()
    assert read["summary"]["topics"] == ["menu", "greeting"]
    assert len(read["history"]) == HISTORY_UTTERANCES
    assert read["summary"]["lines"][0].startswith("person: mensagem 0")
    assert all(len(line) <= OLDER_CHARACTERS + len("assistant: ") for line in read["summary"]["lines"])
    reader.state = decision(next_state="COMPLETED", intent="goodbye")
    await say(bed, "era isso")
    reader.state = decision()
    await say(bed, "voltei")
    read = reader.read()
    assert {line.get("episode") for line in read["history"]} == {"ended"}
    assert read["ended_episodes"][0]["state"] == "COMPLETED"
    await say(bed, "quero uma entrega")
    marks = [line.get("episode") for line in reader.read()["history"]]
    assert marks[-2:] == [None, None]
    assert set(marks[:-2]) == {"ended"}
