"""Prompts and raw answers of a turn: kept for a time, for administrators alone, and erased with the person."""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapters.waiting import wait_for_receipt
from cli.runtime import open_runtime
from contracts.access import Key, Role
from contracts.ports import ModelRequest, SystemBlock
from contracts.settings import Settings
from contracts.turn import EXCHANGES, TURN_BYTES, Asked, Exchange, TurnExchanges, key_of, system_digest
from contracts.values import MessageId, TurnId
from tests.builders import (
    BACKENDS,
    DOCUMENTS,
    EngineBed,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    response,
    scripted,
)
from worker.drain import drain
from worker.people import privacy

C1 = conversation_id()
DAY = timedelta(days=1)
MARKER = "zebra-azul-4711"
PRICED = response("Uma entrega custa R$ 15,00.")
ALLOWED = response("Quem passa os valores é a nossa equipe.")


@pytest.fixture(params=BACKENDS)
async def beds(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Callable[..., EngineBed]]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield lambda **options: engine_bed(inbox, store, **options)


async def said(bed: EngineBed, text: str) -> TurnId:
    await bed.inbox.append([inbound(text, at=bed.clock.now())])
    await drain(C1, bed.engine.drain)
    return (await bed.store.conversations.turns(C1))[-1].id


async def kept(bed: EngineBed, turn: TurnId) -> TurnExchanges | None:
    record = await bed.store.records.get(EXCHANGES, key_of(turn), at=bed.clock.now())
    return TurnExchanges.model_validate(record.body) if record else None


async def test_every_request_of_a_turn_is_kept_with_its_answer_and_erased_with_the_person(beds: Any) -> None:
    answers = {"state": ["no JSON", decision(intent="price")], "text": [PRICED, ALLOWED]}
    bed = beds(model=scripted(**answers), prompts_kept=DAY)
    turn = await said(bed, f"quanto custa? {MARKER}")
    found = await kept(bed, turn)
    assert found is not None
    asked = [(one.task, one.answer, bool(one.repair_reason)) for one in found.exchanges]
    assert [one for one in asked if one[0] in ("state", "response")] == [
        ("state", "no JSON", False),
        ("state", decision(intent="price"), True),
        ("response", PRICED, False),
        ("response", ALLOWED, False),
    ]
    # What is kept is what was asked, to the letter.
    sent = [(one.user, system_digest(one.system)) for one in bed.model.requests]
    assert sorted((one.user, one.system_digest) for one in found.exchanges) == sorted(sent)
    assert MARKER in str((await privacy.export(C1, bed.engine.operators) or {})["prompts"])
    erased = await privacy.erase(C1, bed.engine.operators)
    assert (erased.prompts, erased.conversation) == (1, 1)
    assert await kept(bed, turn) is None
    assert await bed.store.records.page(EXCHANGES, at=bed.clock.now()) == []


async def test_prompts_are_kept_for_their_time_and_only_where_they_are_wanted(beds: Any) -> None:
    bed = beds(prompts_kept=DAY)
    turn = await said(bed, "Oi")
    assert await kept(bed, turn) is not None
    bed.clock.move(DAY)
    assert await kept(bed, turn) is None
    silent = beds()
    silent.clock.move(DAY)
    assert await kept(silent, await said(silent, "Oi")) is None


def test_a_turn_that_says_much_is_kept_within_its_bound() -> None:
    def asked(number: int) -> Asked:
        request = ModelRequest(
            model="m",
            system=(SystemBlock(text="s"),),
            user=f"{number} {'ção ' * 20_000}",
            schema_name="n",
            output_schema={},
            max_tokens=1,
            timeout=DAY,
        )
        return Asked("response", "t", request, "é" * 100_000)

    turn = TurnId("web:c-1/7")
    exchanges = tuple(Exchange.of(asked(number)) for number in range(40))
    record = TurnExchanges(turn_id=turn, institution_version="1", exchanges=exchanges).filed(
        C1, at=inbound().received_at, kept=DAY
    )
    found = TurnExchanges.model_validate(record.body)
    assert len(found.model_dump_json().encode()) < TURN_BYTES * 1.1
    assert found.exchanges[-1].user.startswith("39 ")
    assert len(found.exchanges) < 40


@pytest.mark.parametrize(
    ("environment", "hours"),
    [({}, 24), ({"PROSA_PROMPTS_KEPT_HOURS": 0}, 0), ({"PROSA_ENV": "production"}, 0)],
)
def test_production_keeps_no_prompts_unless_it_says_so(environment: dict[str, Any], hours: int) -> None:
    production = {"ANTHROPIC_API_KEY": "k" * 20, "PROSA_CONSOLE_TOKEN": "t" * 20, "PROSA_ID_SALT": "s" * 20}
    assert Settings(**production, **environment).prompts_kept == timedelta(hours=hours)


async def test_an_administrator_reads_them_and_an_erasure_leaves_the_marker_nowhere(tmp_path: Path) -> None:
    roles = {"Ana": Role.OPERATE, "Rui": Role.ADMINISTER}
    keys = ",".join(f"{role}:{name}={name * 8}" for name, role in roles.items())
    settings = Settings(
        PROSA_DATA_DIR=tmp_path,
        PROSA_INSTITUTION=DOCUMENTS / "pyloto",
        PORT=0,
        PROSA_QUIET_WINDOW_S="0",
        PROSA_CONSOLE_TOKENS=SecretStr(keys),
    )
    assert all(isinstance(key, Key) for key in settings.console_keys)
    async with open_runtime(settings) as runtime:
        transport = httpx.ASGITransport(runtime.webhook)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await client.post("/chat/c/messages", json={"text": f"Vocês entregam em Campinas? {MARKER}", "id": "m"})
            store, events = runtime.backend.store, runtime.backend.events
            conversation = conversation_id("c")
            assert await wait_for_receipt(store.conversations, events, conversation, MessageId("m"), seconds=20)
            await runtime.queue.idle()

            async def page(name: str, path: str) -> httpx.Response:
                headers = {"Authorization": f"Bearer {name * 8}", "Accept": "text/html", "Accept-Language": "en"}
                return await client.get(path, headers=headers)

            address = "/console/conversations/web%3Ac"
            shown = await page("Rui", address)
            link = re.search(r'href="([^"]+/prompts\?turn=[^"]+)"', shown.text)
            assert link is not None
            assert "/prompts?turn=" not in (await page("Ana", address)).text
            assert (await page("Ana", link[1])).status_code == 403
            prompts = await page("Rui", link[1])
            assert prompts.status_code == 200
            assert MARKER in prompts.text
            # Instructions are rendered again, and the raw answer is JSON.
            assert "no longer those of this turn" not in prompts.text
            assert "&#34;next_state&#34;:" in prompts.text
            other = await page("Rui", link[1].replace("turn=web%3Ac", "turn=web%3Aother"))
            assert other.status_code == 404
        assert MARKER in everything_in(tmp_path)
        await privacy.erase(conversation, runtime.engine.operators)
        assert MARKER not in everything_in(tmp_path)


def everything_in(folder: Path) -> str:
    """Every row of every table of the SQLite files of a folder."""
    found = []
    for path in folder.glob("*.sqlite"):
        with sqlite3.connect(path) as database:
            found += list(database.iterdump())
    return "\n".join(found)
