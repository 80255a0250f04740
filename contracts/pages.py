"""Content of a report page in words, whatever renders it: the console, a file, a chat message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True)
class Tile:
    name: str
    value: str
    detail: str = ""
    is_bad: bool = False


class Unit(StrEnum):
    """Unit of a plot's values; the page formats them in its language. A `SHARE` is in [0, 1]."""

    USD = "usd"
    MILLISECONDS = "ms"
    SHARE = "share"
    COUNT = "count"
    SCORE = "score"


@dataclass(frozen=True)
class Plot:
    """Series over common labels, as lines or as stacked bars; None is a gap.

    `bands` are pairs of series whose space between is shaded, as of an interval; they have no line of their own.
    """

    title: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    unit: Unit
    is_stacked: bool = False
    bands: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Notice:
    text: str
    is_bad: bool


@dataclass(frozen=True)
class ReportPage:
    title: str
    subtitle: str
    tiles: Sequence[Tile] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    notices: Sequence[Notice] = ()
