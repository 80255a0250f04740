"""Events on their way to the team's receivers, as records of the commit that brought them about."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.conversation import Conversation, Speaker
from contracts.delivery import Record
from contracts.institution import Institution
from contracts.links import unlinked
from contracts.messages import Address
from contracts.values import ConversationId, Instant, Kept, Value

COLLECTION = "notices"
KEPT_FOR = timedelta(days=30)


class NoticeTarget(StrEnum):
    """Receivers of the team. Slack, e-mail and a channel's help desk get hand-offs, the webhook every chosen event."""

    SLACK = "slack"
    EMAIL = "email"
    WEBHOOK = "webhook"
    HELP_DESK = "help_desk"


class NoticeEvent(StrEnum):
    """Events of conversations; `docs/reference/events.md` is written out of these texts."""

    HAND_OFF = "hand_off"
    """The conversation waits for an agent; `number` counts the repetitions. Fields: `reason`, `person`, `summary`,
    `facts`, `open_question`, `last_messages`, `model_summary`, `waiting_minutes`"""
    HAND_BACK = "hand_back"
    """The assistant answers again. Fields: `reason`, and `by`: the agent"""
    REPLY = "reply"
    """A reply is committed, the assistant's or an agent's. Fields: `messages`: `text`, `type`, `author` (the agent, or
    null)"""
    OPT_OUT = "opt_out"
    """The person wants no messages. Fields: none"""
    FORM = "form"
    """A form is complete whose line says `on_complete: webhook`, whatever `PROSA_NOTIFY_EVENTS` names. Fields:
    `business_line`, `intent`, `fields`"""


class Notice(Kept):
    """One event for one receiver. `number` counts the announcements of a hand-off, from 1; `attempts` those of one.

    `data` is what the event adds to the conversation's head, which is read when the notice is sent.
    """

    event: NoticeEvent
    target: NoticeTarget
    conversation_id: ConversationId
    data: dict[str, Any] = Field(default_factory=dict)
    number: int = 1
    attempts: int = 0
    at: Instant

    def record(self, key: str) -> Record:
        return Record(
            collection=COLLECTION,
            key=f"{key}/{self.event}/{self.target}",
            body=self.model_dump(mode="json"),
            owner=self.conversation_id,
            due_at=self.at,
            expires_at=self.at + KEPT_FOR,
            updated_at=self.at,
        )


class NoticeMessage(Value):
    """A notice as its receivers get it; `id` is the same at every repetition of one notice."""

    id: str
    subject: str
    text: str
    content: dict[str, Any]
    at: Instant
    address: Address | None = None


def handoff_brief(head: Conversation, institution: Institution) -> dict[str, Any]:
    """Return what an agent needs at first sight: `summary` of the matter, `facts` by label, `open_question`.

    Links of the customer are marked and cannot be clicked.
    """
    line, intent = institution.line(head.business_line), institution.intent(head.intent)
    matter = (line.name if line else "", intent.description if intent else "")
    labels = {spec.id: spec.label for spec in institution.fields}
    asked = [said.text for said in head.window if said.speaker is Speaker.PERSON]
    return {
        "summary": ": ".join(filter(None, matter)),
        "facts": unlinked({labels.get(name, name): value for name, value in head.fields.items()}, institution),
        "open_question": unlinked(asked[-1], institution) if asked else None,
    }
