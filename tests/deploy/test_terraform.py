"""Terraform's files: well-formed, every reference resolved, and the same rights as the commands of `render.py`."""

import re
import shutil
import subprocess
from pathlib import Path

import hcl2
import pytest
import yaml

from tests.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "terraform"
TEXT = "\n".join(path.read_text() for path in sorted(FOLDER.glob("*.tf")))
SETUP = (ROOT / "deploy" / "cloud-run" / "cloud_tasks" / "setup.txt").read_text()
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.tf")), ids=lambda path: path.stem)
def test_the_parser_of_the_format_reads_the_file(path: Path) -> None:
    with path.open() as file:
        parsed = hcl2.load(file)
    kinds = {"terraform", "provider", "variable", "locals", "data", "resource", "output"}
    assert {name for name in parsed if not name.startswith("__")} <= kinds
    assert len(parsed.get("resource", ())) == len(re.findall(r"^resource ", path.read_text(), re.MULTILINE))


def test_terraform_would_not_change_the_form_of_the_files() -> None:
    """`validate` needs the provider, which comes from a registry."""
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is in no package source of Debian; the parser has read the files")
    found = subprocess.run(
        [program, "fmt", "-check", "-diff", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_reference_is_declared() -> None:
    declared = {".".join(one) for one in re.findall(r'^resource "(\w+)" "(\w+)"', TEXT, re.MULTILINE)}
    used = set(re.findall(r"(?<![\w.\"])(google_\w+\.\w+)", TEXT)) - {"google_project.this"}
    assert used <= declared
    assert set(re.findall(r"\bvar\.(\w+)", TEXT)) == set(re.findall(r'^variable "(\w+)"', TEXT, re.MULTILINE))
    assigned = set(re.findall(r"^  (\w+) += ", TEXT, re.MULTILINE))
    assert set(re.findall(r"\blocal\.(\w+)", TEXT)) <= assigned


def test_the_same_accounts_read_the_same_secrets() -> None:
    """As `render.py cloud_tasks setup`, which another test holds against what the manifests read."""
    block = TEXT.split("  secrets = {")[1].split("  }")[0]
    here = {
        (secret, f"prosa-{account}")
        for secret, accounts in re.findall(r"(prosa-[a-z-]+) += \[([^\]]*)\]", block)
        for account in re.findall(r'"(\w+)"', accounts)
    }
    there = set(re.findall(r"secrets add-iam-policy-binding (\S+) .*serviceAccount:([a-z-]+)@", SETUP))
    assert here == there


@pytest.mark.parametrize(
    "option", ["max_attempts", "max_retry_duration", "min_backoff", "max_backoff", "max_doublings"]
)
def test_the_queue_is_the_same(option: str) -> None:
    (here,) = re.findall(rf'{option} += "?(-?\w+)"?', TEXT)
    (there,) = re.findall(rf"--{option.replace('_', '-')}=(\S+)", SETUP)
    assert here == there


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_what_there_is(path: Path) -> None:
    """Steps name scripts, targets and stages of this repository, and no job has more rights than it asks for."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"]["contents"] == "read"
    makefile = (ROOT / "Makefile").read_text()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            for target in re.findall(r"^make (\S+)", step.get("run", "")):
                assert re.search(
                    rf"^{re.escape(target)}:|\(VENV\){re.escape(target.removeprefix('.venv'))}:", makefile, re.MULTILINE
                )
            for script in re.findall(r"python (\S+\.py)|^(\.ci/\S+)", step.get("run", ""), re.MULTILINE):
                assert (ROOT / next(filter(None, script))).exists()
