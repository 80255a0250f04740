"""The files of `deploy/` and `.github/` as the linters of their formats read them, by schemas that come with these."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.dockerfile import ROOT

BIN = Path(sys.executable).parent
WORKFLOWS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github" / "workflows").glob("*.yml"))

DASHBOARDS = sorted((ROOT / "deploy" / "observability" / "grafana" / "dashboards").glob("*.json"))


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


def unread(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of what `written` has and `read` has not."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from unread(value, read.get(key), f"{path}/{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for number, (one, other) in enumerate(zip(written, read, strict=True)):
            yield from unread(one, other, f"{path}/{number}")
    elif written != read:
        yield path


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafanas_own_schema_reads_all_of_a_dashboard(path: Path) -> None:
    """The types that Grafana generates from its schema drop what they do not know, also in the options of a panel."""
    plugins.register_default_plugins()
    written = json.loads(path.read_text("utf-8"))

    def as_read(dashboard: dict[str, Any]) -> Any:
        return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))

    assert list(unread(written, as_read(written))) == []
    written["panels"][0]["options"]["nothing"] = 1
    assert list(unread(written, as_read(written))) == ["/panels/0/options/nothing"]
