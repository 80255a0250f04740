"""The daily and the weekly report reach the team once, whoever tries, and again when Slack did not take them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from adapters.email import Mailer
from adapters.http.slack import SlackWebhook
from observability.metrics import REGISTRY
from reports.digest import Period
from reports.posting import CLAIMED_FOR, ReportPosting, due_periods
from reports.reporting import Reporting
from tests.builders import SteppingClock, memory_inbox, memory_store
from tests.slack_webhooks import SlackWebhooks
from tests.smtp_server import smtp_server

PATH = "T1/B1/secret"
# A Monday.
MORNING = datetime(2026, 11, 23, 8, 5, tzinfo=UTC)


class Team:
    """A store that several processes share, and the team's place in Slack."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.store, self.clock, self.slack = memory_store(), SteppingClock(at), SlackWebhooks({PATH})

    def process(self) -> ReportPosting:
        transport = httpx.ASGITransport(self.slack.app())
        webhook = SlackWebhook(f"https://hooks.slack.com/services/{PATH}", transport=transport)
        reporting = Reporting(memory_inbox(), self.store, self.clock, UTC, None)
        return ReportPosting(reporting, self.store.records, webhook.post)

    @property
    def posted(self) -> list[str]:
        return [text.splitlines()[0] for text in self.slack.posted.get(PATH, [])]


async def test_of_several_processes_one_posts_each_report() -> None:
    team = Team()
    await asyncio.gather(*(team.process().run() for _ in range(5)))
    assert sorted(team.posted) == [
        "*Relatório da semana* De 2026-11-16 a 2026-11-22 (UTC)",
        "*Relatório do dia* De 2026-11-22 a 2026-11-22 (UTC)",
    ]
    team.clock.move(timedelta(hours=1))
    await team.process().run()
    assert len(team.posted) == 2
    team.clock.move(timedelta(days=1))
    await team.process().run()
    assert team.posted[2:] == ["*Relatório do dia* De 2026-11-23 a 2026-11-23 (UTC)"]


async def test_what_slack_did_not_take_is_tried_again_later() -> None:
    team = Team(MORNING + timedelta(days=1))
    before = REGISTRY.get_sample_value("reports_posted_total", {"outcome": "failed"}) or 0
    team.slack.paths.clear()
    await team.process().run()
    await team.process().run()
    # Whoever comes next leaves it to who has claimed it, for a while.
    assert REGISTRY.get_sample_value("reports_posted_total", {"outcome": "failed"}) == before + 1
    team.slack.paths.add(PATH)
    team.clock.move(CLAIMED_FOR)
    await team.process().run()
    assert len(team.posted) == 1


async def test_slack_and_e_mail_each_get_a_report_once() -> None:
    """A mail server that refuses keeps the report from neither Slack nor, ten minutes later, the mailbox."""
    team = Team(MORNING + timedelta(days=1))
    async with smtp_server() as server:
        server.refuses = 1
        mailer = Mailer(server.url, to=["ana@example.com"])
        slack = team.process()
        by_mail = replace(slack, post=mailer.post, place="email")
        for _ in range(3):
            for one in (slack, by_mail):
                await one.run()
            team.clock.move(CLAIMED_FOR)
        (mail,) = server.got
    assert len(team.posted) == 1
    assert mail["Subject"].startswith("Relatório do dia")
    assert "Disponibilidade" in mail.get_content()


async def test_a_mistake_of_ours_ends_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    team = Team()
    process = team.process()

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(Reporting, "digest", broken)
    await process.run()
    assert team.posted == []


@pytest.mark.parametrize(
    ("local", "due"),
    [
        ("2026-11-23T07:59", []),
        ("2026-11-23T08:00", [Period.DAILY, Period.WEEKLY]),
        ("2026-11-24T08:00", [Period.DAILY]),
        ("2026-11-24T19:59", [Period.DAILY]),
        ("2026-11-24T20:00", []),
    ],
)
def test_reports_are_due_in_the_morning_of_the_institution(local: str, due: list[Period]) -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    assert due_periods(datetime.fromisoformat(local).replace(tzinfo=zone)) == due
