"""What Firestore costs, against the emulator: `python -m tests.bench.firestore`.

Beside the adapters stands the bare client, which reads and writes the same documents in the same run: the ratio is
what the adapters add. The emulator shares the machine, so calls a second say what the two of them can do here.
"""

import asyncio
import io
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.cloud.firestore_v1 import AsyncClient
from rich.console import Console
from rich.table import Table

from adapters.clock import SystemClock
from adapters.inboxes.firestore import FirestoreInbox
from adapters.inboxes.memory import MemoryInbox
from adapters.models.scripted import ScriptedModel
from adapters.stores.firestore import FirestoreStore
from adapters.stores.memory import MemoryStore
from contracts.conversation import Conversation
from contracts.delivery import OutboxRow, TurnCommit
from contracts.values import ConversationId
from observability.logs import configure_logs
from tests.builders import agreeable, conversation_id, engine_bed, inbound, open_firestore
from worker.drain import drain

TIMES = 400
AT_ONCE = 32
TEXT = "Bom dia! Vocês entregam no sábado?"

console = Console(highlight=False)


@dataclass(frozen=True)
class Measured:
    """One kind of call, made `TIMES` times, `AT_ONCE` at a time."""

    name: str
    per_second: float
    cpu_ms: float


class Keeping(MemoryStore):
    """Keeps the commits as the engine makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[TurnCommit] = []

    async def commit(self, commit: TurnCommit) -> Conversation:
        self.commits.append(commit)
        return await super().commit(commit)


async def measure(name: str, call: Callable[[int], Awaitable[object]]) -> Measured:
    numbers = iter(range(TIMES))

    async def work() -> None:
        for number in numbers:
            await call(number)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    return Measured(name, TIMES / seconds, cpu_seconds * 1000 / TIMES)


async def first_turns() -> list[TurnCommit]:
    """What the engine commits for one message and one reply, each in a conversation of its own."""
    inbox, store = MemoryInbox(), Keeping()
    bed = engine_bed(inbox, store, model=ScriptedModel(agreeable))
    for number in range(TIMES):
        await inbox.append([inbound(TEXT, conversation=f"c-{number}")])
        await drain(conversation_id(f"c-{number}"), bed.deps)
    return store.commits


async def documents_of(client: AsyncClient, conversation: ConversationId) -> dict[str, dict[str, Any]]:
    """What one commit left of a conversation, by its kind."""
    head = client.document("conversations", conversation)
    found = {"conversations": (await head.get()).to_dict() or {}}
    async for collection in head.collections():
        async for snapshot in collection.stream():
            found[collection.id] = snapshot.to_dict() or {}
    async for snapshot in client.collection("outbox").limit(1).stream():
        found["outbox"] = snapshot.to_dict() or {}
    return found


async def commits_and_reads() -> list[Measured]:
    turns = await first_turns()
    ids = [turn.conversation.id for turn in turns]
    async with open_firestore() as database:
        client, store = database.client(), FirestoreStore(database, clock=SystemClock())
        await store.ping()
        committed = await measure("store: commit of a turn", lambda n: store.commit(turns[n]))
        documents = await documents_of(client, ids[0])

        async def bare_commit(number: int) -> None:
            batch = client.batch()
            for kind, fields in documents.items():
                batch.create(client.document(f"bare-{kind}/{number}"), fields)
            await batch.commit(retry=None, timeout=30)

        async def bare_commit_of_each_line(number: int) -> None:
            """The layout that was not taken: every transition and every line of the transcript by itself."""
            batch = client.batch()
            for kind, fields in documents.items():
                batch.create(client.document(f"lines-{kind}/{number}"), fields)
            for index, line in enumerate((*documents["history"]["transitions"], *documents["history"]["utterances"])):
                batch.create(client.document(f"lines-{number}/{index}"), {"record": line})
            await batch.commit(retry=None, timeout=30)

        rows: list[OutboxRow] = []

        async def unsent(number: int) -> None:
            rows.extend(await store.unsent(ids[number]))

        async def send(number: int) -> None:
            at = rows[number].created_at
            await store.begin_send(rows[number], deadline=at + timedelta(seconds=9), at=at)
            await store.mark_sent(rows[number], platform_message_id=f"p-{number}", at=at)

        return [
            committed,
            await measure(f"bare client: the same {len(documents)} documents", bare_commit),
            await measure("bare client: a document for each line", bare_commit_of_each_line),
            await measure("store: load", lambda n: store.load(ids[n])),
            await measure("bare client: get", lambda n: client.document("conversations", ids[n]).get(timeout=30)),
            await measure("store: unsent", unsent),
            await measure("store: begin and mark a send", send),
        ]


async def arrivals() -> list[Measured]:
    async with open_firestore() as database:
        client, inbox = database.client(), FirestoreInbox(database)
        await inbox.depth()
        number_of = itertools.count()

        async def bare_append(number: int) -> None:
            await client.document(f"bare-boxes/{number}").get(timeout=30)
            await client.document(f"bare-seen/{number}").get(timeout=30)
            batch = client.batch()
            text = inbound(TEXT).model_dump_json()
            batch.create(client.document(f"bare-boxes/{number}"), {"last_sequence": 1, "pending": 1})
            batch.create(client.document(f"bare-entries/{number}"), {"sequence": 1, "attempts": 0, "message": text})
            batch.create(client.document(f"bare-seen/{number}"), {"sequence": 1, "conversation_id": "c"})
            await batch.commit(retry=None, timeout=30)

        async def alone(number: int) -> None:
            await inbox.append([inbound(TEXT, conversation=f"c-{number}")])

        async def together(number: int) -> None:
            await inbox.append([inbound(TEXT, conversation=f"burst-{next(number_of) % 4}")])

        return [
            await measure("inbox: append, each in its conversation", alone),
            await measure("bare client: two reads, three documents", bare_append),
            await measure("inbox: append, all in four conversations", together),
        ]


async def whole_turns() -> list[Measured]:
    """Append, drain, send: the engine with a model and a platform that answer at once."""
    async with open_firestore() as database:
        store = FirestoreStore(database, clock=SystemClock())
        bed = engine_bed(FirestoreInbox(database), store, model=ScriptedModel(agreeable), clock=None)
        memory = engine_bed(MemoryInbox(), MemoryStore(), model=ScriptedModel(agreeable))
        await store.ping()

        async def turn(number: int, on: Any) -> None:
            message = inbound(TEXT, conversation=f"c-{number}")
            await on.inbox.append([message])
            await drain(message.conversation_id, on.deps)

        return [
            await measure("engine: a turn, all in Firestore", lambda n: turn(n, bed)),
            await measure("engine: a turn, all in memory", lambda n: turn(n, memory)),
        ]


async def main() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
    table = Table(title=f"Firestore's emulator, {TIMES} calls, {AT_ONCE} at a time")
    for column in ("call", "a second", "CPU ms of this process"):
        table.add_column(column, justify="left" if column == "call" else "right")
    for measured in (*await commits_and_reads(), *await arrivals(), *await whole_turns()):
        table.add_row(measured.name, f"{measured.per_second:.0f}", f"{measured.cpu_ms:.2f}")
    console.print(table)


if __name__ == "__main__":
    asyncio.run(main())
