"""One turn of a conversation: the messages answered together, the reason for what became of them, and its prompts.

Prompts with the model's raw answers are kept for a limited time where the settings say so (decision 54).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

import orjson

from contracts.delivery import InboxEntry, Record
from contracts.media import ContentKind, ReadContent
from contracts.messages import InboundMessage, Revision, digest, newest_texts, whole_id
from contracts.ports import ModelRequest, SystemBlock
from contracts.values import ConversationId, Kept, MessageId, Text, TurnId, shortened

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


EXCHANGES = "exchanges"
# Of one text; and of a turn, below the 1 MiB of a document in Firestore.
TEXT_CHARACTERS, TURN_BYTES = 30_000, 400_000


@dataclass
class Asked:
    """One request of a prompt task and, once it has come, the answer; `cache` names the level that served it."""

    task: str
    template: str
    request: ModelRequest
    answer: str = ""
    model: str = ""
    cache: str | None = None


class Exchange(Kept):
    """One request as it is kept: the user's part and the answer as they were.

    Of the system part, which documents and template make, the digest is kept: a reader renders it again and compares.
    `files` counts those that were shown to the model and are not kept; `repair_reason` asks for a better answer.
    """

    task: str
    template: str
    system_digest: str
    user: Text
    answer: Text
    model: str
    files: int = 0
    repair_reason: Text | None = None
    cache: str | None = None

    @classmethod
    def of(cls, asked: Asked) -> "Exchange":
        request = asked.request
        return cls(
            task=asked.task,
            template=asked.template,
            system_digest=system_digest(request.system),
            user=shortened(request.user, TEXT_CHARACTERS),
            answer=shortened(asked.answer, TEXT_CHARACTERS),
            model=asked.model or request.model,
            files=len(request.files),
            repair_reason=request.repair_reason,
            cache=asked.cache,
        )


class TurnExchanges(Kept):
    """Exchanges of one turn, in the order of asking, with the version of the documents that they were asked by."""

    turn_id: TurnId
    institution_version: str
    exchanges: tuple[Exchange, ...]

    def filed(self, owner: ConversationId, *, at: datetime, kept: timedelta) -> Record:
        """Return the record, which is erased with the conversation; the oldest exchanges make room for the newest."""
        exchanges = [one.model_dump(mode="json", exclude_defaults=True) for one in self.exchanges]
        while len(exchanges) > 1 and len(orjson.dumps(exchanges)) > TURN_BYTES:
            exchanges.pop(0)
        return Record(
            collection=EXCHANGES,
            key=key_of(self.turn_id),
            body=self.model_dump(mode="json", exclude={"exchanges"}) | {"exchanges": exchanges},
            owner=owner,
            expires_at=at + kept,
            updated_at=at,
        )


def system_digest(blocks: Sequence[SystemBlock]) -> str:
    return digest(*(block.text for block in blocks))


def exchanges_of(conversation: str) -> str:
    """Return the common prefix of the keys of a conversation's turns."""
    return f"{digest(conversation)}-"


def key_of(turn_id: TurnId) -> str:
    conversation, _, sequence = turn_id.rpartition("/")
    return f"{exchanges_of(conversation)}{sequence:0>10}"
