"""Signature of a change of a flag or an experiment: its author and reason."""

import getpass
import sys
from typing import Annotated

import typer

from cli.output import console

Author = Annotated[str | None, typer.Option(help="Who changes it; default: the user of this machine.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why; asked for on a terminal.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to.")]


class Signature:
    """Author and reason of a change; a missing one is asked for on a terminal."""

    def __init__(self, author: str | None, why: str | None, yes: bool) -> None:
        self.author = author or getpass.getuser()
        self.is_sure = yes
        self._why = why

    def confirm(self, lines: list[str]) -> str:
        """Show the changes, ask for confirmation, and return the reason.

        Raises:
            Abort: the person declines.
            BadParameter: a value is missing and there is no terminal.
        """
        for line in lines:
            console.print(f"  {line}")
        asks = sys.stdin.isatty()
        if not asks and (self._why is None or not self.is_sure):
            raise typer.BadParameter("without a terminal a change needs --reason and --yes")
        why = self._why or str(typer.prompt("Why"))
        if not self.is_sure:
            typer.confirm(f"Change it as {self.author}?", abort=True)
        return why
