"""The examples of the documents are ones that work."""

import re
from pathlib import Path

import yaml

from flags.file import read_experiment_file, read_flag_file
from flags.switches import GOVERNS
from tests.builders import ROOT


def examples(document: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / document).read_text(encoding="utf-8"), re.S)


def test_the_file_of_flags(tmp_path: Path) -> None:
    (text,), file = examples("flags.md"), tmp_path / "flags.yaml"
    file.write_text(text, encoding="utf-8")
    assert set(read_flag_file(file)) == {"cache.semantic", "prompts.select_state"}


def test_the_plan_of_an_experiment_and_other_arms_for_it(tmp_path: Path) -> None:
    (plan, arms), file = examples("experiments.md"), tmp_path / "experiment.yaml"
    file.write_text(plan, encoding="utf-8")
    assert read_experiment_file(file).key == "warmer-greeting"
    given = yaml.safe_load(plan)
    given["experiment"] |= yaml.safe_load(arms)
    file.write_text(yaml.safe_dump(given), encoding="utf-8")
    assert len(read_experiment_file(file).arms) == 3


def test_every_switch_is_listed_with_what_it_speaks_for() -> None:
    text = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(PROMPTER_\w+)` \| `([a-z_]+)", text, re.M)) == dict(GOVERNS)
