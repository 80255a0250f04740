"""`prosa context new`, `try` and `check --watch`: from an empty folder to a conversation with a company's documents."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.context import Kind, app
from context.loader import load_institution
from tests.builders import ROOT
from tests.cli.test_commands import Prosa, own_environment, prosa  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", Kind)
def test_new_documents_of_every_kind_are_sound_and_carry_the_companys_name(tmp_path: Path, kind: Kind) -> None:
    folder = tmp_path / "company"
    written = CliRunner().invoke(app, ["new", str(folder), "--kind", kind, "--name", "Sol & Mar"])
    assert written.exit_code == 0, written.output
    checked = CliRunner().invoke(app, ["check", str(folder)])
    assert checked.exit_code == 0, checked.output
    assert "Sol & Mar" in load_institution(folder).intents[0].answer
    assert load_institution(kind.folder).name not in load_institution(folder).prompt_core


def test_new_documents_overwrite_nothing(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "kept.md").write_text("mine")
    done = prosa("context", "new", str(tmp_path), "--kind", "pizzeria")
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)


def test_documents_are_tried_and_nothing_is_kept(prosa: Prosa, tmp_path: Path) -> None:  # noqa: F811
    assert prosa("context", "new", str(tmp_path / "bella"), "--kind", "pizzeria", "--name", "Bella").returncode == 0
    tried = prosa("context", "try", str(tmp_path / "bella"), stdin="boa noite\nquanto custa?\n")
    assert tried.returncode == 0, tried.stderr
    assert "aqui é Bella" in tried.stdout
    assert "quem informa é o balcão" in tried.stdout
    assert "web:try" not in prosa("conversations", "list").stdout


def test_documents_are_checked_again_when_one_is_saved(tmp_path: Path) -> None:
    folder = tmp_path / "company"
    assert CliRunner().invoke(app, ["new", str(folder), "--kind", "pizzeria"]).exit_code == 0
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli.main", "context", "check", str(folder), "--watch"],
        cwd=ROOT,
        env=own_environment(tmp_path) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("withheld_answers"))
        taxonomy = folder / "taxonomy.md"
        taxonomy.write_text(taxonomy.read_text(encoding="utf-8").replace("- asset: shop", "- asset: shpo"))
        assert next(line for line in process.stdout if "taxonomy.md:" in line).endswith("known: shop\n")
        process.terminate()
