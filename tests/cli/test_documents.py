"""Commands of the documents: every one is parsed against the product, and every block marked `sh` is run.

A page's `sh` blocks are one script, run by bash in an empty folder with the sandbox for the outside world. A block that
cannot run there is preceded by `<!-- not run: REASON -->`, and its commands are parsed as those of other blocks are.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.main import app
from tests.builders import ROOT

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md"))
    if path.name != "CHANGELOG.md"
)
FENCED = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]*) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^ *```",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(
    r"(?:^|&& |\(|uv run |exec webhook |prosa:local |\.venv/bin/|[A-Z_]+=\S* )(prosa|make|python -m|pytest) (\S.*)"
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, with its indentation removed."""

    language: str
    body: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    found = FENCED.finditer(page.read_text(encoding="utf-8"))
    return [
        Block(one["language"], re.sub(rf"^{one['indent']}", "", one["body"], flags=re.MULTILINE), one["reason"])
        for one in found
    ]


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each command on the page as its program and its words, with alternatives written out."""
    lines = [
        re.split(r"\s#|\s{3,}", line)[0]
        for block in blocks(page)
        if block.language in ("", "sh")
        for line in block.body.replace("\\\n", " ").splitlines()
    ]
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    for text in (*lines, *INLINE.findall(prose.replace("\\|", "|"))):
        if (found := COMMAND.search(text)) is None:
            continue
        for one in found[2].split(" && "):
            words = re.sub(r"[\[\]]| \|(?= )|<+ .*|> .*|\.\.\.", "", one).split()
            for written_out in product(*(word.split("|") for word in words)):
                yield found[1], list(written_out)


@cache
def prosa_command() -> Any:
    return typer.main.get_command(app)


def check_prosa(words: list[str]) -> str | None:
    """Return what is wrong with `prosa WORDS`, or None."""
    command = prosa_command()
    while words and hasattr(command, "list_commands"):
        if words[0].isupper():  # a placeholder for any of them
            return None
        if words[0].startswith("-"):
            break
        inner = command.get_command(None, words[0])
        if inner is None:
            return f"there is no command {words[0]}"
        command, words = inner, words[1:]
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help": None}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"there is no option {' '.join(unknown)}" if unknown else None


def check_module(words: list[str]) -> str | None:
    return None if find_spec(words[0].strip(",")) else f"there is no module {words[0]}"


def check_make(words: list[str]) -> str | None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return None if words[0].strip(",") in targets else f"there is no target {words[0]}"


def check_pytest(words: list[str]) -> str | None:
    paths = [word.partition("::")[0] for word in words if word.startswith("tests")]
    gone = [path for path in paths if not (ROOT / path).exists()]
    return f"there is no {' '.join(gone)}" if gone else None


CHECKS = {"prosa": check_prosa, "python -m": check_module, "make": check_make, "pytest": check_pytest}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    wrong = [
        f"{program} {' '.join(words)}: {why}" for program, words in commands(page) if (why := CHECKS[program](words))
    ]
    assert wrong == []


def test_commands_are_found_and_wrong_ones_are_named() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) > 250
    assert check_prosa(["conversations", "find", "--nothing"]) == "there is no option --nothing"
    assert check_prosa(["conversation"]) == "there is no command conversation"
    assert check_make(["nothing"])
    assert check_module(["tests.nothing"])
    assert check_pytest(["tests/nothing"])


def test_shell_blocks_are_run_or_say_why_not() -> None:
    """A block of other kinds may hold a synopsis; `sh` is what a reader copies."""
    reasons = [(page.name, one.reason) for page in PAGES for one in blocks(page) if one.reason is not None]
    assert [page for page, reason in reasons if len(reason) < 10] == []


def product_text() -> str:
    """The sources, with the pieces of a text that is written over several lines put together."""
    rooms = ("adapters", "cli", "context", "contracts", "worker", "webhook", "prompts", "flags")
    sources = "".join(path.read_text(encoding="utf-8") for room in rooms for path in (ROOT / room).rglob("*.py"))
    return re.sub(r"\"\s*\n\s*f?\"", "", sources)


def test_texts_of_troubleshooting_are_the_products() -> None:
    page, source = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), product_text()
    texts = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(texts) > 10
    gone = [part for text in texts for part in text.split("…") if len(part.strip(" ()")) > 3 and part not in source]
    assert gone == []


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#([^)\s]*))?\)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    found = [(page.parent / path, anchor) for path, anchor in LINK.findall(FENCED.sub("", page.read_text("utf-8")))]
    assert [str(path) for path, _ in found if not path.exists()] == []
    assert [
        f"{path}#{name}" for path, name in found if name and path.suffix == ".md" and name not in anchors(path)
    ] == []


def script(page: Path) -> str:
    return "".join(one.body for one in blocks(page) if one.language == "sh" and one.reason is None)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if script(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROSA_", "ANTHROPIC", "WHATS"))}
    installed = Path(sys.executable).parent
    environment = kept | {
        "PATH": f"{installed}:{kept['PATH']}",
        "PROSA_DATA_DIR": str(tmp_path / ".prosa"),
        "PORT": "0",
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script(page)],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
