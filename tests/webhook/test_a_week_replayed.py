"""Seven days without Prosa: three platforms repeat all that people wrote, and each person is one matter."""

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from webhook_bed import HOOK, SECRET, WebhookBed, webhook_bed, whatsapp

from adapters.channels.messenger.inbound import MessengerInbound
from adapters.channels.telegram.inbound import TelegramInbound
from adapters.channels.web import LIMITS
from contracts.analysis import AnalysisKind
from contracts.conversation import Conversation, State
from contracts.institution import FixedText
from contracts.messages import ChannelName
from contracts.turn import TurnReason
from sandbox.whatsapp_webhooks import Change, envelope, inbound_text, sign, status, to_bytes
from tests.builders import EngineBed, RecordingChannel, engine_bed, pyloto
from worker.analyses.processing import desk_of
from worker.drain import drain
from worker.scheduling.quiet import QuietWindows
from worker.sweeper import sweep

PEOPLE, WEEK = 300, timedelta(days=7)
WORDS = {
    "pt": ("Oi", "bom dia", "que horas abre?", "vocês entregam em Valinhos?", "alguém?", "deixa, já resolvi"),
    "en": ("Hi", "good morning", "what time do you open?", "do you deliver in Valinhos?", "anyone?", "hello?"),
}
LATE = {
    institution.text(which)
    for institution in (pyloto(), pyloto().translated["en"])
    for which in (FixedText.DELAYED, FixedText.ESCALATED)
}
MESSENGER, TELEGRAM = "/webhooks/messenger", "/webhooks/telegram"


@dataclass(frozen=True)
class Written:
    person: str
    platform: ChannelName
    text: str
    at: datetime


class Awake:
    """The worker's side: it drains whom the webhook and the sweep have woken."""

    def __init__(self, bed: WebhookBed) -> None:
        self.bed = bed
        self.channel = RecordingChannel(limits=LIMITS)
        names = (ChannelName.WHATSAPP, ChannelName.MESSENGER, ChannelName.TELEGRAM)
        self.engine: EngineBed = engine_bed(
            bed.inbox,  # type: ignore[arg-type]
            bed.store,  # type: ignore[arg-type]
            clock=bed.clock,
            channel=self.channel,
            channels=dict.fromkeys(names, self.channel),
            quiet=QuietWindows(timedelta(seconds=8)),
        )

    async def wake(self, conversation_id: Any) -> None:
        await drain(conversation_id, self.engine.engine.drain)

    async def analyse(self, key: str) -> None:
        """The summary is asked for in the store; it is not written here."""

    async def work(self, seconds: float) -> None:
        self.bed.clock.move(timedelta(seconds=seconds))
        await sweep(self, self.engine.engine.sweep)


@pytest.fixture
async def awake(tmp_path: Path) -> AsyncIterator[Awake]:
    secrets = {"app_secret": SECRET, "verify_token": "verify"}
    inbound = {
        **whatsapp(),
        ChannelName.MESSENGER: MessengerInbound(ChannelName.MESSENGER, id_salt="salt", **secrets),
        ChannelName.TELEGRAM: TelegramInbound(SECRET, bot="1", id_salt="salt"),
    }
    async with webhook_bed("sqlite", tmp_path, inbound=inbound) as bed:
        yield Awake(bed)


def a_week_of_messages(chance: random.Random, back_at: datetime) -> list[Written]:
    """Each person writes once or a few times, over minutes or days, some of them a word of consent last."""
    platforms = (ChannelName.WHATSAPP, ChannelName.WHATSAPP, ChannelName.MESSENGER, ChannelName.TELEGRAM)
    written = []
    for number in range(PEOPLE):
        words = WORDS["en" if number % 5 == 0 else "pt"]
        at = back_at - WEEK * chance.random()
        for text in chance.sample(words, chance.randint(1, 6)):
            written.append(Written(f"55119{number:08}", platforms[number % 4], text, at))
            at = min(at + timedelta(seconds=chance.choice((2, 40, 3_000, 40_000))), back_at - timedelta(seconds=2))
        if number % 10 == 0:
            consent = ("sair", "voltar") if number % 20 else ("voltar", "sair")
            written += [Written(written[-1].person, written[-1].platform, text, at) for text in consent[:1]]
            written.append(Written(written[-1].person, written[-1].platform, consent[1], at + timedelta(seconds=1)))
    return written


