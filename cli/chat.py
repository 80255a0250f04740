"""`prosa chat`: a conversation in the terminal, through the ordinary pipeline."""

import asyncio
import os
import sys
import threading
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from adapters.channels.web import web_message
from adapters.clock import SystemClock
from cli.output import SUCCESS, console, print_json
from cli.runtime import open_runtime
from contracts.conversation import TurnRecord
from contracts.settings import Settings
from contracts.values import MessageId
from contracts.views import turn_view
from observability.logs import configure_logs


def run(conversation: Coroutine[Any, Any, None]) -> None:
    """Run a conversation in the terminal until its end or Ctrl-C."""
    configure_logs(level="ERROR")
    try:
        asyncio.run(conversation)
    except KeyboardInterrupt:
        # Everything is closed; only the thread that waits for a line is left, and it would hold up a tidy exit.
        sys.stdout.flush()
        os._exit(SUCCESS)


async def chat(settings: Settings, name: str, *, as_json: bool) -> None:
    """Read lines until the end of the input; a number chooses one of the offered options."""
    async with open_runtime(settings.model_copy(update={"port": 0})) as runtime:
        if not as_json:
            institution = runtime.engine.rulebooks.current().institution.name
            sandbox = " (the sandbox model answers)" if runtime.imitates_model else ""
            console.print(f"{institution}, conversation {name}{sandbox}. End with Ctrl-D.")
        options: list[str] = []
        while (text := await _next_line("> " if sys.stdin.isatty() else "")) is not None:
            if not (text := text.strip()):
                continue
            if text.isdigit() and 1 <= int(text) <= len(options):
                text = options[int(text) - 1]
            message = web_message(name, MessageId(uuid.uuid4().hex), text, at=SystemClock().now())
            turn = await runtime.answer(message)
            if turn is None:
                console.print("No answer yet; it stays in the inbox. prosa conversations trace shows where it is.")
                continue
            options = [option.title for reply in turn.replies for option in reply.options]
            if as_json:
                print_json(turn_view(turn))
            else:
                _show(turn)


async def _next_line(prompt: str) -> str | None:
    """Return a line of the input, None at its end. Read on a daemon thread: Ctrl-C must not wait for one more line."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str | None] = loop.create_future()

    def give(text: str | None) -> None:
        if not line.done():
            line.set_result(text)

    def read() -> None:
        try:
            text = input(prompt)
        except EOFError:
            text = None
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(give, text)

    threading.Thread(target=read, daemon=True).start()
    return await line


def _show(turn: TurnRecord) -> None:
    for reply in turn.replies:
        console.print(reply.text or f"[{reply.type}]", style="green")
        for number, option in enumerate(reply.options, start=1):
            console.print(f"  {number}. {option.title}")
    if not turn.replies:
        console.print(f"(no reply: {turn.reason}, the conversation is {turn.state})", style="yellow")
    sure = [f"{turn.confidence:.2f}"] if turn.confidence is not None else []
    cost = f"USD {turn.cost_usd}" if turn.cost_usd is not None else "price unknown"
    parts = [turn.state.value, turn.intent or "-", *sure, f"{turn.ms.total:.0f} ms", cost]
    console.print("  " + " · ".join(parts), style="dim")
