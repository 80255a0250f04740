"""One turn of a conversation: the messages answered together, and the reason for what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from contracts.delivery import InboxEntry
from contracts.media import ContentKind, ReadContent
from contracts.messages import InboundMessage, Revision, newest_texts, whole_id
from contracts.values import ConversationId, MessageId, TurnId, shortened

DESCRIPTION_CHARACTERS = 600


class TurnReason(StrEnum):
    """Reason for the outcome of a turn, or of a move outside one. Values are stored and shown: they stay."""

    # Without a model call
    RECORDED_ONLY = "record"
    OPTED_OUT = "opt_out"
    OPTED_IN = "opt_in"
    FLOODED = "flood"
    UNREADABLE = "unreadable"
    OLD = "old"
    TOO_OLD = "too_old"
    AGENT_OWNS_IT = "hold"
    AUTOMATON = "automaton"
    ASKED_FOR_ASSISTANT = "assistant"
    RATED_SATISFIED = "satisfied"
    RATED_UNSATISFIED = "unsatisfied"
    SCORED = "scored"
    # Task 1 was followed, or its confidence was below the threshold
    DECIDED = "decided"
    UNCLEAR = "unclear"
    FORM_COMPLETED = "form_completed"
    # No answer of the model could be sent
    MODEL_UNAVAILABLE = "model_unavailable"
    MODEL_OUTPUT_UNUSABLE = "model_output_unusable"
    BUDGET_SPENT = "budget"
    REPLY_BLOCKED = "gate"
    # Outside the pipeline
    DEAD_LETTERED = "dead_letter"
    BY_OPERATOR = "operator"
    REOPENED = "reopened"
    TIMED_OUT = "time_out"
    JOINED = "joined"
    PARTED = "parted"


@dataclass(frozen=True)
class Turn:
    """Messages of one conversation that get one reply; people write in bursts.

    `early_revisions` came before the messages that they edit or delete.
    """

    conversation_id: ConversationId
    entries: tuple[InboxEntry, ...]
    early_revisions: tuple[Revision, ...] = ()

    @property
    def id(self) -> TurnId:
        return TurnId(f"{self.conversation_id}/{self.last_sequence}")

    @property
    def last_sequence(self) -> int:
        return self.entries[-1].sequence

    @property
    def messages(self) -> tuple[InboundMessage, ...]:
        return tuple(entry.message for entry in self.entries)

    @property
    def correlation_id(self) -> MessageId:
        """Id of the turn's first message, which every log line about the turn carries."""
        return self.entries[0].message.id

    @property
    def revisions(self) -> tuple[Revision, ...]:
        """Edits and deletions, in the order in which they were made."""
        made = sorted(self.messages, key=lambda message: message.sent_at or message.received_at)
        return tuple(message.revision for message in made if message.revision)

    @property
    def answerable(self) -> tuple[InboundMessage, ...]:
        """Messages to answer, in the order in which they were written, with the edits and deletions made before."""
        texts = newest_texts((*self.early_revisions, *self.revisions))
        return tuple(
            message.model_copy(update={"text": texts[message.id]}) if message.id in texts else message
            for message in sorted(self.messages, key=lambda message: message.written_at)
            if not message.is_recorded_only and texts.get(whole_id(message.id), "") is not None
        )

    @property
    def seen(self) -> tuple[InboundMessage, ...]:
        """Messages with a picture or a document that was opened."""
        contents = [(message, message.content) for message in self.messages]
        return tuple(
            message
            for message, content in contents
            if content is not None and content.kind is ContentKind.SEEN and content.refused is None
        )

    def having_read(self, contents: Mapping[MessageId, ReadContent]) -> Self:
        """Return the turn with what was read in its files; heard words are the person's, behind those of a caption."""
        entries = []
        for entry in self.entries:
            if content := contents.get((message := entry.message).id):
                words = (message.text, content.text if content.kind is ContentKind.HEARD else "")
                read = {"content": content, "text": "\n".join(one for one in words if one)}
                entry = entry.model_copy(update={"message": message.model_copy(update=read)})
            entries.append(entry)
        return replace(self, entries=tuple(entries))

    def described(self, description: str | None) -> Self:
        """Return the turn with the description of its files, which stays in their place, at the newest of them."""
        if not description or not self.seen:
            return self
        text = shortened(description, DESCRIPTION_CHARACTERS)
        return self.having_read({self.seen[-1].id: ReadContent(kind=ContentKind.SEEN, text=text)})

    def after(self, sequence: int) -> Self:
        """Return what is left of the turn when everything up to `sequence` has been answered."""
        return replace(self, entries=tuple(entry for entry in self.entries if entry.sequence > sequence))
