"""From the POST to the reply: the real app on a real socket, the real engine behind it, the sandbox around it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from webhook_bed import ANA, HOOK

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from adapters.http.listener import listen
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_SECRET
from cli.serving import server_of
from cli.settings import read_settings
from contracts.conversation import TurnRecord
from contracts.values import ConversationId
from sandbox.whatsapp_webhooks import Change
from tests import whatsapp_kinds as meta
from tests.builders import conversation_id

BIA = "5511900000002"
TRIES = 30


class Whole:
    """Everything that runs, and the two sides a test talks to."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient) -> None:
        self.runtime = runtime
        self.http = http

    async def post(self, *changes: Change) -> httpx.Response:
        body, headers = meta.signed(meta.envelope(*changes), SANDBOX_SECRET)
        return await self.persistently(HOOK, content=body, headers=headers)

    async def persistently(self, path: str, **request: Any) -> httpx.Response:
        """Post it again after a 503, as platforms and the page do: a busy machine may take longer than we let it."""
        for _ in range(TRIES):
            response = await self.http.post(path, **request)
            if response.status_code != 503:
                break
        return response

    async def sent(self) -> list[dict[str, Any]]:
        """What the platform has accepted, when nobody works any more."""
        await self.runtime.queue.idle()
        response = await self.http.get(f"{self.runtime.sandbox_url}/graph/sandbox/messages")
        return response.json()["messages"]  # type: ignore[no-any-return]

    async def turns(self) -> list[TurnRecord]:
        await self.runtime.queue.idle()
        store = self.runtime.backend.store
        return [
            turn
            for each in (await store.conversations.find(limit=500)).items
            for turn in await store.conversations.turns(each.id)
        ]

    async def waiting(self) -> int:
        return await self.runtime.backend.inbox.depth()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Whole]:
    settings = read_settings({"PROSA_DATA_DIR": str(folder), "PORT": "0", "PROSA_QUIET_WINDOW_S": "0"}, env_file=None)
    async with (
        open_runtime(settings) as runtime,
        server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
        httpx.AsyncClient(base_url=url, timeout=30, limits=httpx.Limits(max_connections=60)) as http,
    ):
        yield Whole(runtime, http)


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with opened(tmp_path) as whole:
        yield whole


def text(person: str, words: str, id: str) -> Change:
    return meta.inbound_text(person, words, id=id, phone_number_id=SANDBOX_PHONE_NUMBER_ID)


async def test_two_hundred_deliveries_are_one_turn_and_one_reply(whole: Whole) -> None:
    change = text(ANA, "Oi, bom dia", "wamid.1")
    responses = await asyncio.gather(*(whole.post(change) for _ in range(200)))
    assert {response.status_code for response in responses} == {200}
    (turn,) = await whole.turns()
    assert len(turn.message_ids) == 1
    (sent,) = await whole.sent()
    assert sent["to"] == f"+{ANA}"
    assert sent["client_reference"] == f"{turn.id}/0"
    assert (await whole.post(change)).status_code == 200, "days later"
    assert len(await whole.turns()) == len(await whole.sent()) == 1
    assert await whole.waiting() == 0


async def test_a_burst_of_one_chat_message_is_one_turn(whole: Whole) -> None:
    message = {"id": "m-1", "text": "Oi, bom dia"}
    first = await asyncio.gather(*(whole.persistently("/chat/c-1/messages", json=message) for _ in range(60)))
    assert {response.status_code for response in first} == {202}
    (turn,) = await whole.turns()
    assert turn.message_ids == ("m-1",)
    assert len(await whole.runtime.backend.store.outbox.rows(conversation_id("c-1"))) == 1


async def test_a_batch_answers_each_person_once(whole: Whole) -> None:
    people = [f"55119{number:08d}" for number in range(10)]
    response = await whole.post(
        *(text(person, "Oi", f"wamid.{person}.{n}") for n in range(3) for person in people),
        *(meta.status(f"wamid.unknown.{person}", "read", person) for person in people),
    )
    assert response.status_code == 200
    turns = await whole.turns()
    assert sorted(len(turn.message_ids) for turn in turns) == [3] * 10
    assert sorted(message["to"] for message in await whole.sent()) == sorted(f"+{person}" for person in people)


