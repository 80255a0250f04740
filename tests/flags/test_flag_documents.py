"""The examples of the documents are ones that work."""

import re
from pathlib import Path

from flags.file import read_experiment_file, read_flag_file
from flags.switches import GOVERNS
from tests.builders import ROOT


def example(document: str, folder: Path) -> Path:
    found = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / document).read_text(encoding="utf-8"), re.S)
    assert len(found) == 1
    file = folder / "example.yaml"
    file.write_text(found[0], encoding="utf-8")
    return file


def test_the_file_of_flags(tmp_path: Path) -> None:
    assert set(read_flag_file(example("flags.md", tmp_path))) == {"cache.semantic", "prompts.select_state"}


def test_the_plan_of_an_experiment(tmp_path: Path) -> None:
    assert read_experiment_file(example("experiments.md", tmp_path)).key == "warmer-greeting"


def test_every_switch_is_listed_with_what_it_speaks_for() -> None:
    text = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(PROMPTER_\w+)` \| `([a-z_]+)", text, re.M)) == dict(GOVERNS)
