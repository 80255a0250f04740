"""Live conversations move from one store to another: copied while they go on, then cut over one by one.

A copy changes nothing at its source, can be repeated, and skips what has not changed since. A cut-over seals the
conversation at its source first, by the same compare-and-set that protects every commit: whoever thinks about it there
cannot write it any more, and its messages wait until they are moved to where the conversation is now. The way back is
the same cut-over in the other direction.
"""

from dataclasses import dataclass
from enum import StrEnum

from contracts.conversation import RESTORING, Conversation
from contracts.delivery import ConversationArchive, TurnCommit
from contracts.errors import ConversationConflictError, StoreUnavailableError
from contracts.ports import Inbox, Store
from contracts.values import ConversationId
from worker.backends import Backend

SNAPSHOT_ATTEMPTS = 10
# Error code of a reply that is the target's to send.
WITHDRAWN = "moved"


class Moved(StrEnum):
    """Outcome of the move of one conversation."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    CUT_OVER = "cut over"
    AHEAD = "ahead"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Place:
    """A store and its inbox, with the name that a conversation that moved there carries."""

    name: str
    backend: Backend

    @property
    def store(self) -> Store:
        return self.backend.store

    @property
    def inbox(self) -> Inbox:
        return self.backend.inbox


@dataclass(frozen=True)
class Migration:
    """From one place to the other. With `shares_inbox` messages stay where they are: both places read the same ones."""

    source: Place
    target: Place
    shares_inbox: bool

    async def copy(self, conversation_id: ConversationId, *, replacing: bool = False) -> Moved:
        """Bring the target's copy up to date; `DIFFERENT` when it does not read back as it was written.

        With `replacing` it takes the place of a newer one, too.
        """
        archive = await archive_of(conversation_id, self.source.store)
        there = await self.target.store.conversations.load(conversation_id)
        if archive is None or archive.head.moved_to is not None:
            return Moved.AHEAD
        if not replacing and _is_ahead(there, archive.head):
            return Moved.AHEAD
        if there == archive.head:
            return Moved.UNCHANGED
        return await self._write(archive, Moved.COPIED)

    async def cut_over(self, conversation_id: ConversationId) -> Moved:
        """Seal the conversation here and go on with it there; a second time takes up an interrupted first."""
        sealed = await self._seal(conversation_id)
        if sealed is None:
            return Moved.AHEAD
        there = await self.target.store.conversations.load(conversation_id)
        opened = sealed.model_copy(update={"head": sealed.head.model_copy(update={"moved_to": None})})
        if _is_ahead(there, sealed.head):
            outcome = Moved.AHEAD
        elif there == opened.head:
            # An earlier run has written it. Its replies stay: here they may be withdrawn already.
            written = await archive_of(opened.head.id, self.target.store)
            same = written and written == opened.model_copy(update={"outbox": written.outbox})
            outcome = Moved.CUT_OVER if same else Moved.DIFFERENT
        else:
            outcome = await self._write(opened, Moved.CUT_OVER)
        if outcome is not Moved.DIFFERENT:
            # From here on the target sends what was not sent. Nothing else is written here: a crash must leave all.
            outbox = self.source.store.outbox
            for row in await outbox.rows(conversation_id):
                if row.is_unsent:
                    await outbox.mark_failed(row.id, error_code=WITHDRAWN, at=row.updated_at)
            for row in await outbox.rows(conversation_id):
                if row.needs_escalation and row.error_code == WITHDRAWN:
                    await outbox.escalation_done(row.id)
            await self.move_messages(conversation_id)
        return outcome

    async def move_messages(self, conversation_id: ConversationId) -> int:
        """Hand over what waits here; a message that is there already is recognised by its deduplication key."""
        if self.shares_inbox:
            return 0
        head = await self.source.store.conversations.load(conversation_id)
        answered_up_to = head.last_sequence if head is not None else 0
        entries = await self.source.inbox.pending(conversation_id)
        waiting = [entry.message for entry in entries if entry.sequence > answered_up_to]
        await self.target.inbox.append(waiting)
        await self.source.inbox.remove(conversation_id, [entry.sequence for entry in entries])
        return len(waiting)

    async def _seal(self, conversation_id: ConversationId) -> ConversationArchive | None:
        for _ in range(SNAPSHOT_ATTEMPTS):
            head = await self.source.store.conversations.load(conversation_id)
            if head is None or head.moved_to == RESTORING:
                return None
            if head.moved_to is None:
                sealing = TurnCommit(conversation=head.model_copy(update={"moved_to": self.target.name}))
                try:
                    await self.source.store.conversations.commit(sealing)
                except ConversationConflictError:
                    continue
            return await archive_of(conversation_id, self.source.store)
        raise StoreUnavailableError(f"{conversation_id} kept changing")

    async def _write(self, archive: ConversationArchive, done: Moved) -> Moved:
        await self.target.store.conversations.restore(archive)
        answered = [receipt.message for receipt in archive.receipts]
        await self.target.inbox.advance(archive.head.id, past=archive.head.last_sequence, answered=answered)
        for join in archive.head.joins:
            if (joined := await archive_of(join.id, self.source.store)) is not None:
                await self.target.store.conversations.restore(joined)
            await self.target.inbox.join(join.id, archive.head.id)
        written = await archive_of(archive.head.id, self.target.store)
        return done if written == archive else Moved.DIFFERENT


async def archive_of(conversation_id: ConversationId, store: Store) -> ConversationArchive | None:
    """Everything of the conversation as it was at one moment; None when it is not there.

    Raises:
        StoreUnavailableError: it kept changing while it was read.
    """
    for _ in range(SNAPSHOT_ATTEMPTS):
        head = await store.conversations.load(conversation_id)
        if head is None:
            return None
        archive = ConversationArchive(
            head=head,
            transitions=tuple(await store.conversations.transitions(conversation_id)),
            utterances=tuple(await store.conversations.transcript(conversation_id)),
            turns=tuple(await store.conversations.turns(conversation_id)),
            receipts=tuple(await store.conversations.receipts(conversation_id)),
            outbox=tuple(await store.outbox.rows(conversation_id)),
            dead_letters=tuple(await store.dead_letters.letters(conversation_id=conversation_id, limit=10_000)),
        )
        if await store.conversations.load(conversation_id) == head:
            return archive
    raise StoreUnavailableError(f"{conversation_id} kept changing")


def _is_ahead(there: Conversation | None, head: Conversation) -> bool:
    """Whether the target has gone on by itself: it holds a higher version that was not sealed there."""
    return there is not None and there.moved_to is None and there.version > head.version
