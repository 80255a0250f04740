"""Reads the Dockerfile and follows its steps without a container engine, with our paths under another root."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PREFIX = "/opt/prosa"


@dataclass
class Stage:
    """One FROM with its steps, each an instruction and its text."""

    base: str
    name: str | None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for kind, text in self.steps if kind == instruction]

    def environment(self) -> dict[str, str]:
        pairs = (pair.partition("=") for text in self.all("ENV") for pair in shlex.split(text))
        return {name: value for name, _, value in pairs}


def read_stages() -> list[Stage]:
    stages: list[Stage] = []
    lines = (line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#"))
    for instruction in "\n".join(lines).replace("\\\n", " ").splitlines():
        kind, _, text = instruction.strip().partition(" ")
        if kind == "FROM":
            base, _, name = text.partition(" AS ")
            stages.append(Stage(base, name or None))
        elif stages and kind:
            stages[-1].steps.append((kind, text.strip()))
    return stages


def copies(stage: Stage) -> list[tuple[str, str]]:
    """Source and target of each COPY from the build's context."""
    found = (shlex.split(text) for text in stage.all("COPY"))
    return [(source, words[-1]) for words in found if not words[0].startswith("--from") for source in words[:-1]]


def is_in_context(path: str) -> bool:
    """Whether .dockerignore lets a file of the repository into the build; the last line that fits decides, as there."""
    allowed = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted, pattern = pattern.startswith("!"), pattern.removeprefix("!")
        parts = path.split("/")
        parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        bare = pattern.removeprefix("**/")
        names = parts if bare != pattern else []
        if any(fnmatch(one, pattern) for one in parents) or any(fnmatch(one, bare) for one in names):
            allowed = wanted
    return allowed


def build(stage: Stage, root: Path) -> None:
    """Follow a stage's RUN and COPY, with our folder of the image under `root`, until its user changes."""

    def here(text: str) -> str:
        return text.replace(PREFIX, f"{root}{PREFIX}")

    (root / PREFIX.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for kind, text in stage.steps:
        if kind == "COPY":
            *sources, target = shlex.split(text)
            for source in sources:
                _copy(source, Path(here(target)), into_folder=target.endswith("/"))
        elif kind == "RUN":
            subprocess.run(["/bin/sh", "-ec", here(text)], check=True, cwd=root, env=_plain_environment())
        else:
            raise AssertionError(f"{kind} is not followed here")


def _copy(source: str, target: Path, *, into_folder: bool) -> None:
    """As the engine would: what .dockerignore leaves out does not come."""
    origin = ROOT / source
    files = [origin] if origin.is_file() else [path for path in sorted(origin.rglob("*")) if path.is_file()]
    for path in files:
        if not is_in_context(str(path.relative_to(ROOT))):
            continue
        if origin.is_file():
            place = target / origin.name if into_folder else target
        else:
            place = target / path.relative_to(origin)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _plain_environment() -> dict[str, str]:
    """What a build knows of this machine: programs, and where packages come from."""
    kept = ("PIP_", "HTTP", "http", "SSL_", "REQUESTS_")
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | {
        name: value for name, value in os.environ.items() if name.startswith(kept)
    }
