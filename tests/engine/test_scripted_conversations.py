"""Scripted conversations of both institutions, through the whole pipeline on the sandbox model."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from typer.testing import CliRunner

from cli.evaluation import app
from cli.suites import SUITES, run_suite
from contracts.conversation import Architecture
from contracts.settings import Settings
from tests.builders import ROOT
from tests.flags.making import architecture_flag

WRONG = """
institution: pyloto
conversations:
  - name: wrong
    turns:
      - {says: Oi, intent: price, fields: {name: Ana}, has: [Até amanhã], lacks: [Pyloto], is_silent: true}
  - name: right
    turns:
      - {says: Oi, intent: greeting, state: AWAITING_USER}
"""


@pytest.mark.parametrize("architecture", Architecture)
@pytest.mark.parametrize(("suite", "count"), [("portuguese", 22), ("english", 21)])
async def test_every_conversation_becomes_what_it_should(
    suite: str, count: int, architecture: Architecture, tmp_path: Path
) -> None:
    (tmp_path / "flags.yaml").write_text(
        yaml.safe_dump({"flags": architecture_flag(architecture.value)}), encoding="utf-8"
    )
    settings = Settings(PROSA_DATA_DIR=str(tmp_path), PROSA_FLAGS_FILE=str(tmp_path / "flags.yaml"))
    results = await run_suite(settings, ROOT / SUITES / f"{suite}.yaml")
    assert len(results) == count
    assert [one for one in results if one.failures] == []


def test_a_conversation_that_does_not_is_named_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(WRONG, encoding="utf-8")
    done = CliRunner().invoke(app, [str(tmp_path / "s.yaml"), "--junit", str(tmp_path / "junit.xml")])
    assert done.exit_code == 1
    assert "2 conversations, 1 failed" in done.stdout
    for piece in ("intent is greeting", "name is None", "lacks 'Até amanhã'", "has 'Pyloto'", "it is answered"):
        assert piece in done.stdout.replace("\n", " ")
    [suite] = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_a_suite_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["spanish"])
    assert done.exit_code != 0
    assert "spanish" in str(done.exception)
