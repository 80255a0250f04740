"""Voice notes from the webhook to the reply: heard words are the person's, and doubted."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from adapters.http.listener import listen
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_SECRET
from cli.serving import server_of
from cli.settings import read_settings
from contracts.conversation import Conversation, Speaker, TurnRecord
from observability.metrics import REGISTRY
from sandbox import whatsapp_webhooks as meta
from sandbox.recordings import spoken_in, voice_note
from sandbox.whatsapp_webhooks import Change

ANA = "5511900000001"
AUTHORIZED = {"authorization": "Bearer token"}


class Bed:
    """A running worker, a person with a microphone, and what the platform was given."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        self.runtime, self.http, self.sandbox, self.notes = runtime, http, runtime.sandbox_url, 0

    async def voice(self, text: str, *, fault: str = "", **spoken: Any) -> Change:
        """Put a recording at the platform; return its message."""
        self.notes += 1
        media_id = f"voice-{self.notes}"
        path = f"{self.sandbox}/graph/sandbox/files/{media_id}"
        query = {"fault": fault} if fault else {}
        await self.http.put(
            path, content=voice_note(text, **spoken), params=query, headers={"content-type": "audio/ogg"}
        )
        return meta.inbound_audio(ANA, media_id, phone_number_id=SANDBOX_PHONE_NUMBER_ID)

    def text(self, words: str) -> Change:
        return meta.inbound_text(ANA, words, phone_number_id=SANDBOX_PHONE_NUMBER_ID)

    async def turn(self, *changes: Change) -> TurnRecord:
        """Deliver the messages and return the turn that answered the last of them."""
        body, headers = meta.signed(meta.envelope(*changes), SANDBOX_SECRET)
        for _ in range(30):
            if (await self.http.post("/webhooks/whatsapp", content=body, headers=headers)).status_code == 200:
                break
        async with asyncio.timeout(30):
            while await self.runtime.backend.inbox.depth():  # noqa: ASYNC110 - the retry comes by a timer
                await asyncio.sleep(0.05)
        await self.runtime.queue.idle()
        conversations = self.runtime.backend.store.conversations
        return (await conversations.turns((await self.head()).id))[-1]

    async def head(self) -> Conversation:
        (found,) = (await self.runtime.backend.store.conversations.find(limit=5)).items
        head = await self.runtime.backend.store.conversations.load(found.id)
        assert head is not None
        return head

    async def sent(self) -> list[dict[str, Any]]:
        found = await self.http.get(f"{self.sandbox}/graph/sandbox/messages")
        return [one["body"] for one in found.json()["messages"]]

    async def behave(self, service: str, **behaviour: Any) -> None:
        path = f"{self.sandbox}/{service}/sandbox/behaviour"
        assert (await self.http.put(path, content=json.dumps(behaviour))).status_code == 200


@asynccontextmanager
async def opened(folder: Path, **more: str) -> AsyncIterator[Bed]:
    environ = {"PROSA_DATA_DIR": str(folder), "PORT": "0", "PROSA_QUIET_WINDOW_S": "0", **more}
    async with (
        open_runtime(read_settings(environ, env_file=None)) as runtime,
        server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
    ):
        yield Bed(runtime, http)


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    async with opened(tmp_path) as bed:
        yield bed


async def test_several_notes_are_one_turn_that_is_answered_as_text_is(bed: Bed) -> None:
    notes = [await bed.voice("Oi, bom dia"), await bed.voice("Vocês fazem sites?", confidence=0.8)]
    turn = await bed.turn(*notes)
    assert len(turn.message_ids) == 2
    head = await bed.head()
    said = [one for one in head.window if one.speaker is Speaker.PERSON]
    assert [one.text for one in said] == ["Oi, bom dia", "Vocês fazem sites?"]
    assert said[1].content is not None
    assert said[1].content.confidence == pytest.approx(0.8, abs=0.01)
    assert head.intent is not None


async def test_opt_out_heard_surely_counts_and_heard_badly_is_asked_back(bed: Bed) -> None:
    await bed.turn(bed.text("Oi"))
    await bed.turn(await bed.voice("Parar.", confidence=0.4))
    head = await bed.head()
    assert not head.opted_out
    assert head.window[-1].options == (bed.runtime.engine.turn.rulebook().institution.opt_out_words[0],)
    await bed.turn(await bed.voice("Parar.", confidence=0.95))
    assert (await bed.head()).opted_out


async def test_a_wish_for_a_person_heard_badly_is_asked_back_once(bed: Bed) -> None:
    await bed.turn(bed.text("Oi"))
    await bed.behave("anthropic", script=[{"task": "state", "update": {"wish": "agent"}, "times": 2}])
    await bed.turn(await bed.voice("Quero falar com um atendente", confidence=0.4))
    assert (await bed.head()).state != "ESCALATING"
    await bed.turn(await bed.voice("Quero falar com um atendente", confidence=0.4))
    assert (await bed.head()).state == "ESCALATING"


