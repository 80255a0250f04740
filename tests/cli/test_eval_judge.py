"""`prosa eval gate --judge`: an oracle over HTTP, and records that are refused when anything changed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.evaluation import app
from cli.judged import Asked, asked_verdicts
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
    async with sandboxed(Settings()) as (settings, _):
        live = await asked_verdicts(pyloto(), FOLDER, ROWS, settings, "live", tmp_path)
        assert await asked_verdicts(pyloto(), FOLDER, ROWS, settings, "recorded", tmp_path) == live
        other = settings.model_copy(update={"chosen_model_judge": "claude-sonnet-5-5"})
        with pytest.raises(ConfigurationError, match="another model"):
            await asked_verdicts(pyloto(), FOLDER, ROWS, other, "recorded", tmp_path)
        edited = pyloto().model_copy(update={"version": "0" * 12, "never": pyloto().never[:3]})
        with pytest.raises(ConfigurationError, match="another answer_schema, documents"):
            await asked_verdicts(edited, FOLDER, ROWS, settings, "recorded", tmp_path)
        more = (*ROWS, Asked("c", "", "Até logo.", "harmless"))
        with pytest.raises(ConfigurationError, match="no verdict on 1 rows"):
            await asked_verdicts(pyloto(), FOLDER, more, settings, "recorded", tmp_path)


async def test_a_live_judge_needs_a_model_and_a_record_its_folder() -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        await asked_verdicts(pyloto(), FOLDER, ROWS, Settings(), "live", None)
    with pytest.raises(ConfigurationError, match="--record DIR"):
        await asked_verdicts(pyloto(), FOLDER, ROWS, Settings(), "recorded", None)
