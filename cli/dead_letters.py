"""`prosa dead-letters`: messages that could not be processed, kept until a person looks at them."""

from typing import Annotated

import typer

from adapters.clock import SystemClock
from adapters.dead_letters import retry_dead_letter
from cli.output import AsJson, clock_time, console, fail, group, print_json, print_rows
from cli.settings import read_settings
from worker.backends import open_backend

app = group("Messages that could not be processed.")

Id = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
async def list_(limit: Annotated[int, typer.Option(min=1)] = 100, as_json: AsJson = False) -> None:
    """List dead letters, the newest first."""
    async with open_backend(read_settings()) as backend:
        letters = await backend.store.dead_letters.letters(limit=limit)
    view = [letter.model_dump(mode="json", exclude={"message", "raw"}) for letter in letters]
    rows = [
        (letter.id, clock_time(letter.at), letter.channel, letter.conversation_id, letter.reason, letter.attempts)
        for letter in letters
    ]
    columns = ("id", "when", "channel", "conversation", "reason", "attempts")
    print_rows(as_json, view, columns, rows, empty="No dead letters.")


@app.command()
async def show(letter: Id) -> None:
    """Print one dead letter as JSON, with the message as it came."""
    async with open_backend(read_settings()) as backend:
        found = await backend.store.dead_letters.get(letter)
    if found is None:
        raise fail(f"there is no dead letter {letter}; prosa dead-letters list shows them")
    print_json(found.model_dump(mode="json"))


@app.command()
async def retry(letter: Id) -> None:
    """Put the message back into its conversation; a running worker answers it."""
    async with open_backend(read_settings()) as backend:
        at, letters = SystemClock().now(), backend.store.dead_letters
        conversation_id = await retry_dead_letter(letter, backend.inbox, letters, at=at)
    if conversation_id is None:
        raise fail(f"{letter} cannot be retried: there is none, or it was never a readable message")
    console.print(f"Back in {conversation_id}; prosa conversations trace {conversation_id} follows it.")


@app.command()
async def drop(letter: Id) -> None:
    """Forget one dead letter."""
    async with open_backend(read_settings()) as backend:
        dropped = await backend.store.dead_letters.drop(letter)
    if not dropped:
        raise fail(f"there is no dead letter {letter}")
    console.print("Dropped.")