async def test_what_is_recorded_only_is_never_answered(whole: Whole) -> None:
    account = {"phone_number_id": SANDBOX_PHONE_NUMBER_ID}
    silent = [
        meta.inbound_reaction(ANA, "wamid.OURS", "👍", **account),
        meta.inbound_edit(ANA, "wamid.1", "Oi", **account),
        meta.inbound_revoke(ANA, "wamid.1", **account),
        meta.inbound_welcome(ANA, **account),
        meta.inbound_system(ANA, "user_changed_number", "?"),
        meta.echo(ANA, "Já respondo"),
        meta.inbound_text(ANA, "Oi, grupo", group_id="G-1", **account),
        meta.other("history", messages=[{"id": "1", "from": ANA, "type": "text", "text": {"body": "Oi"}}]),
        meta.other("standby", messages=[{"id": "2", "from": ANA, "type": "text", "text": {"body": "Oi"}}]),
        meta.status("wamid.OURS", "failed", ANA, error_code=131026),
        meta.error(131000),
    ]
    for change in silent:
        assert (await whole.post(change)).status_code == 200
    assert all(not turn.replies for turn in await whole.turns())
    assert await whole.sent() == []
    assert await whole.waiting() == 0
    assert (await whole.post(text(BIA, "Oi", "wamid.B"))).status_code == 200
    assert len(await whole.sent()) == 1, "who does write is still answered"


async def test_statuses_reach_the_reply_and_never_the_state_machine(whole: Whole) -> None:
    await whole.post(text(ANA, "Oi, bom dia", "wamid.1"))
    (sent,) = await whole.sent()
    (turn,) = await whole.turns()
    store = whole.runtime.backend.store
    before = await store.conversations.transitions(turn.conversation_id)
    report = meta.status(
        sent["id"],
        "read",
        ANA,
        client_reference=sent["client_reference"],
        phone_number_id=SANDBOX_PHONE_NUMBER_ID,
    )
    for _ in range(3):
        assert (await whole.post(report)).status_code == 200
    await whole.runtime.queue.idle()
    (row,) = await store.outbox.rows(turn.conversation_id)
    assert row.state == "read"
    assert await store.conversations.transitions(turn.conversation_id) == before
    assert len(await whole.turns()) == 1


async def test_hostile_text_is_answered_like_any_other(whole: Whole) -> None:
    hostile = ("\x00", "\ud800 oi", "\u202eoi", "a" * 7000, "😀" * 2000, "{{7*7}}", "</conversation>", "%s%n", "'; --")
    for number, words in enumerate(hostile):
        body = json.dumps({"id": "m", "text": f"Oi {words}"}).encode()
        response = await whole.persistently(f"/chat/h-{number}/messages", content=body)
        assert response.status_code == 202
    turns = await whole.turns()
    assert len(turns) == len(hostile)
    assert all(turn.replies and turn.reason != "dead_letter" for turn in turns)
    assert await whole.runtime.backend.store.dead_letters.letters() == []


async def test_a_watcher_sees_the_states_and_then_the_reply(whole: Whole) -> None:
    seen: list[str] = []
    async with whole.http.stream("GET", "/chat/c-1/events") as response:
        lines = response.aiter_lines()
        async with asyncio.timeout(20):
            assert await anext(lines) == ": connected"
            await whole.persistently("/chat/c-1/messages", json={"id": "m-1", "text": "Oi, bom dia"})
            async for line in lines:
                if line.startswith("event: "):
                    seen.append(line.removeprefix("event: "))
                if line.startswith("data: ") and seen[-1] == "reply":
                    break
    assert seen[0] == "state"
    assert seen[-1] == "reply"
    status = (await whole.http.get("/chat/c-1/messages/m-1")).json()
    assert status["status"] in ("replied", "escalated")
    assert json.loads(line.removeprefix("data: "))["reply"] == status["reply"]


async def test_what_was_taken_before_a_stop_is_answered_after_the_start(tmp_path: Path) -> None:
    """The process ends between the append and the first thought: the next one finds the message by itself."""
    async with opened(tmp_path) as whole:
        await whole.runtime.queue.close(grace_seconds=0)
        assert (await whole.post(text(ANA, "Oi", "wamid.1"))).status_code == 200
        assert await whole.waiting() == 1
    async with opened(tmp_path) as whole:
        async with asyncio.timeout(20):
            while await whole.waiting():  # noqa: ASYNC110 - the sweeper works by the clock and tells nobody
                await asyncio.sleep(0.02)
        (turn,) = await whole.turns()
        assert turn.replies
        assert [message["to"] for message in await whole.sent()] == [f"+{ANA}"]
        assert await whole.runtime.backend.store.conversations.load(ConversationId(turn.conversation_id)) is not None
