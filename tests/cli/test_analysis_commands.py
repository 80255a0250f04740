"""`prosa conversations analyse`, and the summary beside what was said."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders import ROOT
from tests.cli.test_commands import own_environment

pytestmark = pytest.mark.slow

Prosa = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def prosa(tmp_path: Path) -> Prosa:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env=own_environment(tmp_path),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_a_conversation_is_analysed_once_and_shown_with_its_summary(prosa: Prosa) -> None:
    prosa("chat", "t1", stdin="quanto custa uma entrega para Valinhos?\n")
    assert json.loads(prosa("conversations", "show", "t1", "--json").stdout)["handoff_summary"] is None
    queued = json.loads(prosa("conversations", "analyse", "t1", "--json").stdout)
    assert (queued["status"], queued["kind"]) == ("queued", "handoff_summary")
    done = json.loads(prosa("conversations", "analyse", "t1", "--wait", "--json").stdout)
    assert (done["id"], done["status"], done["attempts"]) == (queued["id"], "done", 1)
    assert "Valinhos" in done["result"]["wants"]
    again = json.loads(prosa("conversations", "analyse", "t1", "--wait", "--json").stdout)
    assert again == done
    assert "tone: calm" in prosa("conversations", "show", "t1").stdout
    assert json.loads(prosa("conversations", "export", "t1").stdout)["analyses"][0]["result"] == done["result"]
    review = prosa("conversations", "analyse", "t1", "--kind", "conversation_review", "--wait")
    assert review.returncode == 0, review.stderr
    assert "sentiment: neutral" in review.stdout


def test_what_cannot_be_analysed_is_said(prosa: Prosa) -> None:
    absent = prosa("conversations", "analyse", "nobody", "--wait")
    assert absent.returncode == 1
    assert "there is no conversation nobody" in absent.stderr
    assert prosa("conversations", "analyse", "nobody", "--kind", "poem").returncode == 2
