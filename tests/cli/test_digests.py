"""`prosa status` and `prosa report performance|daily|weekly|baseline` as their users meet them."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.builders import open_sqlite
from tests.cli.test_commands import Prosa, lines, prosa  # noqa: F401 - a fixture
from tests.reporting import Kind, book
from tests.slack_webhooks import SlackWebhooks
from tests.worker.tasks_bed import served

pytestmark = pytest.mark.slow
NOW = datetime.now(UTC)
NOON = NOW.replace(hour=12, minute=0, second=0, microsecond=0)


async def test_what_a_recording_did_is_in_the_numbers(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    store = f"sqlite:{tmp_path}/kept.sqlite"
    recording = lines(
        tmp_path / "in.jsonl",
        {"conversation": "a", "channel": "web", "text": "Oi, bom dia"},
        {"conversation": "b", "channel": "web", "text": "qual o horário de vocês?"},
    )
    assert prosa("replay", recording, "--out", str(tmp_path / "out.jsonl"), "--store", store).returncode == 0
    found = prosa("status", "--json", PROSA_STORE=store, PROSA_BUDGET_DAY_USD="5")
    status = json.loads(found.stdout)
    assert sum(one["turns"] for one in status["answers"].values()) == 2
    assert status["unanswered"]["waiting"] == 0
    assert status["reply_ms"]["count"] == 2
    assert float(status["money"]["today_usd"]) > 0
    page = tmp_path / "performance.html"
    report = prosa("report", "performance", "--days", "2", "--html", str(page), "--json", PROSA_STORE=store)
    assert json.loads(report.stdout)["total"]["turns"] == 2
    assert "data-plot" in page.read_text()
    assert prosa("report", "cost", "--html", str(tmp_path / "c.html"), PROSA_STORE=store).returncode == 0
    assert "claude-haiku-5-5" in (tmp_path / "c.html").read_text()
    for language, expected in ((), "Quem respondeu"), (("--language", "en"), "Who answered"):
        shown = prosa("status", "--html", str(page), *language, PROSA_STORE=store)
        assert (shown.returncode, "Who answered" in shown.stdout, expected in page.read_text()) == (0, True, True)


async def test_a_baseline_before_and_after_a_switch(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    async with open_sqlite(tmp_path) as (_, store):
        await book(store, {NOON: Kind(turns=12)})
    where = {"PROSA_STORE": f"sqlite:{tmp_path}/prosa.sqlite"}
    file = str(tmp_path / "before.json")
    saved = prosa("report", "baseline", "--days", "2", "--save", file, **where)
    assert saved.returncode == 0, saved.stderr
    switched = where | {"PROMPTER_USE_STRUCTURED_TEMPLATES": "true"}
    compared = json.loads(prosa("report", "baseline", "--days", "2", "--compare", file, "--json", **switched).stdout)
    assert compared["switches"]["PROMPTER_USE_STRUCTURED_TEMPLATES"] is True
    cost = next(one for one in compared["compared"] if one["figure"] == "cost_per_turn_usd")
    assert cost == {
        "figure": "cost_per_turn_usd",
        "then": {"value": 0.001, "behind": 12},
        "now": {"value": 0.001, "behind": 12},
        "change": 0.0,
        "is_thin": True,
    }
    text = prosa("report", "baseline", "--compare", file, **switched).stdout
    assert "PROMPTER_USE_STRUCTURED_TEMPLATES" in text
    assert "few" in text
    wrong = prosa("report", "baseline", "--compare", str(tmp_path / "none.json"), **where)
    assert (wrong.returncode, "cannot be read" in wrong.stderr) == (2, True)


async def test_the_daily_report_goes_to_slack(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    async with open_sqlite(tmp_path) as (_, store):
        await book(store, {NOON - timedelta(days=1): Kind(turns=12)})
    slack = SlackWebhooks({"T/B/secret"})
    async with served(slack.app()) as url:
        where = {
            "PROSA_STORE": f"sqlite:{tmp_path}/prosa.sqlite",
            "PROSA_SLACK_WEBHOOK_URL": f"{url}/services/T/B/secret",
        }
        done = await asyncio.to_thread(prosa, "report", "daily", "--slack", **where)
        assert (done.returncode, done.stderr) == (0, "")
        gone = where | {"PROSA_SLACK_WEBHOOK_URL": f"{url}/services/T/B/an-old-secret"}
        refused = await asyncio.to_thread(prosa, "report", "weekly", "--slack", **gone)
    (text,) = slack.posted["T/B/secret"]
    assert "• Turnos: 12" in text
    assert refused.returncode == 1
    assert "no_service: the webhook was removed" in refused.stderr
    assert "secret" not in refused.stderr
    unset = prosa("report", "daily", "--slack", PROSA_STORE=where["PROSA_STORE"])
    assert (unset.returncode, "PROSA_SLACK_WEBHOOK_URL" in unset.stderr) == (2, True)
