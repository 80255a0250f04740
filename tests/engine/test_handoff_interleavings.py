"""Invariants of the hand-off over seeded interleavings of people, agents, platforms, crashes and erasures.

On each store, and with the real senders of each platform over HTTP. `HANDOFF_INTERLEAVINGS=10000` runs as many,
`5000:10000` those of these seeds.
"""

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.channels.registry import PLATFORMS
from adapters.channels.sending import HttpChannel
from adapters.channels.slack.outbound import SlackChannel
from adapters.http.listener import listen
from adapters.memory.events import MemoryEvents
from cli.serving import server_of
from contracts.conversation import Conversation, Owner, Speaker, State, Trigger
from contracts.delivery import OutboxRow
from contracts.errors import (
    ChannelUnavailableError,
    ConversationConflictError,
    IllegalTransitionError,
    ReplyWindowClosedError,
    SendOutcomeUnknownError,
)
from contracts.messages import Address, ChannelName, DeliveryState, InboundMessage, OutboundMessage
from contracts.notices import NoticeEvent, NoticeMessage, NoticeTarget
from contracts.ports import ModelRequest, SentLookup
from contracts.settings import Settings
from fsm.table import MOVES
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import GraphBehaviour, ScriptedSend, SendFault
from sandbox.graph_api import GraphSandbox
from sandbox.platform_double import PlatformDouble
from tests.builders import (
    CrashAt,
    CrashError,
    EngineBed,
    RecordingChannel,
    agreeable,
    conversation_id,
    decision,
    engine_bed,
    inbound,
    open_backend,
    pyloto,
)
from tests.scripted import ScriptedModel
from worker.drain import drain
from worker.outbox import flush
from worker.people.notices import NoticeDelivery, Notices
from worker.people.privacy import erase
from worker.sweeper import tend

INTERLEAVINGS = {("sqlite", "web"): 60, ("redis", "web"): 15, ("firestore", "web"): 5}
PLATFORMS_OVER_HTTP = ("whatsapp", "telegram", "slack", "messenger", "instagram", "chatwoot")
INTERLEAVINGS |= {("memory", name): 15 for name in PLATFORMS_OVER_HTTP}
# Each has a database of Redis or a project of the emulator of its own.
AT_ONCE = {"redis": 8, "firestore": 4}
CHOSEN = os.environ.get("HANDOFF_INTERLEAVINGS")
STEPS = 24
C1 = conversation_id()
CRASHES = [
    *("drain.claimed", "drain.taken", "turn.thought", "turn.before_commit", "turn.committed", "outbox.sending"),
    *("outbox.accepted", "outbox.marked", "drain.flushed", "drain.releasing", "notice.claimed", "notice.accepted"),
    "erase.inbox_gone",
]
MOMENTS = ("turn.thought", "turn.before_commit", "turn.committed", "outbox.sending", "outbox.accepted")
LEGAL = {(move.source, move.trigger, move.dest) for move in MOVES}
NOTE = "nota-secreta"


class Checking(CrashAt):
    """Faults that look at the invariants at every point that is passed."""

    check: Callable[[], Awaitable[None]] | None = None

    async def reach(self, point: str) -> None:
        if self.check is not None:
            await self.check()
        await super().reach(point)


class OverHttp(RecordingChannel):
    """The sender of a platform, which speaks to its double, with a record of what the double accepted."""

    def __init__(self, sender: HttpChannel, double: PlatformDouble | GraphSandbox) -> None:
        super().__init__(name=sender.name, limits=sender.limits, reply_window=sender.reply_window)
        self.send_timeout, self.settle_after = sender.send_timeout, sender.settle_after
        self.is_watched, self.shows_forming_text = sender.is_watched, sender.shows_forming_text
        self.sender, self.double = sender, double

    async def send(self, row: OutboxRow) -> str:
        script = [ScriptedSend(fault=SendFault.CUT_AFTER_ACCEPTING)] if self.errors_after_accepting else []
        if self.next_errors:
            self.next_errors.pop(0)
            script = [ScriptedSend(fault=SendFault.UNAVAILABLE)]
        elif script:
            self.errors_after_accepting.pop(0)
        self.double.behave(GraphBehaviour(script=tuple(script)))
        before = len(self.double.messages)
        try:
            return await self.sender.send(row)
        finally:
            if len(self.double.messages) > before:
                self.accepted.append(row)


