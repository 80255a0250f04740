"""What checking a reply costs: `python -m tests.bench.guardrails`, or `make bench`.

A reply is read without the memory of earlier sentences, so that the figure is that of new text.
"""

import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from context.guardrails.floor import Floor
from context.loader import load_institution
from contracts.institution import Institution
from tests.context.guardrails.making import HOSTILE, NOBODY, inform
from tests.context.guardrails.steps import changed

ROOT = Path(__file__).parents[2]
LIMIT_MS, LIMIT_HOSTILE_MS = 2.0, 200.0
CHARACTERS, ROUNDS = 1_000, 60


def fresh_ms(floor: Floor, texts: list[str]) -> list[float]:
    """Milliseconds of each check; every text differs from the ones before it."""
    times = []
    for text in texts:
        start = time.perf_counter()
        floor.check_text(text, NOBODY)
        times.append((time.perf_counter() - start) * 1000)
    return times


def replies(floor: Floor) -> list[str]:
    """Texts of `CHARACTERS` characters made of the institution's passages, no sentence twice the same."""
    whole = " ".join(passage.text for passage in floor.passages)
    starts = range(0, ROUNDS * 97, 97)
    return [
        f"{whole[start % len(whole) :]} {whole}"[:CHARACTERS].replace(". ", f" {_letters(start)}. ") for start in starts
    ]


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number)) + "x"


def stepped(name: str, floor: Floor, institution: Institution) -> tuple[str, str, str, str]:
    """Count the atoms of the documents that are found when changed by one step: cited, and in a text without parts."""
    steps = [(one.id, text) for one in floor.passages for text, _ in changed(one.text, institution)]
    cited = sum(bool(floor.check([inform(text, source)], NOBODY)) for source, text in steps)
    plain = sum(bool(floor.check_text(text, NOBODY)) for _, text in steps)
    return name, str(len(steps)), str(cited), str(plain)


def main() -> None:
    table = Table(title="One check by the floor, ms", box=None)
    for column in ("text", "median", "most"):
        table.add_column(column)
    slow = []
    for name in ("pyloto", "harbour_dental"):
        started = time.perf_counter()
        floor = Floor(load_institution(ROOT / "context/documents" / name))
        built = (time.perf_counter() - started) * 1000
        times = fresh_ms(floor, replies(floor))
        table.add_row(f"{name}: 1,000 characters", f"{median(times):.2f}", f"{max(times):.2f}")
        table.add_row(f"{name}: loading and building, once", f"{built:.0f}", "")
        slow += [name] if median(times) > LIMIT_MS else []
        for piece in HOSTILE:
            (ms,) = fresh_ms(floor, [piece * (7_880 // len(piece))])
            slow += [piece] if ms > LIMIT_HOSTILE_MS else []
            if name == "pyloto":
                table.add_row(f"7,880 characters of {piece!r}", f"{ms:.1f}", "")
    found = Table(title="Atoms of documents changed by one step", box=None)
    for column in ("institution", "steps", "found where cited", "found in a text"):
        found.add_column(column)
    for folder in (*(ROOT / "context/documents").iterdir(), *sorted((ROOT / "evals/gate/institutions").iterdir())):
        institution = load_institution(folder)
        found.add_row(*stepped(folder.name, Floor(institution), institution))
    Console().print(table, found)
    if slow:
        sys.exit(f"slower than {LIMIT_MS} ms, or {LIMIT_HOSTILE_MS} ms where hostile: {', '.join(slow)}")


if __name__ == "__main__":
    main()
