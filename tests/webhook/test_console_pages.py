"""The console's pages over HTTP: lists, one conversation, the agents' actions, dead letters, flags and experiments."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr
from test_analyses import end
from webhook_bed import WebhookBed, assert_problem, webhook_bed

from adapters.channels.whatsapp import WhatsAppSettings
from adapters.http.access import Access
from adapters.http.listener import listen
from cli.serving import server_of
from cli.webhook_role import WhatsAppTemplates
from contracts.access import Key, Role
from contracts.conversation import Conversation, Handoff, Owner, Speaker, State, Utterance
from contracts.delivery import DeadLetter, TurnCommit
from contracts.media import ContentKind, MediaFault, ReadContent
from contracts.messages import Address, ChannelName, Template
from contracts.values import ConversationId
from flags.definitions import Flag, Status
from flags.store import FlagStore
from observability.exposition import batches_of
from observability.metrics import REGISTRY
from prompts.execution.batching import GroupedEmbedder
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import GraphBehaviour
from tests.builders import START, SteppingClock, inbound, pyloto
from tests.prompts_cache.hashed_embedder import HashedEmbedder

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
    assert await post(bed, f"{PAGE}/escalate", 303) == f"{PAGE}?was=escalate"
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
    assert shown.count("Sou a Bia") == 1
    assert "pending" in shown.partition("Sou a Bia")[2].partition("</li>")[0]
    assert await post(bed, f"{PAGE}/close", 303) == "/console?was=close"
    assert "closed" in await page(bed, PAGE)
    assert "This is not possible now." in await post(bed, f"{PAGE}/hand-back", 409)
    await post(bed, f"{PAGE}/reopen", 303)


async def test_a_review_is_processing_until_its_result_is_pushed(bed: WebhookBed) -> None:
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert "Processing" not in await page(bed, PAGE)
    await post(bed, f"{PAGE}/review", 303)
    assert "Processing the review…" in await page(bed, PAGE)
    portuguese = await bed.http.get(PAGE, headers=HTML | {"Accept-Language": "pt-BR"})
    assert "Processando a revisão…" in portuguese.text
    async with (
        server_of(bed.app).running(listen("127.0.0.1", 0)) as url,
        httpx.AsyncClient(base_url=url, timeout=30) as http,
        http.stream("GET", f"{PAGE}/live", headers=HTML) as stream,
    ):
        lines = stream.aiter_lines()
        await until(lines, "Processing the review…")
        result = {"answered": "partly", "sentiment": "neutral", "assessment": "Um <b>preço</b> faltou"}
        await end(bed, bed.queue.asked[-1], result=result | {"unresolved_needs": ["preço"], "taxonomy_gaps": []})
        await until(lines, "Um &lt;b&gt;preço&lt;/b&gt; faltou")
    shown = await page(bed, PAGE)
    for words in ("Partly answered", "Unresolved: preço"):
        assert words in shown
    assert "Processing" not in shown


async def until(lines: AsyncIterator[str], words: str) -> None:
    async with asyncio.timeout(20):
        async for line in lines:
            if words in line:
                return
    raise AssertionError(f"the stream ended without {words}")


async def test_batches_and_hits_of_the_process_are_on_the_page_of_the_cache(bed: WebhookBed) -> None:
    grouped = GroupedEmbedder(HashedEmbedder())
    await grouped.embed(["oi", "bom dia"])
    await grouped.close()
    found = batches_of(REGISTRY.collect())["embedding"]
    row = (await page(bed, "/console/cache")).partition("<td>embedding</td>")[2].partition("</tr>")[0]
    cells = row.replace("<td>", "").split("</td>")
    assert cells[:3] == [f"{found[name]:.4g}" for name in ("total", "batches", "average_size")]
    assert cells[6] == f"{found['efficiency']:.0%}".replace("%", " %")


async def test_what_was_read_in_a_file_is_shown_as_such(bed: WebhookBed) -> None:
    contents = (
        ReadContent(kind=ContentKind.HEARD, text="Quero ajuda", confidence=0.62),
        ReadContent(kind=ContentKind.SEEN, text="Uma <b>caixa</b>"),
        ReadContent(kind=ContentKind.SEEN, refused=MediaFault.PROTECTED),
    )
    said = [Utterance(speaker=Speaker.PERSON, text="…", content=content, at=START) for content in contents]
    head = Conversation(id=C1, turns=1, created_at=START, updated_at=START)
    await bed.store.conversations.commit(TurnCommit(conversation=head, utterances=tuple(said)))
    shown = await page(bed, PAGE)
    for words in ("Heard, may be wrong (62 %)", "saw: Uma &lt;b&gt;caixa&lt;/b&gt;", "not opened (protected)"):
        assert words in shown


async def test_what_cannot_be_done_is_said(bed: WebhookBed) -> None:
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert_problem(await bed.http.post(f"{PAGE}/reply", data={"text": " "}), 422)
    assert_problem(await bed.http.post(f"{PAGE}/sing", data={}), 404)
    assert_problem(await bed.http.post(f"{PAGE}/close", data={}, headers={"Origin": "https://evil.example"}), 403)
    assert "Nothing has been answered under that id yet." in await page(bed, "/console/conversations/web%3Ano", 404)
    bed.store.is_down = True
    assert "Try again in a moment." in await page(bed, PAGE, 503)


async def test_a_shut_window_takes_a_template_and_keeps_what_was_written(bed: WebhookBed) -> None:
    """WhatsApp's window is shut a day after the person's last message."""
    head = Conversation(
        id=ConversationId("whatsapp:1:5511987654321"),
        address=Address(channel=ChannelName.WHATSAPP, account="1", person="5511987654321"),
        state=State.ESCALATING,
        turns=1,
        updated_at=START,
        last_inbound_at=bed.clock.now() - timedelta(hours=25),
    )
    await bed.store.conversations.commit(TurnCommit(conversation=head))
    address = "/console/conversations/whatsapp%3A1%3A5511987654321"
    assert 'name="template"' in await page(bed, address)
    assert 'name="language"' in await page(bed, address)
    refused = await post(bed, f"{address}/reply", 409, text="Ainda <quer>?")
    assert "only an approved template can be sent" in refused
    assert "Ainda &lt;quer&gt;?</textarea>" in refused
    await post(bed, f"{address}/reply", 303, template="lembrete", language="pt_BR", parameters="Ana\n\namanhã")
    (row,) = await bed.store.outbox.rows(head.id)
    assert row.message.template == Template(name="lembrete", language="pt_BR", parameters=("Ana", "amanhã"))


async def test_approved_templates_are_chosen_from_a_list_and_a_hand_off_is_summed_up(tmp_path: Path) -> None:
    app = create_app(SandboxSettings(institution=pyloto()))
    listed = [{"name": "back", "language": "pt_BR", "category": "UTILITY", "status": "APPROVED", "components": []}]
    app.state.graph.behave(GraphBehaviour(templates=[*listed, listed[0] | {"name": "old", "status": "PAUSED"}]))
    given = {"WHATSAPP_ACCESS_TOKEN": "t", "WHATSAPP_PHONE_NUMBER_ID": "1", "WHATSAPP_APP_SECRET": "sandbox"}
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        settings = WhatsAppSettings(WHATSAPP_VERIFY_TOKEN="v", WHATSAPP_API_URL=f"{url}/graph/v26.0", **given)
        templates = WhatsAppTemplates(settings, SteppingClock())
        async with webhook_bed("memory", tmp_path, templates=templates) as bed:
            await bed.store.institutions.publish(pyloto(), at=START)
            head = Conversation(
                id=ConversationId("wa:1"),
                address=Address(channel=ChannelName.WHATSAPP, account="1", person="5511987654321"),
                state=State.ESCALATING,
                handoff=Handoff(reason="operator", at=START),
                turns=1,
                fields={"company": "Padaria <Sol>"},
                window=(Utterance(speaker="person", text="Quanto custa?", at=START),),
                last_inbound_at=bed.clock.now() - timedelta(hours=25),
            )
            await bed.store.conversations.commit(TurnCommit(conversation=head))
            shown = await page(bed, "/console/conversations/wa%3A1")
            assert '<option value="back|pt_BR">' in shown
            assert "old|" not in shown
            brief = shown.partition('aria-label="Hand-off"')[2].partition("</section>")[0]
            assert "Padaria &lt;Sol&gt;" in brief
            assert "Open question: Quanto custa?" in brief
            await post(bed, "/console/conversations/wa%3A1/reply", 303, template="back|pt_BR")
            (row,) = await bed.store.outbox.rows(head.id)
            assert row.message.template == Template(name="back", language="pt_BR")


async def test_where_no_template_can_be_sent_the_page_says_so(bed: WebhookBed) -> None:
    """Messenger takes an agent's messages for seven days, and has no templates."""
    head = Conversation(
        id=ConversationId("messenger:1"),
        address=Address(channel=ChannelName.MESSENGER, account="1", person="77"),
        state=State.ESCALATING,
        turns=1,
        updated_at=START,
        last_inbound_at=bed.clock.now() - timedelta(days=6),
    )
    await bed.store.conversations.commit(TurnCommit(conversation=head))
    assert 'maxlength="2000"' in await page(bed, "/console/conversations/messenger%3A1")
    bed.clock.move(timedelta(days=2))
    shown = await page(bed, "/console/conversations/messenger%3A1")
    assert "this channel has no templates" in shown
    assert 'name="template"' not in shown


