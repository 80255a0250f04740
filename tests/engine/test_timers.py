"""Reminders and follow-ups: inside the hours and the platform's window, cancelled by any message, never too many."""

import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from context.publishing import InstitutionSource
from contracts.conversation import State
from contracts.delivery import OutboxRow
from contracts.errors import ChannelUnavailableError
from contracts.institution import Hours, OpeningTime
from contracts.messages import ChannelName, DeliveryState, MessageType
from contracts.values import ConversationId
from tests.builders import (
    BACKENDS,
    DOCUMENTS,
    EngineBed,
    RecordingChannel,
    conversation_id,
    engine_bed,
    inbound,
    open_backend,
)
from worker.bootstrap import Rulebooks
from worker.drain import drain
from worker.sweeper import sweep

TIMERS = """# Timers

## still_there

- after: 30m
- at_most: 2

> Ainda está por aí, {name}? Se precisar, é só escrever.

## next_day

- after: 23h
- template: next_day pt_BR utility

> Oi, {name}. Sua conversa continua aberta.

## how_was_it

- after: 2d
- state: ended
- template: how_was_it pt_BR marketing

> Como foi o atendimento?

"""
ZONE = ZoneInfo("America/Sao_Paulo")


class DrainingQueue:
    def __init__(self) -> None:
        self.bed: EngineBed | None = None

    async def wake(self, conversation_id: ConversationId) -> None:
        assert self.bed is not None
        await drain(conversation_id, self.bed.engine.drain)

    async def analyse(self, key: str) -> None:
        """Nothing is analysed here."""


@pytest.fixture
def documents(tmp_path: Path) -> Rulebooks:
    """The sample institution with timers, in a folder of its own."""
    for file in (DOCUMENTS / "pyloto").glob("*.md"):
        text = file.read_text()
        if file.name == "taxonomy.md":
            text = text.replace("# Intents", f"{TIMERS}# Intents", 1)
            text = text.replace("- hours:", "- timer_hours: mon-fri 09:00-19:00; sat 09:00-13:00\n- hours:", 1)
        (tmp_path / file.name).write_text(text)
    return Rulebooks(InstitutionSource(tmp_path))


class Team:
    """An engine with timers, its platform, and a clock that sweeps."""

    def __init__(self, inbox: Any, store: Any, rulebooks: Rulebooks) -> None:
        channel = RecordingChannel(name=ChannelName.WEB)
        self.queue = DrainingQueue()
        self.bed = self.queue.bed = engine_bed(inbox, store, channel=channel, rulebooks=rulebooks)
        self.sent: list[tuple[datetime, OutboxRow]] = []

    async def sweep(self, by: timedelta) -> None:
        self.bed.clock.move(by)
        # What a timer writes in one sweep is sent in the next, a second later.
        for _ in range(2):
            await sweep(self.queue, self.bed.engine.sweep)
        for row in self.bed.channel.accepted[len(self.sent) :]:
            self.sent.append((self.bed.clock.now(), row))

    async def write(self, text: str, name: str = "c-1", **changes: Any) -> None:
        await self.bed.inbox.append([inbound(text, conversation=name, at=self.bed.clock.now(), **changes)])
        await self.sweep(timedelta(0))

    def reminders(self) -> list[OutboxRow]:
        return [row for _, row in self.sent if row.id.endswith("/timer")]


@pytest.fixture(params=BACKENDS)
async def team(request: pytest.FixtureRequest, tmp_path: Path, documents: Rulebooks) -> AsyncIterator[Team]:
    async with open_backend(request.param, tmp_path) as (inbox, store):
        yield Team(inbox, store, documents)


async def test_a_reminder_is_sent_when_due_and_at_most_so_often(team: Team) -> None:
    await team.write("que horas abre?", person_name="Ana")
    await team.sweep(timedelta(minutes=29))
    assert team.reminders() == []
    for _ in range(20):
        await team.sweep(timedelta(minutes=10))
    texts = [row.message.text for row in team.reminders()]
    assert texts == ["Ainda está por aí, Ana? Se precisar, é só escrever."] * 2
    head = await team.bed.store.conversations.load(conversation_id())
    assert head is not None
    assert head.state is State.AWAITING_USER
    assert head.window[-1].text == texts[0]


async def test_any_message_cancels_a_reminder_and_the_state_keeps_its_own_limit(team: Team) -> None:
    await team.write("que horas abre?")
    await team.sweep(timedelta(minutes=25))
    await team.write("e sábado?")
    await team.sweep(timedelta(minutes=25))
    assert team.reminders() == []
    await team.write("sair")
    for _ in range(30):
        await team.sweep(timedelta(hours=1))
    assert team.reminders() == []
    head = await team.bed.store.conversations.load(conversation_id())
    assert head is not None
    assert head.state is State.COMPLETED


