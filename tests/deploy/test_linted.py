"""The files of `deploy/` and `.github/` as the linters of their formats read them, by schemas that come with these."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.dockerfile import ROOT
from tests.real_services import absent

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


def test_zizmor_finds_no_workflow_that_gives_away_rights() -> None:
    checked = ran("zizmor", "--offline", "--min-severity", "medium", "--config", ".github/zizmor.yml", *WORKFLOWS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_docker_compose_accepts_the_file(tmp_path: Path) -> None:
    """Debian's docker-compose, which reads all but the project's name; the schema has that."""
    program = shutil.which("docker-compose")
    if program is None:
        absent("docker-compose", "install Debian's package docker-compose")
    shutil.copy(ROOT / "deploy" / ".env.example", tmp_path / ".env")
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert "\nname: prosa\n" in text
    (tmp_path / "compose.yaml").write_text(text.replace("\nname: prosa\n", "\n"))
    read = subprocess.run(
        [program, "-f", "compose.yaml", "config"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
    assert "worker:" in read.stdout