class OverSlack(OverHttp):
    """The same, where what was sent can be looked up."""

    sender: SlackChannel

    async def find_sent(self, row: OutboxRow) -> str | None:
        return await self.sender.find_sent(row)


@asynccontextmanager
async def channel_of(name: str) -> AsyncIterator[RecordingChannel]:
    if name == "web":
        yield RecordingChannel()
        return
    app = create_app(SandboxSettings(institution=pyloto()))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        double = app.state.graph if name == ChannelName.WHATSAPP else app.state.platforms[name]
        platform = PLATFORMS[ChannelName(name)]
        settings = Settings().model_copy(update={"channels": (platform.imitated(url, "token"),)})
        sender: Any = platform.channel(settings, MemoryEvents())
        channel = (OverSlack if isinstance(sender, SentLookup) else OverHttp)(sender, double)
        yield channel
        await sender.close()


class World:
    def __init__(self, seed: int, inbox: Any, store: Any, channel: RecordingChannel) -> None:
        self.chance = random.Random(seed)
        self.faults = Checking()
        self.bed: EngineBed = engine_bed(
            inbox,
            store,
            model=ScriptedModel(self.answer),
            channel=channel,
            channels={channel.name: channel},
            faults=self.faults,
            notices=Notices(frozenset({NoticeTarget.SLACK}), frozenset(NoticeEvent)),
        )
        self.faults.check = self.check
        self.team = self.bed.engine.operators.agents
        self.told: list[NoticeMessage] = []
        self.notices = NoticeDelivery(
            store, pyloto, self.bed.clock, self.faults, self.chance.random, {NoticeTarget.SLACK: self.tell}
        )
        self.doubtful = 0
        self.told_twice = 0
        self.number = 0
        self.withdrawn: dict[str, int] = {}
        self.erased_at = 0
        self.replied: dict[str, str] = {}

    async def answer(self, request: ModelRequest) -> str:
        # 7. No prompt holds a note.
        assert NOTE not in request.user
        wants_agent = request.schema_name == "state_decision" and '"text":"pessoa' in request.user
        return decision(next_state="ESCALATING", intent="complaint") if wants_agent else await agreeable(request)

    async def tell(self, message: NoticeMessage) -> None:
        if self.chance.random() < 0.2:
            raise ChannelUnavailableError("503")
        self.told.append(message)

    def next(self) -> int:
        self.number += 1
        return self.number

    def written(self, text: str, **changes: Any) -> InboundMessage:
        # A number that WhatsApp takes is an id that the others take.
        address = Address(channel=self.bed.channel.name, account="1", person="5511987650007")
        return inbound(text, at=self.bed.clock.now(), address=address, **changes)

    # What happens

    async def message(self) -> None:
        text = self.chance.choice(["oi", "pessoa", "horário?", "parar", "voltar", "falar com o assistente", "oi"])
        self.bed.clock.move(timedelta(seconds=1))
        await self.bed.inbox.append([self.written(text)])

    async def echo(self) -> None:
        echoed = {"data": {"echo": "x"}, "recorded_only": True}
        await self.bed.inbox.append([self.written(f"do telefone {self.next()}", **echoed)])

    async def take(self) -> None:
        await self.moved(self.team.take(C1, agent=self.chance.choice(["ana", "rui"])))

    async def reply(self) -> None:
        request_id = f"r-{self.chance.randint(1, 4)}"
        message = OutboundMessage.of_text(f"resposta {request_id}")
        await self.moved(self.team.reply(C1, message, agent="ana", request_id=request_id))

    async def hand_back(self) -> None:
        await self.moved(self.team.hand_back(C1, agent="ana"))

    async def escalate(self) -> None:
        await self.moved(self.team.escalate(C1, agent="ana", reason="operator"))

    async def close(self) -> None:
        await self.moved(self.team.close(C1, agent="ana"))

    async def note(self) -> None:
        await self.moved(self.team.note(C1, NOTE, agent="ana", request_id=f"n-{self.chance.randint(1, 3)}"))

    async def moved(self, move: Awaitable[Conversation]) -> None:
        try:
            await move
        except (IllegalTransitionError, ReplyWindowClosedError, ConversationConflictError):
            return

    async def erase(self) -> None:
        if self.chance.random() < 0.3:
            await erase(C1, self.bed.engine.operators)
            self.erased_at = len(self.bed.channel.accepted)
            # 12. Nothing of before is left.
            assert await self.bed.store.conversations.transcript(C1) == []
            assert await self.bed.store.outbox.rows(C1) == []
            if isinstance(self.bed.channel, OverHttp):
                # Ids begin again after an erasure, and the double has no clock that tells the old ones apart.
                self.bed.channel.double.messages.clear()
            self.told.clear()
            self.withdrawn.clear()

    async def channel_unavailable(self) -> None:
        self.bed.channel.next_errors.append(ChannelUnavailableError("503"))

    async def answer_is_lost(self) -> None:
        self.bed.channel.errors_after_accepting.append(SendOutcomeUnknownError("cut"))
        self.doubtful += 1

    async def time_passes(self) -> None:
        self.bed.clock.move(self.chance.choice([timedelta(seconds=2), timedelta(minutes=3), timedelta(hours=13)]))

    async def drain(self) -> None:
        await drain(C1, self.bed.engine.drain)

    async def tend(self) -> None:
        await tend(self.bed.engine.sweep)

    async def send_notices(self) -> None:
        await self.notices.send_due()

    async def meanwhile(self) -> None:
        """Something happens at a moment inside a turn."""
        act = self.chance.choice(
            [self.take, self.reply, self.echo, self.hand_back, self.escalate, self.message, self.note]
        )
        self.faults.pausing[self.chance.choice(MOMENTS)] = act
        await self.message()
        await self.drain()
        self.faults.pausing.clear()

    async def crash(self) -> None:
        point = self.chance.choice(CRASHES)
        self.faults.armed = point
        told = len(self.told)
        try:
            await self.message()
            await self.drain()
            await self.notices.send_due()
        except CrashError:
            self.doubtful += point == "outbox.accepted"
        except BaseExceptionGroup as group:
            if not group.subgroup(CrashError):
                raise
            self.doubtful += point == "outbox.accepted"
            # The crash takes the other notices along that were accepted in this moment.
            self.told_twice += len(self.told) - told
        self.faults.armed = None
        self.bed.clock.move(timedelta(seconds=3))

    # What holds

    async def check(self) -> None:
        head = await self.bed.store.conversations.load(C1)
        rows = await self.bed.store.outbox.rows(C1)
        if head is None:
            return
        # 8. Owner, agent and hand-off agree with the state.
        assert (head.owner is Owner.ASSISTANT) is (head.state is not State.ESCALATING)
        assert (head.owner is Owner.AGENT) is (head.agent is not None)
        assert (head.handoff is None) is (head.owner is Owner.ASSISTANT)
        # 14. Nobody is given up while waiting.
        assert head.state is not State.FAILED
        # A bubble that the platform has accepted has left, whatever it reports later.
        unsent = [row for row in rows if row.is_unsent and row.author is None and not row.is_accepted]
        # 1. While an agent owns it, no reply of the assistant may leave.
        assert head.owner is not Owner.AGENT or unsent == []
        # 2. After an opt-out only its confirmation leaves.
        if head.opted_out:
            confirming = [turn.id for turn in await self.bed.store.conversations.turns(C1) if turn.reason == "opt_out"]
            assert {row.turn_id for row in unsent} <= set(confirming)
        # 3. What was withdrawn has not left since.
        accepted = Counter(row.id for row in self.bed.channel.accepted[self.erased_at :])
        for row_id, count in self.withdrawn.items():
            assert accepted[row_id] <= count
        for row in rows:
            if row.state is DeliveryState.WITHDRAWN:
                # One that is on its way cannot be called back.
                self.withdrawn.setdefault(row.id, accepted[row.id] + (row.attempts > 0))

    async def settle(self) -> None:
        self.bed.channel.next_errors.clear()
        self.bed.channel.errors_after_accepting.clear()
        for _ in range(8):
            self.bed.clock.move(timedelta(minutes=2))
            await self.drain()
            await flush(C1, self.bed.engine.outbox)
            await self.notices.send_due()

    async def check_end(self) -> None:
        await self.check()
        conversations = self.bed.store.conversations
        rows, said = await self.bed.store.outbox.rows(C1), await conversations.transcript(C1)
        # 5. Nothing is stuck.
        assert [row for row in rows if row.is_unsent] == []
        assert await self.bed.inbox.pending(C1) == []
        accepted: list[OutboxRow] = self.bed.channel.accepted[self.erased_at :]
        doubled = sum(count - 1 for count in Counter(row.id for row in accepted).values())
        # 4. Each reply leaves once, but for sends whose answer was lost where the platform does not show what it has.
        assert doubled <= (0 if isinstance(self.bed.channel, SentLookup) else self.doubtful)
        assert {row.id for row in rows if row.state is DeliveryState.SENT} <= {row.id for row in accepted}
        # 6. Each agent's reply is in the transcript once, with its author.
        by_agents = [row.message.text for row in rows if row.author]
        lines = [one.text for one in said if one.speaker is Speaker.OPERATOR and not one.text.startswith("do telefone")]
        assert Counter(by_agents) == Counter(lines)
        assert len(set(by_agents)) == len(by_agents)
        phone = Counter(one.text for one in said if one.text.startswith("do telefone"))
        assert all(count == 1 for count in phone.values())
        # 7. A note is in the transcript alone, once for each request.
        head = await conversations.load(C1)
        assert not any(NOTE in row.message.text for row in accepted)
        assert head is None or not any(NOTE in one.text for one in head.window)
        assert sum(1 for one in said if one.speaker is Speaker.NOTE) <= 3
        # 9. The history is a walk through the table; 14. a hand-off ends by hand-back or close alone.
        history = await conversations.transitions(C1)
        for before, record in zip([None, *history], history, strict=False):
            assert (record.source, record.trigger, record.dest) in LEGAL
            assert before is None or record.source in (before.dest, State.INIT)
            if record.source is State.ESCALATING is not record.dest:
                assert record.trigger in (Trigger.HAND_BACK, Trigger.CONCLUDE)
        # 10. Each hand-off is told, once but for a crash behind the receiver's answer.
        began = sum(
            1 for one in history if one.dest is State.ESCALATING is not one.source and one.trigger is not Trigger.TAKE
        )
        first = Counter(one.id for one in self.told if one.content["number"] == 1)
        assert len(first) == began
        assert first.total() - len(first) <= self.told_twice
        # 13. Each message is in one turn.
        messages = [message for turn in await conversations.turns(C1) for message in turn.message_ids]
        assert len(messages) == len(set(messages))


