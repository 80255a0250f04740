"""Prompts of a turn with the model's raw answers, kept for a limited time where the settings say so (decision 54)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from contracts.delivery import Record
from contracts.messages import digest
from contracts.ports import ModelRequest, SystemBlock
from contracts.values import ConversationId, Kept, Text, TurnId, shortened

COLLECTION = "exchanges"
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
            collection=COLLECTION,
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
