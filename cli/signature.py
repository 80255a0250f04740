"""Who makes a change and why: every change of a flag or an experiment is signed."""

import getpass
import sys
from typing import Annotated

import typer

from cli.output import console

Author = Annotated[str | None, typer.Option(help="Who changes it; default: the user of this machine.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why; asked for on a terminal.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to.")]


class Signature:
    """What was not said is asked for on a terminal."""

    def __init__(self, author: str | None, why: str | None, yes: bool) -> None:
        self.author = author or getpass.getuser()
        self.is_sure = yes
        self._why = why

    def confirm(self, lines: list[str]) -> str:
        """Show what would change, ask, and return why.

        Raises:
            Abort: the person does not want to.
            BadParameter: there is nobody to ask.
        """
        for line in lines:
            console.print(f"  {line}", markup=False)
        asks = sys.stdin.isatty()
        if not asks and (self._why is None or not self.is_sure):
            raise typer.BadParameter("without a terminal a change needs --reason and --yes")
        why = self._why or str(typer.prompt("Why"))
        if not self.is_sure:
            typer.confirm(f"Change it as {self.author}?", abort=True)
        return why