ACTIONS = (
    ["message"] * 5
    + ["drain"] * 6
    + ["meanwhile", "crash"] * 3
    + ["take", "reply", "hand_back", "echo", "send_notices", "time_passes"] * 2
    + ["escalate", "close", "note", "erase", "channel_unavailable", "answer_is_lost", "tend"]
)


@pytest.mark.parametrize(("kind", "platform"), INTERLEAVINGS)
async def test_the_invariants_of_the_hand_off_hold_in_every_order_of_events(
    kind: str, platform: str, tmp_path: Path
) -> None:
    seeds = range(*map(int, (CHOSEN or str(INTERLEAVINGS[kind, platform])).split(":")))
    free: asyncio.Queue[int] = asyncio.Queue()
    for number in range(AT_ONCE.get(kind, 1)):
        free.put_nowait(number)
    accepted = 0

    async def hold(seed: int) -> None:
        nonlocal accepted
        number = await free.get()
        async with open_backend(kind, tmp_path / str(seed), number) as both, channel_of(platform) as channel:
            world, steps = World(seed, *both, channel), []
            try:
                for _ in range(STEPS):
                    steps.append(world.chance.choice(ACTIONS))
                    await getattr(world, steps[-1])()
                    await world.check()
                await world.settle()
                await world.check_end()
                accepted += len(channel.accepted)
            except (AssertionError, Exception) as exc:
                exc.add_note(f"seed {seed}: {' '.join(steps)}")
                raise
        free.put_nowait(number)

    async with asyncio.TaskGroup() as group:
        for seed in seeds:
            (tmp_path / str(seed)).mkdir()
            group.create_task(hold(seed))
    # What the platform refuses breaks no invariant and shows none.
    assert accepted
