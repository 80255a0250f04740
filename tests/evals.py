"""Labelled replies of `evals/gate/`."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import orjson

SETS = Path(__file__).parents[1] / "evals" / "gate"


@cache
def rows(*sets: str) -> tuple[Mapping[str, str], ...]:
    return tuple(orjson.loads(line) for name in sets for line in (SETS / f"{name}.jsonl").read_bytes().splitlines())


def replies(*kinds: str, label: str, institution: str = "pyloto", held: bool = True) -> Iterator[str]:
    """Replies of the corpora of these kinds, or of any kind."""
    names = ("corpora", "corpora.held") if held else ("corpora",)
    for row in rows(*names):
        if row["institution"] == institution and row["label"] == label and (not kinds or row["kind"] in kinds):
            yield row["reply"]
