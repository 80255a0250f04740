"""Cache warming: plays questions through the real pipeline, into a temporary store and a silent channel."""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from adapters.channels.platform import Platform
from adapters.channels.registry import PLATFORMS
from adapters.channels.web import web_message
from adapters.clock import SystemClock
from adapters.memory.events import MemoryEvents
from adapters.sqlite.database import IN_MEMORY, Database
from adapters.sqlite.inbox import SqliteInbox, prepare_inbox
from adapters.sqlite.store import SqliteStore, prepare_store
from cli.sandboxed import sandboxed
from contracts.delivery import OutboxRow
from contracts.errors import ConfigurationError
from contracts.messages import Address, ChannelName
from contracts.ports import ChannelLimits
from contracts.settings import Settings
from contracts.values import MessageId
from worker.backends import Backend
from worker.bootstrap import open_engine
from worker.drain import drain

AT_ONCE = 10
MOST_CHARACTERS = 500
CHANNELS: Mapping[str, ChannelLimits] = {name: platform.limits for name, platform in PLATFORMS.items()}


def read_questions(path: Path) -> list[str]:
    """The lines of a file that are not empty, each once.

    Raises:
        ConfigurationError: it cannot be read, or has a line that is too long for a question.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    for number, line in enumerate(lines, start=1):
        if len(line) > MOST_CHARACTERS:
            raise ConfigurationError(f"{path.name}:{number}: more than {MOST_CHARACTERS} characters")
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


async def warm_up(settings: Settings, questions: Sequence[str], channel: str, *, advance: Callable[[], object]) -> int:
    """Ask each question; return how many a model has answered."""
    name = ChannelName(channel)
    database = Database(IN_MEMORY, prepare_inbox, prepare_store)
    backend = Backend(SqliteInbox(database), SqliteStore(database), MemoryEvents())
    room = asyncio.Semaphore(AT_ONCE)
    silent = {name: SilentChannel(PLATFORMS[name])}
    settings = settings.model_copy(update={"quiet_window_s": "0"})
    async with sandboxed(settings) as (effective, _), open_engine(effective, backend, channels=silent) as engine:

        async def ask(question: str) -> bool:
            # The first message of a person who does not exist.
            person = f"warming-{secrets.token_hex(8)}"
            message = web_message(person, MessageId(person), question, at=SystemClock().now())
            address = Address(channel=name, account=name, person=person)
            async with room:
                await backend.inbox.append([message.model_copy(update={"address": address})])
                await drain(message.conversation_id, engine.drain)
                advance()
            turns = await backend.store.conversations.turns(message.conversation_id)
            return any(turn.replies and not turn.fallback for turn in turns)

        return sum(await asyncio.gather(*(ask(question) for question in questions)))


class SilentChannel:
    """Sending side of a platform, with its limits, that accepts everything and sends nothing."""

    send_timeout, settle_after = timedelta(seconds=5), timedelta(0)
    is_watched = shows_forming_text = False

    def __init__(self, platform: Platform) -> None:
        self.name, self.limits, self.reply_window = platform.name, platform.limits, platform.reply_window

    async def send(self, row: OutboxRow) -> str:
        return f"unsent-{row.id}"

    def acknowledge(self, address: Address, platform_message_id: str) -> None:
        return

    async def close(self) -> None:
        return