def posts_of(written: Sequence[Written], chance: random.Random) -> list[tuple[str, bytes, dict[str, str]]]:
    """Return what the platforms repeat: in no order, several messages in one post where they do that, some twice."""
    posts = []
    by_platform = defaultdict[ChannelName, list[Written]](list)
    for one in chance.sample(written, len(written)) + chance.sample(written, len(written) // 10):
        by_platform[one.platform].append(one)
    # Telegram keeps the order of its updates.
    for number, one in enumerate(sorted(by_platform[ChannelName.TELEGRAM], key=lambda one: one.at)):
        chat = {"id": int(one.person), "type": "private", "first_name": "Ana"}
        known = {"message_id": abs(hash((one.text, one.at))) % 10**9, "date": int(one.at.timestamp())}
        update = {"update_id": number, "message": {**known, "chat": chat, "from": chat, "text": one.text}}
        posts.append((TELEGRAM, orjson.dumps(update), {"x-telegram-bot-api-secret-token": SECRET}))
    messenger = [
        {
            "sender": {"id": one.person},
            "recipient": {"id": "page"},
            "timestamp": int(one.at.timestamp() * 1000),
            "message": {"mid": f"mid.{one.person}.{one.text}.{one.at.timestamp()}", "text": one.text},
        }
        for one in by_platform[ChannelName.MESSENGER]
    ]
    for start in range(0, len(messenger), 20):
        entry = {"id": "page", "time": 1, "messaging": messenger[start : start + 20]}
        body = orjson.dumps({"object": "page", "entry": [entry]})
        posts.append((MESSENGER, body, {"x-hub-signature-256": sign(body, SECRET)}))
    changes: list[Change] = []
    for one in by_platform[ChannelName.WHATSAPP]:
        key, seconds = f"wamid.{one.person}.{one.text}.{one.at.timestamp()}", int(one.at.timestamp())
        changes.append(inbound_text(one.person, one.text, id=key, timestamp=seconds))
        if chance.random() < 0.3:
            changes.append(status(f"wamid.ours.{one.person}", "delivered", one.person))
    for start in range(0, len(changes), 50):
        body = to_bytes(envelope(*changes[start : start + 50]))
        posts.append((HOOK, body, {"x-hub-signature-256": sign(body, SECRET)}))
    in_order = iter([post for post in posts if post[0] == TELEGRAM])
    return [next(in_order) if post[0] == TELEGRAM else post for post in chance.sample(posts, len(posts))]


async def heads_by_person(awake: Awake) -> dict[str, Conversation]:
    heads, cursor = list[Conversation](), None
    while True:
        page = await awake.bed.store.conversations.find(limit=500, cursor=cursor)
        heads += page.items
        if (cursor := page.next_cursor) is None:
            return {head.address.person: head for head in heads if head.address}


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_week_of_messages_comes_at_once(awake: Awake, seed: int) -> None:
    chance = random.Random(seed)
    back_at = awake.bed.clock.now() + WEEK
    written = a_week_of_messages(chance, back_at)
    awake.bed.clock.at = back_at
    for path, body, headers in posts_of(written, chance):
        assert (await awake.bed.http.post(path, content=body, headers=headers)).status_code == 200
        await awake.work(seconds=chance.choice((0.02, 0.1, 0.5)))
    for _ in range(60):
        await awake.work(seconds=2)

    assert await awake.bed.inbox.depth() == 0
    of_person, said = defaultdict[str, list[Written]](list), defaultdict[str, list[str]](list)
    for one in sorted(written, key=lambda one: one.at):
        of_person[one.person].append(one)
    for row in awake.channel.accepted:
        said[row.address.person].append(row.message.text)
        since = row.created_at - max(one.at for one in of_person[row.address.person])
        assert since < timedelta(hours=24), "a free text outside the window"
    assert max(len(texts) for texts in said.values()) <= 4, "a word about the delay, and three answers"

    heads, reasons = await heads_by_person(awake), Counter[str]()
    assert set(heads) == set(of_person)
    desk = desk_of(awake.engine.engine.sweep.analyses)
    for person, messages in of_person.items():
        age, head = back_at - messages[-1].at, heads[person]
        of_turns = Counter(turn.reason for turn in await awake.bed.store.conversations.turns(head.id))
        reasons += of_turns
        assert len(await awake.bed.store.conversations.receipts(head.id)) == len(messages)
        summary = await desk.newest(head.id, AnalysisKind.HANDOFF_SUMMARY)
        assert (summary is not None) == (of_turns[TurnReason.OLD] > 0)
        assert of_turns[TurnReason.OLD] <= 1, "more than one matter"
        if messages[-1].text in ("sair", "voltar"):
            assert head.opted_out == (messages[-1].text == "sair"), "the order of their writing counts"
        elif age >= timedelta(hours=6):
            assert set(said[person]) <= LATE, "a greeting, or an answer of the model"
            assert len(said[person]) == len(set(said[person]))
            if age < timedelta(days=3):
                assert head.state is State.ESCALATING
    assert {TurnReason.TOO_OLD, TurnReason.OLD, TurnReason.DECIDED, TurnReason.OPTED_OUT} <= set(reasons)
    assert len(awake.engine.model.requests) <= 4 * reasons[TurnReason.DECIDED], "old messages cost no call"
