"""Chatwoot: whose turn it is, what a person chose, and the whole way to the team and back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from webhook_bed import START

from adapters.channels.chatwoot import Chatwoot, ChatwootSettings
from adapters.channels.chatwoot.inbound import ChatwootInbound
from adapters.channels.chatwoot.outbound import ChatwootChannel, payload
from adapters.http.listener import listen
from cli.doctor import examine_channel
from cli.runtime import Runtime, open_runtime
from cli.serving import server_of
from cli.settings import read_settings
from contracts.channels import Post, Received
from contracts.conversation import Owner, State
from contracts.findings import Health
from contracts.messages import ChannelName, DeliveryState, InboundKind, MessageType, Option, OutboundMessage
from sandbox.app import SandboxSettings, create_app
from sandbox.chatwoot_api import ChatwootSandbox, message
from tests.builders import outbox_row, pyloto


def status_event(status: str, *, conversation: int = 7) -> dict[str, Any]:
    name = "conversation_resolved" if status == "resolved" else "conversation_status_changed"
    return {"event": name, "id": conversation, "status": status, "inbox_id": 3}


def received(content: Any) -> Received:
    inbound = ChatwootInbound("token", account="1", id_salt="salt")
    return inbound.parse(Post(orjson.dumps(content)), at=START)


@pytest.mark.parametrize(
    ("status", "is_recorded_only"), [("pending", False), ("resolved", False), ("open", True), ("snoozed", True)]
)
def test_the_team_has_it_while_it_is_open(status: str, is_recorded_only: bool) -> None:
    (read,) = received(message(1, "Oi", status=status)).messages
    assert read.recorded_only is is_recorded_only


def test_an_agents_words_are_recorded_and_the_bots_are_ignored() -> None:
    agents = message(2, "Sou a Rita", message_type="outgoing", sender={"type": "user", "name": "Rita"}, status="open")
    (read,) = received(agents).messages
    assert (read.is_recorded_only, read.data["agent"], read.person_name) == (True, "Rita", None)
    assert received(agents | {"sender": {"type": "agent_bot"}}) == Received(ignored=("bot_message",))
    assert received(agents | {"private": True}) == Received(ignored=("private",))
    assert received(message(3, "x", message_type="activity")) == Received(ignored=("activity",))
    assert received(message(3, "x", account={"id": 2})) == Received(ignored=("other_account",))
    assert received(status_event("open")) == Received(ignored=("conversation_status_changed",))


def test_a_chosen_option_comes_with_the_update_of_our_message() -> None:
    ours = message(4, "Ok?", event="message_updated", message_type="outgoing", sender={"type": "agent_bot"})
    chosen = {"submitted_values": [{"title": "Sim", "value": "option-1"}]}
    (read,) = received(ours | {"content_attributes": chosen}).messages
    assert (read.kind, read.text, read.choice_id) == (InboundKind.CHOICE, "Sim", "option-1")
    assert received(ours) == Received(ignored=("update",))


def test_options_are_an_input_select() -> None:
    reply = OutboundMessage(type=MessageType.BUTTON, text="Ok?", buttons=(Option(id="option-1", title="Sim"),))
    assert payload(reply)["content_attributes"] == {"items": [{"title": "Sim", "value": "option-1"}]}


class Whole:
    """One process, Chatwoot beside it, and posts to it."""

    def __init__(self, runtime: Runtime, http: httpx.AsyncClient, double: ChatwootSandbox, hook: str) -> None:
        self.runtime, self.http, self.double, self.hook = runtime, http, double, hook

    async def post(self, content: Any) -> State:
        if "created_at" in content:
            content["created_at"] = datetime.now(UTC).isoformat()
        assert (await self.http.post(self.hook, json=content)).status_code == 200
        await self.runtime.queue.idle()
        (head,) = (await self.runtime.backend.store.conversations.find()).items
        return head.state


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Whole]:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as sandbox_url:
        given = {"CHATWOOT_URL": f"{sandbox_url}/chatwoot", "CHATWOOT_TOKEN": "token", "CHATWOOT_ACCOUNT_ID": "1"}
        settings = read_settings(
            given | {"PROSA_DATA_DIR": str(folder), "PORT": "0", "PROSA_QUIET_WINDOW_S": "0"}, env_file=None
        )
        own = ChatwootSettings.of(settings)
        assert own is not None
        async with (
            open_runtime(settings) as runtime,
            server_of(runtime.webhook).running(listen("127.0.0.1", 0)) as url,
            httpx.AsyncClient(base_url=url, timeout=30) as http,
        ):
            hook = f"/webhooks/chatwoot?token={own.webhook_token}"
            yield Whole(runtime, http, app.state.platforms["chatwoot"], hook)


async def test_it_is_answered_handed_to_the_team_and_taken_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as whole:
        assert await whole.post(message(1, "Oi, bom dia")) is not State.ESCALATING
        assert whole.double.messages[-1]["to"] == "7"
        assert await whole.post(message(2, "Quero falar com uma pessoa")) is State.ESCALATING
        for _ in range(400):
            if whole.double.statuses == {7: "open"}:
                break
            await asyncio.sleep(0.05)
        assert whole.double.statuses == {7: "open"}
        (note,) = [one["body"]["content"] for one in whole.double.messages if one["body"]["private"]]
        assert "Ana" in note
        assert "Quero falar com uma pessoa" in note
        said = len(whole.double.messages)
        assert await whole.post(message(3, "Alguém aí?", status="open")) is State.ESCALATING
        agents = message(
            5, "Sou a Rita", message_type="outgoing", sender={"type": "user", "name": "Rita"}, status="open"
        )
        assert await whole.post(agents) is State.ESCALATING
        (head,) = (await whole.runtime.backend.store.conversations.find()).items
        assert (head.owner, len(whole.double.messages)) == (Owner.AGENT, said)
        assert await whole.post(status_event("resolved")) is not State.ESCALATING
        await whole.post(message(4, "Oi, bom dia"))
        assert len(whole.double.messages) > said
        assert (await whole.http.post("/webhooks/chatwoot?token=x", json={})).status_code == 401


async def test_it_is_opened_for_the_team_with_a_private_note() -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel = ChatwootChannel(f"{url}/chatwoot", "token", "1")
        await channel.hand_over("7", "Wants a quote for Valinhos")
        await channel.close()
        double = app.state.platforms["chatwoot"]
        assert (double.messages[0]["body"]["private"], double.statuses) == (True, {7: "open"})


async def test_the_doctor_asks_it() -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        given = {"CHATWOOT_URL": f"{url}/chatwoot", "CHATWOOT_TOKEN": "token", "CHATWOOT_ACCOUNT_ID": "1"}
        settings = read_settings(given, env_file=None)
        assert (await examine_channel(Chatwoot(), settings)).health is Health.OK
        wrong = read_settings(given | {"CHATWOOT_TOKEN": "invalid"}, env_file=None)
        assert "does not take the token (401)" in (await examine_channel(Chatwoot(), wrong)).detail
        left = await Chatwoot().set_up(settings, "https://prosa.example.com")
        assert left is not None
        assert "https://prosa.example.com/webhooks/chatwoot?token=" in left.next_step


async def test_the_event_of_our_own_message_settles_its_row() -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        channel, row = ChatwootChannel(f"{url}/chatwoot", "token", "1"), outbox_row(ChannelName("chatwoot"), "7")
        await channel.send(row)
        await channel.close()
    sent = app.state.platforms["chatwoot"].messages[0]["body"]["content_attributes"]
    ours = message(99, "Oi", message_type="outgoing", sender={"type": "agent_bot"}, content_attributes=sent)
    (status,) = received(ours).statuses
    assert (status.client_reference, status.platform_message_id) == (row.reference, "99")
    assert row.reported(status).state is DeliveryState.SENT
