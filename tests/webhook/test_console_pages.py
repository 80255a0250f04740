"""The console's pages over HTTP: lists, one conversation, the agents' actions, dead letters, flags and experiments."""

from datetime import UTC, datetime

from webhook_bed import WebhookBed, assert_problem

from contracts.conversation import Owner
from contracts.delivery import DeadLetter
from contracts.values import ConversationId
from flags.definitions import Flag, Status
from flags.store import FlagStore
from tests.builders import START, inbound

HTML = {"Accept": "text/html", "Accept-Language": "en"}
C1 = ConversationId("web:c-1")
PAGE = "/console/conversations/web%3Ac-1"


async def page(bed: WebhookBed, path: str, status: int = 200) -> str:
    answer = await bed.http.get(path, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer.text


async def post(bed: WebhookBed, path: str, code: int, /, **given: str) -> str:
    answer = await bed.http.post(path, data=given, headers=HTML)
    assert answer.status_code == code, answer.text
    return answer.headers.get("location", answer.text)


async def test_a_conversation_goes_through_an_agent_s_hands(bed: WebhookBed) -> None:
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert "Nobody is waiting" in await page(bed, "/console")
    assert await post(bed, f"{PAGE}/escalate", 303) == PAGE
    assert 'href="/console/conversations/web%3Ac-1"' in await page(bed, "/console")
    await post(bed, f"{PAGE}/take", 303)
    head = await bed.store.conversations.load(C1)
    assert head is not None
    assert head.owner is Owner.AGENT
    assert head.agent
    assert "Nobody is waiting" in await page(bed, "/console")
    assert head.agent in await page(bed, "/console?owner=agent")
    await post(bed, f"{PAGE}/note", 303, text="liga de novo <b>amanhã</b>", request_id="n-1")
    for _ in range(2):
        await post(bed, f"{PAGE}/reply", 303, text="Sou a Bia", request_id="r-1")
    assert [row.message.text for row in await bed.store.outbox.rows(C1)].count("Sou a Bia") == 1
    shown = await page(bed, PAGE)
    assert "liga de novo &lt;b&gt;amanhã&lt;/b&gt;" in shown
    assert "Sou a Bia" in shown
    assert await post(bed, f"{PAGE}/close", 303) == "/console?was=close"
    assert "closed" in await page(bed, PAGE)
    assert "This is not possible now." in await post(bed, f"{PAGE}/hand-back", 409)
    await post(bed, f"{PAGE}/reopen", 303)


async def test_what_an_agent_wrote_survives_a_refusal(bed: WebhookBed) -> None:
    """WhatsApp takes a template only, a day after the person's last message."""
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert_problem(await bed.http.post(f"{PAGE}/reply", data={"text": " "}), 422)
    assert_problem(await bed.http.post(f"{PAGE}/sing", data={}), 404)
    assert_problem(await bed.http.post(f"{PAGE}/close", data={}, headers={"Origin": "https://evil.example"}), 403)
    assert_problem(await bed.http.get("/console/conversations/web%3Anobody", headers=HTML), 404)


async def test_search_pages_by_cursor(bed: WebhookBed) -> None:
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert PAGE in await page(bed, "/console/conversations?text=pois&state=&channel=web&from=&to=")
    assert "Nothing found" in await page(bed, "/console/conversations?text=submarino")
    assert_problem(await bed.http.get("/console/conversations?cursor=none", headers=HTML), 422)


async def test_a_dead_letter_goes_back(bed: WebhookBed) -> None:
    letter = DeadLetter(
        id="l-1",
        conversation_id=C1,
        message_id=None,
        channel="web",
        reason="<poison>",
        attempts=3,
        message=inbound("de novo"),
        at=START,
    )
    await bed.store.dead_letters.add(letter)
    assert "&lt;poison&gt;" in await page(bed, "/console/dead-letters")
    await post(bed, "/console/dead-letters/l-1/retry", 303)
    assert bed.queue.woken == [letter.message.conversation_id]  # type: ignore[union-attr]
    assert "No dead letters" in await page(bed, "/console/dead-letters")
    assert_problem(await bed.http.post("/console/dead-letters/l-1/retry"), 404)


async def test_a_flag_changes_with_a_reason_and_goes_back(bed: WebhookBed) -> None:
    flags = FlagStore(bed.store.records, bed.events, bed.clock)  # type: ignore[arg-type]
    flag = Flag(key="judge.tone", owner="bia", expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    await flags.put(flag, author="ana", reason="begin", expected=0)
    assert "judge.tone" in await page(bed, "/console/flags")
    change = {"status": "enabled", "percentage": "", "revision": "1"}
    assert "String should have at least 1 character" in await post(bed, "/console/flags/judge.tone", 409, **change)
    await post(bed, "/console/flags/judge.tone", 303, reason="to all <b>", **change)
    assert "to all &lt;b&gt;" in await page(bed, "/console/flags/judge.tone")
    assert "revision" in await post(bed, "/console/flags/judge.tone", 409, reason="late", **change)
    await post(bed, "/console/flags/judge.tone", 303, reason="back", revision="2", restore="1")
    newest = await flags.newest("judge.tone")
    assert newest is not None
    assert newest.flag is not None
    assert (newest.revision, newest.restores, newest.flag.status) == (3, 1, Status.DISABLED)
    assert_problem(await bed.http.get("/console/flags/none", headers=HTML), 404)


async def test_experiments_without_one(bed: WebhookBed) -> None:
    assert "No experiments" in await page(bed, "/console/experiments")
    assert_problem(await bed.http.get("/console/experiments/none", headers=HTML), 404)
