"""`prosa context`: the institution's documents."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.event_loop import asynchronous
from cli.output import AsJson, console, print_json, print_table, visible
from cli.settings import read_settings
from context.guardrails.floor import Floor
from context.loader import load_institution
from contracts.guardrails import KnownFacts
from contracts.institution import Institution
from worker.backends import open_backend

app = typer.Typer(add_completion=False, help="The institution's documents: check, show, publish.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Argument(help="Folder of the documents; default: PROSA_INSTITUTION.")]


@app.command()
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """Read the documents; every problem is named with file and line, and the command ends with 2.

    Texts that can never be sent are warnings, which change no exit code.
    """
    institution = load_institution(_folder(folder))
    floor = Floor(institution)
    withheld = [intent.id for intent in institution.intents if floor.check_text(intent.answer, KnownFacts())]
    summary = {
        "name": institution.name,
        "language": institution.language,
        "version": institution.version,
        "principles": len(institution.principles),
        "lines": len(institution.lines),
        "intents": len(institution.intents),
        "fields": len(institution.fields),
        "prompt_core_characters": len(institution.prompt_core),
        "withheld_answers": withheld,
        "warnings": never_sent(institution),
    }
    if as_json:
        print_json(summary)
    else:
        print_table(("what", "value"), list(summary.items()), empty="")
    if withheld:
        raise typer.Exit(1)


def never_sent(institution: Institution) -> list[str]:
    """Return what is written and can never reach a person, a line each."""
    intents, lines = institution.intents, institution.lines
    asked = {name for fields in (*(one.fields for one in intents), *(one.fields for one in lines)) for name in fields}
    assets = {intent.asset for intent in intents}
    return [
        *(f"field {one.id}: no intent and no line asks for it" for one in institution.fields if one.id not in asked),
        *(f"asset {one.id}: no intent sends it" for one in institution.assets if one.id not in assets),
        *(
            f"intent {one.id}: its {what} {verb}, as it ends the assistant's part"
            for one in intents
            if one.escalate or one.conclude or one.spam
            for what, verb, given in (
                ("options", "are never offered", one.options),
                ("fields", "are never asked", one.fields),
            )
            if given
        ),
    ]


@app.command()
def show(
    folder: Folder = None,
    line: Annotated[str | None, typer.Option(help="One business line, as it enters a prompt.")] = None,
) -> None:
    """Print what opens every prompt, or what a business line adds to it."""
    institution = load_institution(_folder(folder))
    if line is not None and institution.line(line) is None:
        raise typer.BadParameter(
            f"there is no line {line}; there are: {', '.join(one.id for one in institution.lines)}"
        )
    typer.echo(visible(institution.line_view(line) if line else institution.prompt_core))


@app.command()
@asynchronous
async def publish(folder: Folder = None) -> None:
    """Keep this version of the documents in the store and make it the current one."""
    institution = load_institution(_folder(folder))
    async with open_backend(read_settings()) as backend:
        fresh = await backend.store.institutions.publish(institution, at=datetime.now(UTC))
    console.print(f"{institution.name} {institution.version}: {'published' if fresh else 'already the current one'}.")
    if fresh:
        console.print("A running worker takes the documents up at its next start, or on SIGHUP.")


def _folder(given: Path | None) -> Path:
    return given or read_settings().institution
