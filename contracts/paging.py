"""Reads in several calls: all records of a collection, all conversations, the thread of a joined conversation."""

from collections.abc import AsyncIterator
from datetime import datetime

from contracts.conversation import Conversation
from contracts.delivery import Record
from contracts.errors import ConversationConflictError
from contracts.listing import EVERYTHING, ConversationQuery
from contracts.ports import MAX_JOINS, ConversationStore, Records
from contracts.values import ConversationId

PAGE = 200


async def all_records(
    store: Records, collection: str, *, at: datetime, prefix: str = "", after: str = ""
) -> AsyncIterator[Record]:
    """Yield the records with this key prefix after the key `after`, in the order of their keys.

    Raises:
        StoreUnavailableError: it cannot be read now.
    """
    after = after or prefix
    while page := await store.page(collection, at=at, after=after, limit=PAGE):
        for record in page:
            if not record.key.startswith(prefix):
                return
            yield record
        if len(page) < PAGE:
            return
        after = page[-1].key


async def all_conversations(
    store: ConversationStore, query: ConversationQuery = EVERYTHING
) -> AsyncIterator[Conversation]:
    """Yield all conversations of the query; one that changes during this may be passed over.

    Raises:
        StoreUnavailableError: it cannot be read now.
    """
    cursor: str | None = None
    while True:
        page = await store.find(query, limit=PAGE, cursor=cursor)
        for head in page.items:
            yield head
        cursor = page.next_cursor
        if cursor is None:
            return


async def thread_of(conversation_id: ConversationId, store: ConversationStore) -> Conversation:
    """Return the head, as stored, of the thread that the conversation belongs to; an empty one without any.

    Raises:
        ConversationConflictError: it is joined in a circle.
        StoreUnavailableError: it cannot be read now.
    """
    for _ in range(MAX_JOINS):
        head = await store.load(conversation_id) or Conversation(id=conversation_id)
        if head.joined_to is None:
            return head
        conversation_id = head.joined_to
    raise ConversationConflictError(conversation_id, "is joined in a circle")
