"""`prosa dead-letters`: messages that could not be processed, kept until a person looks at them."""

import asyncio
from typing import Annotated

import typer

from cli.output import AsJson, clock_time, console, fail, print_json, print_table
from cli.settings import read_settings
from worker import operator_actions
from worker.backends import open_backend
from worker.bootstrap import open_operations

app = typer.Typer(add_completion=False, help="Messages that could not be processed.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1)] = 100, as_json: AsJson = False) -> None:
    """List dead letters, the newest first."""
    asyncio.run(_list(limit, as_json))


@app.command()
def show(letter: Id) -> None:
    """Print one dead letter as JSON, with the message as it came."""
    asyncio.run(_show(letter))


@app.command()
def retry(letter: Id) -> None:
    """Put the message back into its conversation; a running worker answers it."""
    asyncio.run(_retry(letter))


@app.command()
def drop(letter: Id) -> None:
    """Forget one dead letter."""
    asyncio.run(_drop(letter))


async def _list(limit: int, as_json: bool) -> None:
    async with open_backend(read_settings()) as backend:
        letters = await backend.store.dead_letters.letters(limit=limit)
    if as_json:
        print_json([letter.model_dump(mode="json", exclude={"message", "raw"}) for letter in letters])
        return
    rows = [
        (letter.id, clock_time(letter.at), letter.channel, letter.conversation_id, letter.reason, letter.attempts)
        for letter in letters
    ]
    print_table(("id", "when", "channel", "conversation", "reason", "attempts"), rows, empty="No dead letters.")


async def _show(letter_id: str) -> None:
    async with open_backend(read_settings()) as backend:
        letter = await backend.store.dead_letters.get(letter_id)
    if letter is None:
        raise fail(f"there is no dead letter {letter_id}; prosa dead-letters list shows them")
    print_json(letter.model_dump(mode="json"))


async def _retry(letter_id: str) -> None:
    async with open_operations(read_settings()) as engine:
        conversation_id = await operator_actions.retry_dead_letter(letter_id, engine.operators)
    if conversation_id is None:
        raise fail(f"{letter_id} cannot be retried: there is none, or it was never a readable message")
    console.print(f"Back in {conversation_id}; prosa conversations trace {conversation_id} follows it.")


async def _drop(letter_id: str) -> None:
    async with open_backend(read_settings()) as backend:
        dropped = await backend.store.dead_letters.drop(letter_id)
    if not dropped:
        raise fail(f"there is no dead letter {letter_id}")
    console.print("Dropped.")
