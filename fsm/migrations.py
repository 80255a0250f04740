"""Migration of a stored conversation to the current version of the table."""

from collections.abc import Callable, Mapping

from contracts.conversation import RESTING_STATES, Conversation, State
from contracts.errors import ConversationMovedError, TransientError
from fsm.table import TABLE_VERSION

# version -> migration of a conversation of that version to the next one.
MIGRATIONS: Mapping[int, Callable[[Conversation], Conversation]] = {}


class NewerTableError(TransientError):
    """A newer release wrote this conversation; a worker of that release will take it."""


def migrate(
    conversation: Conversation,
    *,
    to: int = TABLE_VERSION,
    migrations: Mapping[int, Callable[[Conversation], Conversation]] = MIGRATIONS,
) -> Conversation:
    """Return the conversation for the current table; the same value when nothing has changed.

    Raises:
        NewerTableError: it was stored by a newer table than this one.
        ConversationMovedError: it continues in another store.
        KeyError: a version between has no migration, which the tests rule out.
    """
    if conversation.moved_to is not None:
        raise ConversationMovedError(f"{conversation.id} is in {conversation.moved_to} now")
    if conversation.table_version > to:
        raise NewerTableError(f"stored with table {conversation.table_version}, this release has {to}")
    while conversation.table_version < to:
        step = migrations[conversation.table_version]
        conversation = step(conversation).model_copy(update={"table_version": conversation.table_version + 1})
    # A state that only turns pass through, stored by an earlier table, becomes one that waits for the person.
    if conversation.state not in RESTING_STATES:
        return conversation.model_copy(update={"state": State.AWAITING_USER})
    return conversation
