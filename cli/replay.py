"""`prosa replay`: recorded messages through the real pipeline, one line of JSON for each turn."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from dotenv import dotenv_values
from pydantic import Field, ValidationError
from rich.progress import Progress

from adapters.channels.web import web_message
from adapters.clock import SystemClock
from cli.output import errors, visible
from cli.runtime import Runtime, open_runtime
from contracts.errors import ConfigurationError, TransientError
from contracts.settings import Settings, checked
from contracts.values import MessageId, Text, Value
from contracts.views import turn_view

CONVERSATIONS_AT_ONCE = 50
MODEL_TIMEOUT_S, TURN_BUDGET_S = 60.0, 180.0


class Line(Value):
    """One recorded message."""

    conversation: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    channel: str = Field(default="web", pattern="^web$")
    text: Text = Field(min_length=1, max_length=8_000)
    id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:~-]{1,128}$")
    name: Text | None = None


@dataclass(frozen=True)
class Recorded:
    """A line with its place in the file, which gives it an id where it brings none."""

    number: int
    line: Line

    @property
    def message_id(self) -> MessageId:
        return MessageId(self.line.id or f"line-{self.number}")


def offline(settings: Settings) -> Settings:
    """Return the settings for turns that nobody waits for.

    Nothing leaves the process but calls of the model: no platform, notice, report or callback. A slow model gets more
    time than a person would give it, as a fallback for slowness would look like a difference of the versions.
    """
    nowhere = ("notify_slack_url", "notify_url", "analysis_callback_url", "slack_webhook_url", "smtp_url")
    patient = {
        "model_timeout_s": max(settings.model_timeout_s, MODEL_TIMEOUT_S),
        "turn_budget_s": max(settings.turn_budget_s, TURN_BUDGET_S),
    }
    silent = {
        "port": 0,
        "quiet_window_s": "0",
        "prompts_kept_hours": 0,
        "channels": (),
        "notify_email": "",
        **dict.fromkeys(nowhere),
    }
    return settings.model_copy(update=silent | patient)


def read_recording(path: Path) -> list[Recorded]:
    """Read a JSONL file. Raises ConfigurationError: a line is not a message; all such lines are named."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc.strerror}") from exc
    recorded, problems = [], []
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            recorded.append(Recorded(number, Line.model_validate(orjson.loads(raw))))
        except orjson.JSONDecodeError as exc:
            problems.append(f"{path.name}:{number}: not JSON ({exc.msg})")
        except ValidationError as exc:
            first = exc.errors(include_input=False)[0]
            problems.append(f"{path.name}:{number}: {'.'.join(map(str, first['loc']))}: {first['msg']}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return recorded


async def replay(settings: Settings, recorded: Sequence[Recorded]) -> tuple[list[dict[str, Any]], int]:
    """Play the messages, conversations side by side; return the turns in the file's order, and how many failed."""
    by_conversation: dict[str, list[Recorded]] = {}
    for one in recorded:
        by_conversation.setdefault(one.line.conversation, []).append(one)
    turns: dict[int, dict[str, Any] | None] = {}
    room = asyncio.Semaphore(CONVERSATIONS_AT_ONCE)
    with ExitStack() as stack:
        if not settings.store:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="prosa-replay-"))
            settings = settings.model_copy(update={"store": f"sqlite:{folder}/replay.sqlite"})
        progress = stack.enter_context(Progress(console=errors, transient=True, disable=not sys.stderr.isatty()))
        bar = progress.add_task("Replaying", total=len(recorded))
        async with open_runtime(offline(settings)) as runtime:

            async def play_in_order(messages: list[Recorded]) -> None:
                async with room:
                    for one in messages:
                        turns[one.number] = await play(runtime, one)
                        progress.advance(bar)

            async with asyncio.TaskGroup() as group:
                for messages in by_conversation.values():
                    group.create_task(play_in_order(messages))
    found = {turn.pop("turn"): turn for one in recorded if (turn := turns[one.number]) is not None}
    return list(found.values()), sum(turn is None for turn in turns.values())


def candidate(folder: Path, settings: Settings) -> Settings:
    """Return the settings with what the folder has: documents in `institution`, templates in `prompts`, and `.env`.

    Raises:
        ConfigurationError: it has none of them, or a setting that is none.
    """
    own = {"PROSA_INSTITUTION": folder / "institution", "PROSA_TEMPLATES": folder / "prompts"}
    changes = {name: str(path) for name, path in own.items() if path.is_dir()}
    changes |= {name: value or "" for name, value in dotenv_values(folder / ".env", interpolate=False).items()}
    if not changes:
        raise ConfigurationError(f"{folder} has no institution, no prompts and no .env: there is nothing to compare")
    return checked(settings, **changes)


def write_turns(turns: Sequence[dict[str, Any]], to: Path | None) -> None:
    """Write a line of JSON for each turn to the file, or to standard output."""
    text = "".join(visible(orjson.dumps(turn).decode()) + "\n" for turn in turns)
    to.write_text(text, encoding="utf-8") if to else sys.stdout.write(text)


def read_turns(path: Path) -> list[dict[str, Any]]:
    """Read turns that an earlier replay wrote.

    Raises:
        ConfigurationError: the file has none, or they lack what is compared.
    """
    try:
        turns = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    except (OSError, orjson.JSONDecodeError) as exc:
        raise ConfigurationError(f"{path} is not what prosa replay --out writes: {exc}") from exc
    if not turns or not all(isinstance(turn, dict) and "waiting_for" in turn for turn in turns):
        raise ConfigurationError(f"{path} has no turns of this release: write them again with prosa replay --out")
    return turns


async def play(runtime: Runtime, one: Recorded) -> dict[str, Any] | None:
    """One message in, its turn out; None when no turn came in time."""
    line, at = one.line, SystemClock().now()
    try:
        turn = await runtime.answer(
            web_message(line.conversation, one.message_id, line.text, at=at, person_name=line.name)
        )
    except TransientError as exc:
        errors.print(f"line {one.number}: {type(exc).__name__}")
        return None
    if turn is None:
        errors.print(f"line {one.number}: no turn within {runtime.settings.turn_patience.total_seconds():g} s")
        return None
    return turn_view(turn) | {"conversation": line.conversation, "turn": turn.id}
