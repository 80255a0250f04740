"""Output of commands: tables for people, JSON for programs, progress only on a terminal."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from observability.logs import configure_logs

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

console = Console(highlight=False, soft_wrap=False)
errors = Console(stderr=True, highlight=False)

SUCCESS, FAILED, WRONG_USAGE = 0, 1, 2


def log_only_errors() -> None:
    """Log only errors, for commands whose output others read."""
    configure_logs(level="ERROR")


def print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    listed = list(rows)
    if not listed:
        console.print(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in listed:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(table)


def clock_time(moment: datetime | None) -> str:
    """Format local date and time to the millisecond."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if moment else ""


def fail(message: str) -> typer.Exit:
    """Print the failure on standard error and return the exit with 1."""
    errors.print(f"prosa: {message}", markup=False)
    return typer.Exit(FAILED)
