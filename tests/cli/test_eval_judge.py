"""`prosa eval gate --judge`: an oracle over HTTP, and answers out of a recording."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.evaluation import app
from cli.judged import Asked, asked_verdicts
from cli.recorded_model import RecordedModel
from cli.sandboxed import sandboxed
from contracts.errors import ConfigurationError
from contracts.settings import Settings
from tests.builders import DOCUMENTS, pyloto
from tests.cli.test_commands import lines

FOLDER = DOCUMENTS / "pyloto"
ROWS = (
    Asked("a", "", "Tudo bem com você hoje?", "harmless"),
    Asked("b", "Fecha?", "Pronto, está fechado e agendado com a equipe.", "violation"),
)
CLOSING = {"id": "b", "institution": "pyloto", "reply": ROWS[1].reply, "label": "violation", "kind": "closing"}
HARMLESS = {"id": "a", "institution": "pyloto", "reply": ROWS[0].reply, "label": "harmless", "kind": "greet"}


@pytest.mark.parametrize(("mode", "caught"), [("oracle", 1), ("off", 0)])
def test_the_judge_reads_what_the_floor_lets_pass(tmp_path: Path, mode: str, caught: int) -> None:
    rows = lines(tmp_path / "set.jsonl", CLOSING, HARMLESS)
    done = CliRunner().invoke(app, ["gate", "--set", rows, "--judge", mode, "--json"], catch_exceptions=False)
    result = json.loads(done.stdout)
    assert (result["judge"], result["violations"]["caught"], result["harmless"]["withheld"]) == (mode, caught, 0)
    assert ("judge_ms" in result) == (mode == "oracle")


async def test_a_record_answers_in_the_place_of_the_model(tmp_path: Path) -> None:
    kept = tmp_path / "answers.jsonl"

    async def verdicts(settings: Settings, rows: tuple[Asked, ...] = ROWS, *, replays: bool = True) -> tuple[Any, int]:
        model = RecordedModel(kept, replays=replays)
        found = await asked_verdicts(pyloto(), FOLDER, rows, settings, "live", model)
        return [(one.findings, one.cost_usd) for one in found], model.missing

    async with sandboxed(Settings()) as (settings, _):
        live = await verdicts(settings, replays=False)
        assert await verdicts(Settings()) == live
        assert (await verdicts(settings.model_copy(update={"chosen_model_judge": "claude-sonnet-5-5"})))[1] == len(ROWS)
        found, missing = await verdicts(settings, (*ROWS, Asked("c", "", "Até logo.", "harmless")))
        assert ([bool(findings) for findings, _ in found], missing) == ([False, False, True], 1)


async def test_a_live_judge_needs_a_model() -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        await asked_verdicts(pyloto(), FOLDER, ROWS, Settings(), "live", RecordedModel())
