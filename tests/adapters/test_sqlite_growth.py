"""A turn costs SQLite the same whether its conversation is short or long, counted in steps of its virtual machine."""

from collections import Counter
from pathlib import Path

from adapters.sqlite.store import SqliteStore
from contracts.conversation import Conversation
from contracts.values import ConversationId
from tests.builders import sqlite_database
from tests.contract.test_store import turn_commit


async def play(store: SqliteStore, conversation_id: ConversationId) -> None:
    """What a turn asks of the store."""
    head = await store.conversations.load(conversation_id) or Conversation(id=conversation_id)
    assert await store.outbox.unsent(conversation_id) == []
    await store.conversations.commit(turn_commit(head))
    (row,) = await store.outbox.unsent(conversation_id)
    sending = await store.outbox.begin_send(row, deadline=row.created_at, at=row.created_at)
    assert sending
    await store.outbox.mark_sent(sending, platform_message_id=f"p-{row.id}", at=row.created_at)


async def test_a_turn_of_a_long_conversation_takes_no_more_steps(tmp_path: Path) -> None:
    database, steps = sqlite_database(tmp_path / "x.sqlite"), Counter[str]()
    store = SqliteStore(database)
    short, long = ConversationId("web:short"), ConversationId("web:long")

    def count(which: str) -> None:
        steps[which] += 1

    for _ in range(300):
        await play(store, long)
    await play(store, short)
    for which in (short, long):
        await database.run(lambda c, which=which: c.set_progress_handler(lambda: count(which), 1))  # type: ignore[misc]
        await play(store, which)
    assert steps[long] < 1.05 * steps[short]
    database.close()
