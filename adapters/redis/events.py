"""Live events between processes, over Redis publish/subscribe."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from pydantic import ValidationError
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from adapters.memory.events import MemoryEvents
from adapters.redis.database import PREFIX, RedisDatabase, Script
from contracts.errors import StoreUnavailableError
from contracts.ports import LiveEvent
from contracts.values import ConversationId

CHANNELS = f"{PREFIX}events:"
# One call for a batch, since two of them could overtake each other on two connections.
PUBLISH = Script.of("for n = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[n], ARGV[n + 1]) end")
BATCH = 256
# Events that a process queues while Redis does not accept them; the rest is dropped.
BUFFER = 4_096
# Time that a subscriber waits for Redis's confirmation; without it, events start once Redis is back.
CONFIRM_WITHIN = timedelta(seconds=1)
RECONNECT_AFTER = timedelta(milliseconds=200)
# After this silence the connection is pinged, and has as long again to reply.
SILENCE = timedelta(seconds=15)


class RedisEvents:
    """Satisfies the `Events` port among all processes of one Redis.

    Publishing never waits: events leave in the background, in order, and are dropped and counted while Redis is
    unavailable. One connection serves all subscribers of this process, with subscriptions to their channels alone.
    """

    def __init__(
        self,
        database: RedisDatabase,
        *,
        on_dropped: Callable[[int], object] = lambda _: None,
        confirm_within: timedelta = CONFIRM_WITHIN,
    ) -> None:
        self._database = database
        self._on_dropped = on_dropped
        self._confirm_seconds = confirm_within.total_seconds()
        self._outgoing: deque[tuple[str, str]] = deque()
        self._publishing: asyncio.Task[None] | None = None
        self._here = MemoryEvents()
        self._watched: dict[str, _Channel] = {}
        self._listening: asyncio.Task[None] | None = None
        self._connection: AbstractConnection | None = None
        # Unconfirmed subscriptions, by channel. A channel left and joined again at once is subscribed to twice, and
        # only the last confirmation means that no event is missed from there on.
        self._unanswered: Counter[str] = Counter()

    async def publish(self, conversation_id: ConversationId, event: LiveEvent) -> None:
        if len(self._outgoing) >= BUFFER:
            self._on_dropped(1)
            return
        self._outgoing.append((CHANNELS + conversation_id, event.model_dump_json()))
        if self._publishing is None:
            self._publishing = asyncio.create_task(self._publish_all())

    @asynccontextmanager
    async def subscribe(self, conversation_id: ConversationId) -> AsyncIterator[AsyncIterator[LiveEvent]]:
        name = CHANNELS + conversation_id
        async with self._here.subscribe(conversation_id) as news:
            channel = self._watched.setdefault(name, _Channel())
            channel.watchers += 1
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._confirm_seconds):
                        if self._listening is None:
                            self._listening = asyncio.create_task(self._listen())
                        elif channel.watchers == 1:
                            await self._send("SUBSCRIBE", name)
                        await channel.confirmed.wait()
                yield news
            finally:
                channel.watchers -= 1
                if not channel.watchers:
                    del self._watched[name]
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._confirm_seconds):
                            await self._send("UNSUBSCRIBE", name)

    async def flushed(self) -> None:
        """Wait until all published events were sent or dropped."""
        while self._publishing is not None:
            await asyncio.wait([self._publishing])

    async def close(self) -> None:
        """Send the remaining events and stop listening."""
        await self.flushed()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    async def _publish_all(self) -> None:
        try:
            while self._outgoing:
                batch = [self._outgoing.popleft() for _ in range(min(BATCH, len(self._outgoing)))]
                try:
                    await self._database.run(
                        PUBLISH, *(part for channel_and_event in batch for part in channel_and_event)
                    )
                except StoreUnavailableError:
                    self._on_dropped(len(batch))
        finally:
            self._publishing = None

    async def _send(self, command: str, *names: str) -> None:
        """Send the command, if there is a connection; a new connection subscribes to every watched channel."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            return
        if command == "SUBSCRIBE":
            self._unanswered.update(names)
        # The listener detects a failure.
        with suppress(RedisError, OSError):
            await connection.send_command(command, *names, check_health=False)

    async def _listen(self) -> None:
        """Deliver what is published, over a new connection after each failure."""
        while True:
            with suppress(RedisError, OSError):
                self._connection = connection = await self._database.connect()
                try:
                    if self._watched:
                        await self._send("SUBSCRIBE", *self._watched)
                    await self._read(connection)
                finally:
                    self._connection = None
                    self._unanswered.clear()
                    for channel in self._watched.values():
                        channel.confirmed.clear()
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(RECONNECT_AFTER.total_seconds())

    async def _read(self, connection: AbstractConnection) -> None:
        is_asked = False
        while True:
            reply = await connection.read_response(timeout=SILENCE.total_seconds())
            if reply is None and is_asked:
                raise RedisConnectionError("silent")
            is_asked = reply is None
            match reply:
                case None:
                    await connection.send_command("PING", check_health=False)
                case [b"message", name, text]:
                    try:
                        event = LiveEvent.model_validate_json(text)
                    except ValidationError:
                        # From a process of another version.
                        self._on_dropped(1)
                        continue
                    await self._here.publish(ConversationId(name.decode().removeprefix(CHANNELS)), event)
                case [b"subscribe", confirmed, _]:
                    channel = confirmed.decode()
                    self._unanswered[channel] -= 1
                    if self._unanswered[channel] <= 0:
                        del self._unanswered[channel]
                        if channel in self._watched:
                            self._watched[channel].confirmed.set()


class _Channel:
    """Subscribers of one channel in this process, and whether Redis has confirmed the subscription."""

    def __init__(self) -> None:
        self.watchers = 0
        self.confirmed = asyncio.Event()