async def test_a_name_heard_badly_is_said_back_and_kept_when_confirmed(bed: Bed) -> None:
    name = {"name": "name", "value": "Marina Prado"}
    scripted = {"task": "state", "update": {"collected": [name], "ask_field": None}}
    await bed.behave("anthropic", script=[{**scripted, "contains": "Marina"}, {**scripted, "contains": "Sim"}])
    await bed.turn(await bed.voice("Quero um site, meu nome é Marina Prado", unsure=["Prado"]))
    head = await bed.head()
    assert "name" not in head.fields
    assert "Marina Prado" in head.window[-1].text
    await bed.turn(bed.text("Sim"))
    assert (await bed.head()).fields["name"] == "Marina Prado"


async def test_a_name_heard_well_is_kept_at_once(bed: Bed) -> None:
    name = {"name": "name", "value": "Marina Prado"}
    await bed.behave("anthropic", script=[{"task": "state", "update": {"collected": [name], "ask_field": None}}])
    await bed.turn(await bed.voice("Quero um site, meu nome é Marina Prado"))
    assert (await bed.head()).fields["name"] == "Marina Prado"


async def test_a_recogniser_that_is_back_at_the_next_attempt_loses_nothing(bed: Bed) -> None:
    await bed.behave("speech", fault="server_error", times=1)
    await bed.turn(await bed.voice("Vocês fazem sites?"))
    assert (await bed.head()).window[0].text == "Vocês fazem sites?"


@pytest.mark.parametrize("fault", ["subtitles", "empty", "server_error"])
async def test_a_note_that_is_not_heard_is_answered_with_what_to_do(bed: Bed, fault: str) -> None:
    await bed.behave("speech", fault=fault)
    await bed.turn(await bed.voice("Vocês fazem sites?"))
    texts = bed.runtime.engine.turn.rulebook().institution.texts
    assert (await bed.sent())[-1]["text"]["body"] in texts.values()


async def test_reply_to_a_voice_note_is_spoken_and_typed_ones_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path, PROSA_SPEECH="openai") as bed:
        await bed.turn(bed.text("Oi, bom dia"))
        await bed.turn(await bed.voice("Vocês fazem sites?"))
        typed, spoken = (await bed.sent())[0], (await bed.sent())[-1]
        assert typed["type"] != "audio" == spoken["type"]
        link = await bed.http.get(f"{bed.sandbox}/graph/v26.0/{spoken['audio']['id']}", headers=AUTHORIZED)
        file = await bed.http.get(link.json()["url"], headers=AUTHORIZED)
        assert spoken_in(file.content)["text"] == (await bed.head()).window[-1].text


async def test_reply_is_text_where_the_platform_refuses_the_recording(tmp_path: Path) -> None:
    async with opened(tmp_path, PROSA_SPEECH="openai") as bed:
        refused = partial(REGISTRY.get_sample_value, "spoken_replies_total", {"outcome": "refused"})
        before = refused() or 0
        await bed.turn(bed.text("Oi, bom dia"))
        await bed.behave("graph", script=[{"code": 131053}])
        await bed.turn(await bed.voice("Vocês fazem sites?"))
        _, sent = await bed.sent()
        assert sent["text"]["body"] == (await bed.head()).window[-1].text
        assert refused() == before + 1
        assert (await bed.head()).state != "ESCALATING"


async def test_reply_is_text_where_the_institution_wants_no_speech(tmp_path: Path) -> None:
    documents = shutil.copytree(Path("context/documents/pyloto"), tmp_path / "documents")
    taxonomy = documents / "taxonomy.md"
    settings = taxonomy.read_text(encoding="utf-8").replace("- time_zone:", "- replies_in_speech: no\n- time_zone:", 1)
    taxonomy.write_text(settings, encoding="utf-8")
    async with opened(tmp_path, PROSA_SPEECH="openai", PROSA_INSTITUTION=str(documents)) as bed:
        await bed.turn(bed.text("Oi, bom dia"))
        await bed.turn(await bed.voice("Vocês fazem sites?"))
        assert (await bed.sent())[-1]["type"] != "audio"


async def test_reply_is_text_where_speech_fails(tmp_path: Path) -> None:
    async with opened(tmp_path, PROSA_SPEECH="openai") as bed:
        await bed.behave("speech", fault="server_error", on="speech")
        await bed.turn(await bed.voice("Vocês fazem sites?"))
        assert (await bed.sent())[-1]["text"]["body"] == (await bed.head()).window[-1].text
