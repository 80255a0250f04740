"""The files of `deploy/` and `.github/` as the linters of their formats read them, by schemas that come with these."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT

BIN = Path(sys.executable).parent
WORKFLOWS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github" / "workflows").glob("*.yml"))


def ran(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.compose-spec", ["deploy/compose.yaml"]), ("vendor.github-workflows", WORKFLOWS)],
)
def test_the_file_has_the_form_that_its_reader_asks_for(schema: str, files: list[str]) -> None:
    checked = ran("check-jsonschema", "--builtin-schema", schema, *files)
    assert checked.returncode == 0, checked.stdout


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    """Consecutive RUN lines stay apart: each is a layer that changes at its own pace."""
    checked = ran("hadolint", "--ignore", "DL3059", "deploy/Dockerfile")
    assert checked.returncode == 0, checked.stdout
