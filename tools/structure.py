"""How easily the product is followed: its structure in figures, each with its limit.

    python -m tools.structure            # the table
    python -m tools.structure --check    # exits with 1 where a figure is beyond its limit; part of `make check`
    python -m tools.structure --words    # each of the words to leave, with its place

One chat message goes through the embedded engine and the sandbox with a profiler attached: that gives the frames of the
product on the stack at the first call of the model's library, and the modules that the message enters. The rest is read
from the source.
"""

import argparse
import ast
import asyncio
import io
import re
import sys
import tempfile
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PRODUCT = (
    "adapters", "cli", "context", "contracts", "flags", "fsm", "observability", "prompts", "reports", "sandbox",
    "webhook", "worker",
)  # fmt: skip
# Readers search for the field's terms; these are found in none of its texts (see CONTRIBUTING.md, "English").
WORDS = re.compile(
    r"\b(nobody|somebody|tells?|told|stands?|beside|anew|meanwhile|mend(?:s|ed|ing)?|for ever|for who|is away)\b", re.I
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What runs in this time without a message is background work of the process, and no part of a message's way.
IDLE_SECONDS = 6.0
OPENINGS = re.compile(r"(What|Who|Where|Which|How|When)\b")


@dataclass(frozen=True)
class Figure:
    name: str
    value: float
    limit: float | None = None

    @property
    def is_beyond(self) -> bool:
        return self.limit is not None and self.value > self.limit


def sources() -> Iterator[Path]:
    for package in PRODUCT:
        yield from sorted((ROOT / package).rglob("*.py"))


def lines() -> int:
    return sum(path.read_text(encoding="utf-8").count("\n") for path in sources())


def used_once() -> float:
    """Private functions that their module names twice, at the definition and at one use, for each 1,000 lines."""
    once = 0
    for path in sources():
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, FUNCTIONS) and re.match(r"_[^_]", node.name):
                once += len(re.findall(rf"\b{node.name}\b", text)) == 2
    return once / lines() * 1000


def function_lines() -> list[int]:
    """Lines of each function, from its definition to its end, in ascending order."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources()]
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, FUNCTIONS))
    return sorted((node.end_lineno or node.lineno) - node.lineno + 1 for node in functions)


def flat_files(package: str) -> int:
    return len([path for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"])


def prose() -> Iterator[tuple[str, int, str, bool]]:
    """File, line, text and whether it is a docstring, of every docstring, comment and document."""
    for path in sources():
        where, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and (docstring := ast.get_docstring(node)):
                yield where, getattr(node, "lineno", 1), docstring, True
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT:
                    yield where, token.start[0], token.string.lstrip("# "), False
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name.endswith(".pt-BR.md"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield str(path.relative_to(ROOT)), number, line, False


def words_to_leave() -> tuple[int, list[str]]:
    """The number of words of prose, and a line for each that should be another."""
    count, found = 0, []
    for where, line, text, is_docstring in prose():
        count += len(text.split())
        if is_docstring and (opening := OPENINGS.match(text)):
            found.append(f"{where}:{line}: begins with {opening[1]}")
        found += [f"{where}:{line}: {word[0]}" for word in WORDS.finditer(text)]
    return count, found


class Way:
    """A message's way: modules entered, functions called, frames at the first call of the model's library."""

    def __init__(self, background: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.frames: list[str] = []
        self._background = background
        self._own: dict[str, str | None] = {}

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        file = frame.f_code.co_filename
        if name := self._name(file):
            self.functions.add((name, frame.f_code.co_qualname))
        elif not self.frames and "/anthropic/" in file:
            self.frames = self._own_frames(frame)

    @property
    def modules(self) -> set[str]:
        return {name for name, _ in self.functions - self._background}

    def _name(self, file: str) -> str | None:
        if file not in self._own:
            path = Path(file)
            is_own = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in PRODUCT
            is_counted = is_own and path.relative_to(ROOT).parts[0] not in ("sandbox", "cli")
            self._own[file] = str(path.relative_to(ROOT)) if is_counted else None
        return self._own[file]

    def _own_frames(self, frame: FrameType | None) -> list[str]:
        found = []
        while frame is not None:
            if name := self._name(frame.f_code.co_filename):
                found.append(f"{name}: {frame.f_code.co_qualname}")
            frame = frame.f_back
        return found[::-1]


async def way_of_a_message() -> Way:
    """Send two chat messages through the embedded engine and return the way of the second."""
    import httpx

    from cli.runtime import open_runtime
    from contracts.settings import Settings
    from observability.logs import configure_logs

    configure_logs(stream=io.StringIO())
    idle = Way()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, PROSA_DATA_DIR=folder, PORT="0")
        async with open_runtime(settings, sweeping=False) as runtime:
            transport = httpx.ASGITransport(app=runtime.webhook)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                await _say("Oi, bom dia", client, runtime)
                sys.setprofile(idle)
                await asyncio.sleep(IDLE_SECONDS)
                way = Way(frozenset(idle.functions))
                sys.setprofile(way)
                await _say("Como funciona o CRM?", client, runtime)
                sys.setprofile(None)
    return way


async def _say(text: str, client: Any, runtime: Any) -> None:
    (await client.post("/chat/ana/messages", json={"text": text})).raise_for_status()
    await runtime.queue.idle()


def figures() -> tuple[list[Figure], Way]:
    way = asyncio.run(way_of_a_message())
    sizes = function_lines()
    count, found = words_to_leave()
    return [
        Figure("lines of product code", lines(), 55_790),
        Figure("own frames at the first model call", len(way.frames), LIMITS["frames"]),
        Figure("modules that one chat message enters", len(way.modules), LIMITS["modules"]),
        Figure("functions that one chat message enters", len(way.functions)),
        Figure("function lines, median", sizes[len(sizes) // 2]),
        Figure("function lines, p90", sizes[len(sizes) * 9 // 10]),
        Figure("private functions used once, per 1,000 lines", round(used_once(), 1), LIMITS["used once"]),
        Figure("flat files in worker/", flat_files("worker"), 15),
        Figure("flat files in prompts/", flat_files("prompts"), 4),
        Figure("words to leave, per 10,000", round(len(found) / count * 10_000, 1), LIMITS["words"]),
    ], way


# Held where the product is; to lower with it. The lines were 46,400 before people, time and six more channels.
LIMITS = {"frames": 8.0, "modules": 69.0, "used once": 8.2, "words": 3.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 where a figure is beyond its limit")
    parser.add_argument("--words", action="store_true", help="list the words to leave, with their places")
    parser.add_argument("--way", action="store_true", help="list the frames and modules of one message")
    options = parser.parse_args()
    write: Callable[[str], Any] = lambda text: sys.stdout.write(f"{text}\n")  # noqa: E731
    if options.words:
        for line in words_to_leave()[1]:
            write(line)
        return 0
    found, way = figures()
    if options.way:
        for line in (*way.frames, "", *sorted(way.modules)):
            write(line)
        return 0
    for one in found:
        limit = f"   (at most {one.limit:g})" if one.limit is not None else ""
        write(f"{'!' if one.is_beyond else ' '} {one.name:<48}{one.value:>10,g}{limit}")
    return int(options.check and any(one.is_beyond for one in found))


if __name__ == "__main__":
    sys.exit(main())