async def test_what_is_due_at_night_waits_for_the_morning(team: Team) -> None:
    team.bed.clock.at = datetime(2026, 11, 20, 18, 45, tzinfo=ZONE)
    await team.write("que horas abre?")
    for _ in range(90):
        await team.sweep(timedelta(minutes=10))
    assert {at.astimezone(ZONE).hour for at, row in team.sent if row.id.endswith("/timer")} == {9}


async def test_a_reminder_that_could_not_leave_in_time_is_dropped(team: Team) -> None:
    await team.write("que horas abre?")
    team.bed.clock.move(timedelta(minutes=31))
    team.bed.channel.next_errors.append(ChannelUnavailableError("away"))
    await team.sweep(timedelta(0))
    assert [row.state for row in await team.bed.store.outbox.unsent(conversation_id())] == [DeliveryState.PENDING]
    await team.bed.inbox.append([inbound("e sábado?", at=team.bed.clock.now())])
    await team.sweep(timedelta(minutes=1))
    assert team.reminders() == []
    head = await team.bed.store.conversations.load(conversation_id())
    assert head is not None
    assert head.state is State.AWAITING_USER


async def simulate(team: Team, *, people: int, days: int, step: timedelta, seed: int = 1) -> Counter[str]:
    """Let people write by chance for so many days; return what was sent and every rule that was broken."""
    chance, found = random.Random(seed), Counter[str]()
    wrote: dict[str, datetime] = {}
    end = team.bed.clock.now() + timedelta(days=days)
    hours = team.bed.engine.turn.rulebook().institution.timer_hours
    assert hours is not None
    rate = 1.5 / (timedelta(days=1) / step)
    while team.bed.clock.now() < end:
        for number in range(people):
            if chance.random() < rate:
                name = f"p{number}"
                wrote[name] = team.bed.clock.now() + step
                text = chance.choice(("que horas abre?", "obrigada, era só isso", "e sábado?", "sair", "voltar"))
                await team.bed.inbox.append([inbound(text, conversation=name, at=wrote[name], person_name="Ana")])
        seen = len(team.sent)
        await team.sweep(step)
        for at, row in team.sent[seen:]:
            is_template, last = row.message.type is MessageType.TEMPLATE, wrote[row.conversation_id.split(":")[1]]
            found["templates" if is_template else "texts"] += 1
            found["free text outside the window"] += not is_template and at - last > timedelta(hours=24)
            if row.id.endswith("/timer"):
                found["reminders"] += 1
                found["in quiet hours"] += not hours.is_open(at)
                found["after an answer"] += at - last < timedelta(minutes=30)
    return found


async def test_thirty_days_break_no_rule(tmp_path: Path, documents: Rulebooks) -> None:
    """Forty people; `TIMER_PEOPLE=2000` takes more (`tests/load/FIGURES.md`)."""
    people = int(os.environ.get("TIMER_PEOPLE", "40"))
    async with open_backend("memory", tmp_path) as (inbox, store):
        found = await simulate(Team(inbox, store, documents), people=people, days=30, step=timedelta(minutes=20))
    assert found["reminders"] > 100
    assert found["templates"] > 0
    broken = ("free text outside the window", "in quiet hours", "after an answer")
    assert {rule: found[rule] for rule in broken} == dict.fromkeys(broken, 0)


@pytest.mark.parametrize(
    ("zone", "days"),
    [
        ("America/Sao_Paulo", (date(2018, 2, 18), date(2018, 11, 4))),
        ("Europe/Lisbon", (date(2026, 3, 29), date(2026, 10, 25))),
        ("Australia/Lord_Howe", (date(2026, 4, 5), date(2026, 10, 4))),
    ],
)
def test_the_day_on_which_the_clock_changes_has_its_hours(zone: str, days: tuple[date, ...]) -> None:
    """The next opening is open, not before the moment asked for, and no moment before it is open."""
    weekly = tuple(OpeningTime(weekday=day, opens=time(0), closes=time(2, 30)) for day in range(7))
    hours = Hours(time_zone=zone, weekly=weekly)
    for day in days:
        moment = datetime.combine(day - timedelta(days=1), time(12), UTC)
        for _ in range(60):
            moment += timedelta(minutes=37)
            opening = hours.next_opening(moment)
            assert opening is not None
            instant = opening.astimezone(UTC)
            assert hours.is_open(instant), (zone, moment, opening)
            assert instant >= moment
            between = moment
            while between < instant - timedelta(minutes=1):
                assert not hours.is_open(between), (zone, moment, opening, between)
                between += timedelta(minutes=5)
