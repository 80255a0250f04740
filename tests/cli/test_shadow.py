"""`prosa shadow`: live turns through a candidate too; nothing is sent, nothing but counts is written."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from adapters.channels.whatsapp import SANDBOX_PHONE_NUMBER_ID
from cli.comparing import Kind
from cli.runtime import Runtime, open_runtime
from cli.sandboxed import SANDBOX_SECRET
from cli.settings import read_settings
from cli.shadow import COLLECTION, QUIET, Shadow, open_shadow
from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.candidates import REGRESSIONS
from tests.playing import play

COMPLAINT = "quero reclamar, veio quebrado"
LATER = QUIET + timedelta(minutes=1)
Open = Callable[..., AbstractAsyncContextManager[Shadow]]


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    given = {"PROSA_DATA_DIR": str(tmp_path / "live"), "PORT": "0", "PROSA_QUIET_WINDOW_S": "0"}
    async with open_runtime(read_settings(given, env_file=None)) as runtime:
        yield runtime


@pytest.fixture
def opened(runtime: Runtime, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_it(folder: Path, *, share: float = 1, budget: str = "5") -> AsyncIterator[Shadow]:
        given = {"PROSA_DATA_DIR": str(tmp_path / "live"), "PROSA_BUDGET_DAY_USD": "100"}
        settings = read_settings(given, env_file=None)
        async with open_shadow(settings, folder, share=share, budget=Decimal(budget)) as shadow:
            # What was said before the first look is passed over.
            assert (await shadow.run_once(datetime.now(UTC))).turns == 0
            yield shadow

    return open_it


async def talk(runtime: Runtime) -> None:
    await play(runtime, "ana", ["preciso de um técnico", "meu nome é Ana", "qual o telefone de vocês?"])
    await play(runtime, "rui", [COMPLAINT])
    transport = httpx.ASGITransport(runtime.webhook)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        event = inbound_text("5511987654321", "Oi, bom dia", phone_number_id=SANDBOX_PHONE_NUMBER_ID)
        body, headers = signed(envelope(event), SANDBOX_SECRET)
        assert (await client.post("/webhooks/whatsapp", content=body, headers=headers)).status_code == 200
    await runtime.queue.idle()


def kept(runtime: Runtime) -> tuple[set[str], set[str]]:
    """Everything in the live store but small records, and the collections of those."""
    with sqlite3.connect(runtime.settings.store_path) as database:
        rows = {line for line in database.iterdump() if not line.startswith('INSERT INTO "records"')}
        return rows, {name for (name,) in database.execute("SELECT DISTINCT collection FROM records")}


@pytest.fixture
def same(tmp_path: Path) -> Path:
    folder = tmp_path / "same"
    folder.mkdir()
    (folder / ".env").write_text("PROSA_REVIEW_COMPLETED=true\n")
    return folder


async def test_a_candidate_that_changes_nothing_differs_in_nothing(runtime: Runtime, opened: Open, same: Path) -> None:
    async with opened(same) as shadow:
        await talk(runtime)
        before, _ = kept(runtime)
        tally = await shadow.run_once(datetime.now(UTC) + LATER)
        after, collections = kept(runtime)
        assert (tally.conversations, tally.turns, tally.counts) == (3, 5, {})
        assert tally.tokens_before == tally.tokens_after > 0
        assert after == before
        assert COLLECTION in collections
        # It counts against the ceiling of the day, and each turn once.
        assert Decimal(0) < shadow.spending.spent == sum(map(Decimal, tally.spent_usd.values()))
        assert (await shadow.run_once(datetime.now(UTC) + 2 * LATER)).turns == 5
        record = await shadow.live.store.records.get(COLLECTION, "same", at=datetime.now(UTC))
        assert record is not None
        assert not any(word in record.model_dump_json() for word in ("Ana", "ana", "5511987654321", "quebrado"))
    assert "Within the limits" in await page(runtime, "en")


async def page(runtime: Runtime, language: str) -> str:
    transport, wanted = httpx.ASGITransport(runtime.webhook), {"accept": "text/html", "accept-language": language}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get("/console/shadow", headers=wanted)).raise_for_status().text


async def test_differences_are_counted_by_kind(runtime: Runtime, opened: Open, tmp_path: Path) -> None:
    (forgetful,) = [one for one in REGRESSIONS if one.name == "forgets an escalation"]
    async with forgetful.written(tmp_path / "forgetful") as folder, opened(folder) as shadow:
        await talk(runtime)
        tally = await shadow.run_once(datetime.now(UTC) + LATER)
    assert tally.turns == 5
    assert (tally.counts[Kind.ESCALATION], tally.counts[Kind.STATE]) == (1, 1)
    assert Kind.ESCALATION in tally.blocked
    assert Kind.TEXT not in tally.blocked
    english, portuguese = [await page(runtime, language) for language in ("en", "pt")]
    for shown, words in (
        (english, ("forgetful", "Beyond the limits:", "Turns compared", "escalation")),
        (portuguese, ("forgetful", "Além dos limites:", "Turnos comparados", "passagem para uma pessoa")),
    ):
        assert all(word in shown for word in words)
        assert '<a href="/console/shadow" aria-current="page">' in shown
        assert f"{tally.counts[Kind.ESCALATION] / tally.turns * 100:.1f} %" in shown
        assert COMPLAINT not in shown


@pytest.mark.parametrize("limit", [{"share": 0.0}, {"budget": "0"}])
async def test_only_a_share_is_repeated_and_never_beyond_the_budget(
    runtime: Runtime, opened: Open, same: Path, limit: dict[str, object]
) -> None:
    async with opened(same, **limit) as shadow:
        await talk(runtime)
        tally = await shadow.run_once(datetime.now(UTC) + LATER)
        assert (tally.turns, shadow.spending.spent) == (0, 0)


async def test_what_an_agent_took_part_in_is_repeated_up_to_there(runtime: Runtime, opened: Open, same: Path) -> None:
    async with opened(same) as shadow:
        (turn,) = await play(runtime, "rui", [COMPLAINT])
        await runtime.engine.operators.agents.reply(
            turn.conversation_id, turn.replies[0], agent="ana", request_id="r-1"
        )
        await play(runtime, "rui", ["ainda está aí?"])
        assert (await shadow.run_once(datetime.now(UTC) + LATER)).turns == 1
