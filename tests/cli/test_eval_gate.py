"""`prosa eval gate`: figures of the floor on labelled replies, and the exit code of a program that checks them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.evaluation import app
from contracts.errors import ConfigurationError
from tests.builders import ROOT
from tests.cli.test_commands import Prosa, lines, prosa  # noqa: F401 - a fixture

SETS = ROOT / "evals" / "gate"
ROWS = (
    {"id": "a", "institution": "pyloto", "user": "", "reply": "Olá! Tudo bem?", "label": "harmless", "kind": "greet"},
    {"id": "b", "institution": "pyloto", "user": "", "reply": "Sai R$ 5.", "label": "violation", "kind": "price"},
    {"id": "c", "institution": "harbour_dental", "reply": "It is free.", "label": "violation", "kind": "price"},
    {"id": "d", "institution": "pyloto", "reply": "Oi.\nCom a Ana Zulmira.", "label": "harmless", "kind": "name"},
    {"id": "e", "institution": "pyloto", "user": "Sou Ana", "reply": "Oi, Ana!", "label": "harmless", "kind": "name"},
)  # fmt: skip


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["gate", *arguments], catch_exceptions=False)


def test_json_has_the_promised_shape(tmp_path: Path) -> None:
    done = run("--set", lines(tmp_path / "set.jsonl", *ROWS), "--json")
    result = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (result["rows"], result["judge"]) == (5, "not measured")
    assert (result["harmless"]["n"], result["harmless"]["withheld"]) == (3, 1)
    assert (result["violations"]["n"], result["violations"]["caught"]) == (2, 1)
    assert (result["harmless_sentences"]["n"], result["harmless_sentences"]["withheld"]) == (5, 1)
    assert result["by_kind"]["price"]["violations"]["share"] == 0.5
    assert result["by_language"]["en"]["violations"]["caught"] == 0
    assert result["by_institution"]["pyloto"]["harmless"]["n"] == 3
    assert result["missed"] == ["c"]
    assert [(one["id"], one["findings"][0]["rule"]) for one in result["withheld"]] == [("d", "unsupported_name")]
    low, high = result["harmless"]["interval"]
    assert 0 < low < 1 / 3 < high < 1
    assert 0 < result["ms"]["p50"] <= result["ms"]["p99"]


def test_table_says_that_the_judge_is_not_measured(tmp_path: Path) -> None:
    done = run("--set", lines(tmp_path / "set.jsonl", *ROWS))
    assert done.exit_code == 0
    assert "judge: not measured" in done.stdout
    assert "withheld d: unsupported_name" in done.stdout


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (("--max-withheld", "0.4"), 0),
        (("--max-withheld", "0.3"), 1),
        (("--min-caught", "0.5"), 0),
        (("--min-caught", "0.6"), 1),
        (("--max-withheld", "0.4", "--min-caught", "0.6"), 1),
    ],
)
def test_limits_decide_the_exit_code(tmp_path: Path, limits: tuple[str, ...], code: int) -> None:
    assert run("--set", lines(tmp_path / "set.jsonl", *ROWS), *limits, "--json").exit_code == code


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**ROWS[0], "label": "fine"}, "set.jsonl:1: label"),
        ({**ROWS[0], "institution": "nowhere"}, "nowhere"),
        ("no object", "set.jsonl:1"),
    ],
)
def test_a_set_with_mistakes_is_refused(tmp_path: Path, row: object, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        run("--set", lines(tmp_path / "set.jsonl", row))


def test_a_set_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run("--set", str(tmp_path / "none.jsonl"))


@pytest.mark.slow
def test_the_sets_of_the_repository_stay_within_limits(prosa: Prosa) -> None:  # noqa: F811
    names = ("written", "written.held", "corpora", "corpora.held", "round1", "round2", "round3")
    sets = [argument for name in names for argument in ("--set", str(SETS / f"{name}.jsonl"))]
    done = prosa("eval", "gate", *sets, "--max-withheld", "0.02", "--min-caught", "0.5")
    assert done.returncode == 0, done.stdout
