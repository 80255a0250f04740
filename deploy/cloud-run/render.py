"""Fills in the manifests of one engine and shows, or with --run carries out, its commands for Cloud Run.

    python deploy/cloud-run/render.py cloud_tasks deploy --values deploy/cloud-run/.env --out build/cloud-run

Exit codes: 0 done, 1 a command failed, 2 a value is missing or a name unknown.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
ENGINES = ("cloud_tasks", "celery")
STAGES = ("setup", "deploy", "release")
# Pipelines and the watch of a release by steps, of the services of Cloud Tasks.
STEPS = HERE.parent / "cloud-deploy"
# Not a value of the operator's: the folder that the manifests are written to.
MANIFESTS = "MANIFESTS"


class UnfilledError(Exception):
    """A template names values that were not given."""


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        values = read_values(given.values)
        manifests = render_manifests(given.engine, given.stage, values) if given.stage != "setup" else {}
        commands = list(render_commands(given.engine, given.stage, values | {MANIFESTS: str(given.out)}))
    except (UnfilledError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    if manifests:
        given.out.mkdir(parents=True, exist_ok=True)
    for name, content in manifests.items():
        (given.out / name).write_text(content, encoding="utf-8")
    for command in commands:
        sys.stdout.write(shlex.join(command) + "\n")
        sys.stdout.flush()
        if given.run and subprocess.run(command, check=False).returncode:  # noqa: S603 - no shell, our own words
            sys.stderr.write("stopped here: the commands after this one were not run\n")
            return 1
    if not given.run:
        sys.stderr.write(f"dry run: nothing was changed; {len(commands)} commands with --run\n")
    return 0


def read_values(path: Path) -> dict[str, str]:
    """NAME=VALUE by line; what is empty counts as not given."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def render_manifests(engine: str, stage: str, values: Mapping[str, str]) -> dict[str, str]:
    """File name to content.

    Raises:
        UnfilledError: a value is missing; every one is named.
    """
    folders = [HERE / engine, STEPS] if stage == "release" else [HERE / engine]
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    templates = {path.name: path.read_text(encoding="utf-8") for path in paths}
    _require(templates, values)
    return {name: Template(text).substitute(values) for name, text in templates.items()}


def render_commands(engine: str, stage: str, values: Mapping[str, str]) -> Iterator[list[str]]:
    """The stage's commands as words for a process: no shell reads them.

    Raises:
        UnfilledError: a value is missing; every one is named.
    """
    name = f"{stage}.txt"
    lines = ((STEPS if stage == "release" else HERE / engine) / name).read_text(encoding="utf-8").splitlines()
    commands = [line for line in lines if line.strip() and not line.startswith("#")]
    _require({name: "\n".join(commands)}, values)
    return (shlex.split(Template(command).substitute(values)) for command in commands)


def _require(templates: Mapping[str, str], values: Mapping[str, str]) -> None:
    missing = {
        f"{value} ({name})"
        for name, text in templates.items()
        for value in Template(text).get_identifiers()
        if value not in values
    }
    if missing:
        raise UnfilledError(f"missing: {', '.join(sorted(missing))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="render.py", description="Manifests and commands for Cloud Run.")
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("stage", choices=STAGES, help="setup: once; deploy: all traffic at once; release: by steps")
    parser.add_argument("--values", type=Path, default=HERE / ".env", help="NAME=VALUE by line; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path("build/cloud-run"), help="where the manifests are written")
    parser.add_argument("--run", action="store_true", help="carry the commands out; without it they are only shown")
    return parser


if __name__ == "__main__":
    sys.exit(main())
