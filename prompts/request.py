"""The view of a turn, and the conversation as the model reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from contracts.conversation import Conversation, State
from contracts.decisions import StateDecision
from contracts.guardrails import Correction
from contracts.institution import Institution
from contracts.messages import ChannelName, InboundMessage
from contracts.ports import ChannelLimits
from contracts.signs import SHORTEST, shortened
from prompts.templating.inputs import TurnInput

HISTORY_UTTERANCES = 12
# Of one message, and of all that a turn answers: what people write in a burst is short.
MESSAGE_CHARACTERS = 4_000
MESSAGES_CHARACTERS = 12_000
# Of one utterance of the history, and of the whole history; options are within the limits of the channel.
UTTERANCE_CHARACTERS = 2_000
HISTORY_CHARACTERS = 12_000
CHOICE_CHARACTERS = 256
FIELD_CHARACTERS = 1_000


@dataclass(frozen=True)
class TurnView:
    """All that the tasks of a turn may know. `limits` are those of the channel, None: any form is offered.

    `rewrite` is what an earlier draft was withheld for, `sentences` are those of a draft that is to be judged.
    """

    institution: Institution
    conversation: Conversation
    messages: Sequence[InboundMessage]
    channel: ChannelName
    allowed_states: Sequence[State]
    askable_fields: Sequence[str]
    decision: StateDecision | None = None
    limits: ChannelLimits | None = None
    rewrite: Sequence[Correction] = field(default=())
    sentences: Sequence[tuple[int, str]] = field(default=())


def turn_input(view: TurnView) -> TurnInput:
    """Return the business line in question in full, and the conversation."""
    return TurnInput(line=line_text(view.institution, line_in_question(view)), conversation=conversation_json(view))


def conversation_json(view: TurnView) -> str:
    """Return the conversation as one line of JSON in which no text of a person can close the tag around it.

    Long texts keep beginning and end. Where the bound of all is reached, the oldest texts are left out;
    `earlier_messages_left_out` counts those of the turn.
    """
    conversation = view.conversation
    messages = newest_within([message.text for message in view.messages], MESSAGE_CHARACTERS, MESSAGES_CHARACTERS)
    history = conversation.window[-HISTORY_UTTERANCES:]
    said = newest_within([said.text for said in history], UTTERANCE_CHARACTERS, HISTORY_CHARACTERS)
    content: dict[str, Any] = {
        "allowed_states": [state.value for state in view.allowed_states],
        "askable_fields": list(view.askable_fields),
        "business_line": conversation.business_line,
        "channel": view.channel.value,
        "fields": {name: shortened(value, FIELD_CHARACTERS) for name, value in conversation.fields.items()},
        "first_conversation": not conversation.previous_episodes,
        "history": [
            {"options": list(one.options), "speaker": one.speaker.value, "text": text}
            for one, text in zip(history[len(history) - len(said) :], said, strict=True)
        ],
        "intent": conversation.intent,
        "messages": [
            {
                "choice": message.choice_id and message.choice_id[:CHOICE_CHARACTERS],
                "kind": message.kind.value,
                "text": text,
            }
            for message, text in zip(view.messages[len(view.messages) - len(messages) :], messages, strict=True)
        ],
        "person_name": conversation.person_name,
        "returning": bool(conversation.previous_episodes) and conversation.turns_in_episode == 0,
        "state": conversation.state.value,
        "waiting_for": conversation.waiting_for.value,
    }
    if len(messages) < len(view.messages):
        content["earlier_messages_left_out"] = len(view.messages) - len(messages)
    if view.decision is not None:
        content["decision"] = view.decision.model_dump(mode="json")
    if view.rewrite:
        content["rewrite"] = [one.model_dump() for one in view.rewrite]
    return escaped_json(content)


def newest_within(texts: Sequence[str], limit: int, limit_of_all: int) -> list[str]:
    """Return the newest texts, oldest first, each within `limit` characters and together within `limit_of_all`."""
    kept: list[str] = []
    left = limit_of_all
    for text in reversed(texts):
        if len(text) > left and left < SHORTEST:
            break
        kept.append(shortened(text, min(limit, left)))
        left -= len(kept[-1])
    return kept[::-1]


def escaped_json(content: dict[str, Any]) -> str:
    """Return one line of JSON, keys in order, without the characters that tags are made of."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode().translate(_ESCAPES)


_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def line_text(institution: Institution, line_id: str | None) -> str:
    """Return the part of a prompt about the business line in question; empty without one."""
    shown = institution.line_view(line_id)
    return f'<business_line id="{line_id}">\n{shown}\n</business_line>\n' if shown else ""


def line_in_question(view: TurnView) -> str | None:
    chosen = view.decision.business_line if view.decision else None
    return chosen or view.conversation.business_line
