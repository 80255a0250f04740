"""`prosa report`: the tables and the JSON, word for word, and the whole way from a recording to the report."""

import json
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

import cli.output
import cli.report
from contracts.ledger import Amounts
from reports.cost import By, CostReport, Line, Span
from tests.cli.test_commands import Prosa, lines, prosa  # noqa: F401 - a fixture

DAY = date(2026, 11, 20)
KNOWN = Amounts(calls=6, input=1_200, output=900, cache_read=30_000, cache_write=6_000, usd=Decimal("0.0034500"))
PARTLY = Amounts(calls=2, input=400, output=600, usd=Decimal("0.00115"), unpriced=1)
UNKNOWN = Amounts(calls=3, input=10, output=20, unpriced=3)
REPORT = CostReport(
    Span(DAY, DAY, UTC),
    By.LINE,
    (Line("delivery", KNOWN, 2), Line("", PARTLY, 1), Line("technology", UNKNOWN, 1)),
    turns=4,
)

GOLDEN = """\
2026-11-20 (UTC), by line
line        calls  turns  in    out   cache read  cache write  USD                        USD/turn    share
delivery    6      2      1200  900   30000       6000         0.00345                    0.001725    75.0 %
-           2      1      400   600   0           0            0.00115 + unknown for 1    0.00115     25.0 %
technology  3      1      10    20    0           0            unknown for 3              unknown     0.0 %
total       11     4      1610  1520  30000       6000         0.0046 + unknown for 4     0.00115     100.0 %
"""


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a terminal of 140 columns."""
    console = Console(width=140, highlight=False)
    monkeypatch.setattr(cli.output, "console", console)
    monkeypatch.setattr(cli.report, "console", console)


def _words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_says_what_is_unknown(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    cli.report._print(REPORT)
    assert _words(capsys.readouterr().out) == _words(GOLDEN)


def test_a_narrow_terminal_shows_rows_as_lines_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.output, "console", Console(width=44, highlight=False))
    rows = [("understood what was asked of it", "1,234.56", "75.0\u00a0%", "12 ms", "2026-11-20", "web:terminal-0940")]
    cli.output.print_table(("what", "usd", "share", "p95", "day", "id"), rows, empty="")
    words = capsys.readouterr().out.replace("\u00a0", " ")
    for whole in ("understood what was asked of it", "1,234.56", "75.0 %", "12 ms", "2026-11-20", "web:terminal-0940"):
        assert whole in words
    assert max(map(len, words.splitlines())) <= 44


def test_a_table_that_fits_keeps_its_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.output, "console", Console(width=60, highlight=False))
    rows = [("web:terminal-0940", "waits for an answer of the team since this morning", "12 ms")]
    cli.output.print_table(("conversation", "what", "p95"), rows, empty="")
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["conversation", "what", "p95"]
    assert lines[0].startswith("web:terminal-0940  waits")


def test_by_arm_the_table_says_what_a_resolved_conversation_costs(
    wide: None, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = (Line("x=v1", KNOWN, None, 3), Line("x=v2", PARTLY, None, 0), Line("x=v3", UNKNOWN, None, 1))
    cli.report._print(CostReport(Span(DAY, DAY, UTC), By.ARM, arms, turns=4))
    head, *rows = capsys.readouterr().out.splitlines()[1:]
    assert head.endswith("resolved  USD/resolved")
    assert [row.split()[-2:] for row in rows] == [["3", "0.00115"], ["%", "0"], ["%", "1"], ["4", "0.00115"]]


def test_nothing_spent_is_said_in_words(wide: None, capsys: pytest.CaptureFixture[str]) -> None:
    cli.report._print(CostReport(Span(DAY, DAY, UTC), By.MODEL, (), turns=0))
    assert capsys.readouterr().out == "2026-11-20 (UTC), by model\nNothing was spent.\n"


def test_programs_get_exact_decimals(capsys: pytest.CaptureFixture[str]) -> None:
    view = REPORT.view()
    assert json.loads(json.dumps(view)) == view
    assert {name: view[name] for name in ("from", "to", "time_zone", "by")} == {
        "from": "2026-11-20",
        "to": "2026-11-20",
        "time_zone": "UTC",
        "by": "line",
    }
    delivery, nameless, technology = view["rows"]  # type: ignore[misc]
    assert delivery == {
        "line": "delivery",
        "calls": 6,
        "turns": 2,
        "tokens": {"input": 1_200, "output": 900, "cache_read": 30_000, "cache_write": 6_000},
        "cost_usd": "0.00345",
        "unknown_price_calls": 0,
        "cost_per_turn_usd": "0.001725",
        "share": "0.75",
    }
    assert (nameless["line"], nameless["unknown_price_calls"]) == (None, 1)
    assert (technology["cost_usd"], technology["cost_per_turn_usd"]) == (None, None)
    assert view["total"]["cost_usd"] == "0.0046"  # type: ignore[index]


@pytest.mark.slow
def test_a_recording_is_in_the_report_with_every_call(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    store = f"sqlite:{tmp_path}/kept.sqlite"
    recording = lines(
        tmp_path / "in.jsonl",
        {"conversation": "a", "channel": "web", "text": "Oi, bom dia", "id": "1"},
        {"conversation": "b", "channel": "web", "text": "qual o horário de vocês?"},
    )
    out = tmp_path / "out.jsonl"
    assert prosa("replay", recording, "--out", str(out), "--store", store).returncode == 0
    turns = [json.loads(line) for line in out.read_text().splitlines()]
    spent = sum(Decimal(turn["cost_usd"]) for turn in turns)
    for by in By:
        done = prosa("report", "cost", "--days", "2", "--by", by.value, "--json", PROSA_STORE=store)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        assert Decimal(report["total"]["cost_usd"]) == spent > 0
        assert (report["total"]["calls"], report["total"]["turns"]) == (6, 2)
    table = prosa("report", "cost", "--days", "2", PROSA_STORE=store)
    assert "claude-haiku-5-5" in table.stdout
    unfinished = prosa("report", "cost", "--recount", "2999-01-01", PROSA_STORE=store)
    assert (unfinished.returncode, unfinished.stdout) == (1, "")
    assert "is not over" in unfinished.stderr


@pytest.mark.slow
def test_the_known_prices_are_listed_with_the_release_of_the_list(prosa: Prosa) -> None:  # noqa: F811
    listed = json.loads(prosa("report", "prices", "--json").stdout)
    haiku = next(model for model in listed["models"] if model["model"] == "claude-haiku-5-5")
    assert haiku["usd_per_million_tokens"]["input"] == {"usd": "0.1", "tiers": [[100_000, "0.5"]]}
    assert haiku["batch"]["output"]["usd"] == "0.25"
    text = prosa("report", "prices").stdout
    assert f"genai-prices {listed['genai_prices']}" in text
    assert "> 100000" in text
