"""Output of commands: tables for people, JSON for programs, progress only on a terminal."""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.groups import CommandApp
from contracts.findings import Finding, Health
from observability.logs import configure_logs

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

# Everything that a terminal may obey or that hides what is written: controls, directions, lone surrogates.
UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)


# A longer word may break: most are addresses and digests.
LONGEST_WORD, COLUMN_GAP = 20, 2
# A number with its unit, an amount, a date, a time; or nothing.
NUMBER = re.compile(r"(?:[-+–?]|(?:USD |R\$ ?)?[-+]?\d[\d.,:/-]*(?:[ \u00a0]?(?:%|ms|s|min|h|d|USD))?)?")


def visible(text: str) -> str:
    """Return the text with escapes for what a terminal would obey; line ends and tabs stay."""
    return UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class _Terminal(Console):
    """A console that shows text as it is written, without markup and control sequences."""

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(one) if isinstance(one, str) else one for one in objects), **options)


console = _Terminal(highlight=False, markup=False, emoji=False)
errors = _Terminal(stderr=True, highlight=False, markup=False, emoji=False)

SUCCESS, FAILED, WRONG_USAGE = 0, 1, 2


def group(help: str, **options: Any) -> typer.Typer:
    """Return a group of commands, which prints its help without one."""
    return CommandApp(add_completion=False, help=help, no_args_is_help=True, **options)


def log_only_errors() -> None:
    """Log only errors, for commands whose output others read."""
    configure_logs(level="ERROR")


def print_json(value: Any) -> None:
    sys.stdout.write(visible(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()) + "\n")


def print_rows(
    as_json: bool, view: Any, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = ""
) -> None:
    """Print the view as JSON for a program, else the rows as a table."""
    if as_json:
        print_json(view)
    else:
        print_table(columns, rows, empty=empty)


def print_findings(findings: Sequence[Finding], as_json: bool, *, empty: str = "") -> bool:
    """Print the findings; return whether one of them is a failure."""
    rows = [(one.check, one.health, one.detail, one.next_step) for one in findings]
    view = [one.view() for one in findings]
    print_rows(as_json, view, ("check", "health", "what", "next step"), rows, empty=empty)
    return any(one.health is Health.FAILED for one in findings)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    listed = list(rows)
    if not listed:
        console.print(empty)
        return
    written = [["" if cell is None else visible(str(cell)) for cell in row] for row in listed]
    table, least = Table(box=None, header_style="bold", pad_edge=False), 0
    for column, cells in zip(columns, zip(*written, strict=True), strict=True):
        # A number that is broken in two reads as two numbers, and an id as two ids.
        is_number = all(map(NUMBER.fullmatch, cells))
        pieces = (cell_len(piece) for cell in (column, *cells) for piece in ([cell] if is_number else cell.split()))
        width = min(max(pieces, default=0), LONGEST_WORD)
        table.add_column(column, overflow="fold", no_wrap=is_number, min_width=width)
        least += width + COLUMN_GAP
    if least - COLUMN_GAP <= console.width:
        for row in written:
            table.add_row(*map(Text, row))
        console.print(table)
        return
    # Too narrow for columns: each row becomes lines of its own.
    for row in written:
        lines = Table.grid("", "", padding=(0, COLUMN_GAP, 0, 0))
        for column, cell in zip(columns, row, strict=True):
            lines.add_row(Text(column, "bold"), Text(cell, overflow="fold"))
        console.print(lines, "")


def clock_time(moment: datetime | None) -> str:
    """Format local date and time to the millisecond."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if moment else ""


def fail(message: str) -> typer.Exit:
    """Print the failure on standard error and return the exit with 1."""
    errors.print(f"prosa: {message}")
    return typer.Exit(FAILED)
