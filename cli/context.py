"""`prosa context`: the institution's documents."""

import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.output import AsJson, console, errors, fail, group, print_json, print_rows, print_table, visible
from cli.settings import read_settings
from context.guardrails.floor import Floor
from context.loader import load_institution
from context.publishing import ROLLBACK, roll_back
from contracts.errors import ConfigurationError, InstitutionError
from contracts.guardrails import KnownFacts
from contracts.institution import Institution
from worker.backends import open_backend

app = group("The institution's documents: new, check, try, show, publish, versions, rollback.")

Folder = Annotated[Path | None, typer.Argument(help="Folder of the documents; default: PROSA_INSTITUTION.")]
CONTEXT = Path(__file__).parents[1] / "context"
WATCH_SECONDS = 0.3
TAKEN_UP = "A running worker takes the documents up at its next start, or on SIGHUP."


class Kind(StrEnum):
    """Companies with documents to begin from."""

    PIZZERIA = "pizzeria"
    CLINIC = "clinic"
    LOGISTICS = "logistics"

    @property
    def folder(self) -> Path:
        samples = {Kind.CLINIC: "documents/harbour_dental", Kind.LOGISTICS: "documents/pyloto"}
        return CONTEXT / samples.get(self, f"starters/{self}")


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(help="Where the documents go: a folder that is empty or not there yet.")],
    kind: Annotated[
        Kind, typer.Option(help="Kind of company: pizzeria and logistics in Portuguese, clinic in English.")
    ],
    name: Annotated[str | None, typer.Option(help="The company's name, in place of the sample's.")] = None,
) -> None:
    """Write the documents of a company of that kind, to be edited."""
    sample = load_institution(kind.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigurationError(f"{folder} is not empty; choose another folder")
        for page in sorted(kind.folder.glob("*.md")):
            text = page.read_text(encoding="utf-8").replace(sample.name, name or sample.name)
            (folder / page.name).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{folder} cannot be written ({exc.strerror})") from exc
    written = load_institution(folder)
    console.print(f"{written.name} ({written.language}): {', '.join(sorted(one.name for one in folder.iterdir()))}")
    console.print(f"Edit them, see what is wrong with prosa context check {folder} --watch,")
    console.print(f"talk to them with prosa context try {folder}.")


@app.command("try")
def try_out(folder: Folder = None, as_json: AsJson = False) -> None:
    """Talk to the documents in the terminal; nothing is kept. The sandbox answers, or the model whose key is set."""
    from cli.chat import chat, run

    async def conversation() -> None:
        with tempfile.TemporaryDirectory(prefix="prosa-try-") as scratch:
            store = {"institution": _folder(folder), "engine": "embedded", "store": f"sqlite:{scratch}/try.sqlite"}
            await chat(read_settings().model_copy(update=store), "try", as_json=as_json)

    run(conversation())


@app.command()
def check(
    folder: Folder = None,
    as_json: AsJson = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a document is saved, until Ctrl-C.")
    ] = False,
) -> None:
    """Read the documents; every problem is named with file and line, and the command ends with 2.

    Texts that can never be sent are warnings, which change no exit code.
    """
    documents = _folder(folder)
    if not watch:
        if _withheld(documents, as_json=as_json):
            raise typer.Exit(1)
        return
    seen: dict[Path, int] = {}
    with suppress(KeyboardInterrupt):
        while True:
            saved = {page: page.stat().st_mtime_ns for page in documents.glob("*.md")}
            if saved != seen:
                console.rule(f"{datetime.now():%H:%M:%S}", align="left")
                try:
                    _withheld(documents, as_json=as_json)
                except InstitutionError as exc:
                    errors.print(str(exc))
            seen = saved
            time.sleep(WATCH_SECONDS)


def _withheld(folder: Path, *, as_json: bool) -> list[str]:
    """Print what the documents hold; return the intents whose answer the gate withholds."""
    institution = load_institution(folder)
    floor = Floor(institution)
    spoken = (institution, *map(institution.speaking, institution.translations))
    said = [intent for one in spoken for intent in one.intents]
    withheld = list(dict.fromkeys(one.id for one in said if floor.check_text(one.answer, KnownFacts())))
    warnings = [*never_sent(institution), *untranslated(institution)]
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
    }
    if as_json:
        print_json(summary | {"warnings": warnings})
    else:
        print_table(("what", "value"), list(summary.items()))
        for warning in warnings:
            console.print(f"warning: {warning}", markup=False, highlight=False)
    return withheld


def untranslated(institution: Institution) -> list[str]:
    """Return what is said without a model and a translation leaves in the institution's own language, a line each."""
    ends = {one.id for one in institution.intents if one.escalate or one.conclude or one.spam}
    return [
        f"# {section} {language}: not translated: {', '.join(sorted(missing))}"
        for language, said in institution.translations.items()
        for section, missing in (
            ("Texts", {which.value for which in institution.texts.keys() - said.texts.keys()}),
            ("Intents", ends - said.answers.keys()),
            ("Timers", {one.id for one in institution.timers} - said.timers.keys()),
        )
        if missing
    ]


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
async def publish(folder: Folder = None) -> None:
    """Keep this version of the documents in the store and make it the current one."""
    institution = load_institution(_folder(folder))
    async with open_backend(read_settings()) as backend:
        await backend.store.records.drop(*ROLLBACK)
        fresh = await backend.store.institutions.publish(institution, at=datetime.now(UTC))
    console.print(f"{institution.name} {institution.version}: {'published' if fresh else 'already the current one'}.")
    if fresh:
        console.print(TAKEN_UP)


@app.command()
async def versions(as_json: AsJson = False) -> None:
    """List the published versions of the documents, newest first: the first one is current."""
    async with open_backend(read_settings()) as backend:
        found = await backend.store.institutions.versions()
    view = [{"version": version, "published_at": at.isoformat()} for version, at in found]
    rows = [(version, f"{at:%Y-%m-%d %H:%M:%S} UTC") for version, at in found]
    print_rows(as_json, view, ("version", "published"), rows, empty="None.")


@app.command()
async def rollback(version: Annotated[str, typer.Argument(help="One of prosa context versions.")]) -> None:
    """Make a published version the current one again, in the place of what is in the workers' folder.

    It holds until documents are published that it did not replace, or by prosa context publish.
    """
    async with open_backend(read_settings()) as backend:
        institution = await roll_back(backend.store, version, at=datetime.now(UTC))
    if institution is None:
        raise fail(f"{version} was never published; prosa context versions lists those that were")
    console.print(f"{institution.name} {institution.version}: published. {TAKEN_UP}")


def _folder(given: Path | None) -> Path:
    return given or read_settings().institution