async def test_a_colleague_s_conversation_says_whose_it_is_and_can_be_taken(tmp_path: Path) -> None:
    ana, bia = (Key(role=Role.OPERATE, name=name, token=SecretStr(name)) for name in ("Ana", "Bia"))
    async with webhook_bed("memory", tmp_path, access=Access((ana, bia))) as bed:
        await bed.write("Olá", id="m-1")
        await bed.reply("Pois não")
        bed.http.headers["authorization"] = "Bearer Ana"
        await post(bed, f"{PAGE}/take", 303)
        assert f'action="{PAGE}/take"' not in await page(bed, PAGE)
        bed.http.headers["authorization"] = "Bearer Bia"
        shown = await page(bed, PAGE)
        assert "Ana has this conversation" in shown
        assert f'action="{PAGE}/take"' in shown
        # A session that ended opens no window of the browser over the page, and leads the live part nowhere.
        del bed.http.headers["authorization"]
        live = await bed.http.get(f"{PAGE}/live", headers={"Accept": "text/html, text/event-stream"})
        acted = await bed.http.post(f"{PAGE}/take", headers=HTML)
        for answer in (live, acted):
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert "Log in again" in acted.text


async def test_search_pages_by_cursor(bed: WebhookBed) -> None:
    await bed.write("Olá", id="m-1")
    await bed.reply("Pois não")
    assert PAGE in await page(bed, "/console/conversations?text=pois&state=&channel=web&from=&to=")
    assert "Nothing found" in await page(bed, "/console/conversations?text=submarino")
    assert_problem(await bed.http.get("/console/conversations?cursor=none"), 422)


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
    assert_problem(await bed.http.get("/console/flags/none"), 404)


async def test_experiments_without_one(bed: WebhookBed) -> None:
    assert "No experiments" in await page(bed, "/console/experiments")
    assert_problem(await bed.http.get("/console/experiments/none"), 404)


async def test_a_reader_sees_everything_and_may_do_nothing(tmp_path: Path) -> None:
    look, work = (Key(role=role, name=role, token=SecretStr(role)) for role in (Role.READ, Role.OPERATE))
    async with webhook_bed("memory", tmp_path, access=Access((look, work))) as bed:
        await bed.write("Olá", id="m-1")
        await bed.reply("Pois não")
        bed.http.headers["authorization"] = "Bearer read"
        assert "Pois não" in (shown := await page(bed, PAGE))
        assert "<form" not in shown.partition("<main")[2].partition("</main>")[0]
        assert "This needs the role operate" in await post(bed, f"{PAGE}/take", 403)
        bed.http.headers["authorization"] = "Bearer operate"
        assert f'action="{PAGE}/take"' in await page(bed, PAGE)
        assert "This needs the role administer" in await post(bed, "/console/flags/judge.tone", 403, reason="x")
