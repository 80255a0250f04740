"""The view of a turn, and the conversation as the model reads it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from textwrap import shorten
from typing import Any

import orjson

from contracts.conversation import Conversation, State
from contracts.decisions import StateDecision
from contracts.guardrails import Correction
from contracts.institution import Institution
from contracts.media import ContentKind, MediaFile, ReadContent
from contracts.messages import ChannelName, InboundMessage
from contracts.ports import ChannelLimits
from contracts.values import LEFT_OUT, SHORTEST, MessageId, kept_end, shortened
from prompts.templating.source import TurnInput

HISTORY_UTTERANCES = 12
# Of one message, and of all that a turn answers: what people write in a burst is short.
MESSAGE_CHARACTERS = 8_000
MESSAGES_CHARACTERS = 12_000
# Of one utterance of the history, and of the whole history; options are within the limits of the channel.
UTTERANCE_CHARACTERS = 2_000
HISTORY_CHARACTERS = 12_000
QUESTION_CHARACTERS = 300
CHOICE_CHARACTERS = 256
FIELD_CHARACTERS = 1_000
# Of a quoted message, and of a line that is older than the history.
QUOTE_CHARACTERS = 1_000
OLDER_CHARACTERS = 160
ENDED_EPISODES = 3
_SENTENCE_END = re.compile(r"(?<=[.!?…\n])")


@dataclass(frozen=True)
class TurnView:
    """All that the tasks of a turn may know. `limits` are those of the channel, None: any form is offered.

    `rewrite` is what an earlier draft was withheld for, `sentences` are those of a draft that is to be judged. `at` is
    the moment at the institution, by its own clock, `is_open` whether it is open then; None: not said. `quoted` are the
    texts of the messages that those of the turn reply to. `files` are the pictures and documents of the messages.
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
    at: datetime | None = None
    is_open: bool | None = None
    quoted: Mapping[MessageId, str] = field(default_factory=dict)
    files: Sequence[MediaFile] = ()

    @property
    def has_media(self) -> bool:
        """Whether the prompt has what was read in a file, now or earlier."""
        contents = [one.content for one in self.messages] + [one.content for one in self.conversation.window]
        return any(content is not None for content in contents)


def turn_input(view: TurnView) -> TurnInput:
    """Return the business line in question in full, and the conversation."""
    return TurnInput(line=line_text(view.institution, line_in_question(view)), conversation=conversation_json(view))


def conversation_json(view: TurnView) -> str:
    """Return the conversation as one line of JSON in which no text of a person can close the tag around it.

    Long texts keep beginning and end. Where the bound of all is reached, the oldest texts are left out;
    `earlier_messages_left_out` counts those of the turn. `summary` has what is older than the history: intents in the
    order in which they came up, and the beginning of each line. Lines of an ended episode are marked.
    """
    conversation = view.conversation
    messages = newest_within([message.text for message in view.messages], MESSAGE_CHARACTERS, MESSAGES_CHARACTERS)
    history = conversation.window[-HISTORY_UTTERANCES:]
    said = newest_within([said.text for said in history], UTTERANCE_CHARACTERS, HISTORY_CHARACTERS)
    began = conversation.episode_began_at if conversation.episode > 1 else None
    content: dict[str, Any] = {
        "allowed_states": [state.value for state in view.allowed_states],
        "askable_fields": list(view.askable_fields),
        "business_line": conversation.business_line,
        "channel": view.channel.value,
        "fields": {name: shortened(value, FIELD_CHARACTERS) for name, value in conversation.fields.items()},
        "first_conversation": not conversation.previous_episodes,
        "history": [
            {"options": list(one.options), "speaker": one.speaker.value, "text": text}
            | ({"episode": "ended"} if began and one.at < began else {})
            | file_marks(one.content)
            for one, text in zip(history[len(history) - len(said) :], said, strict=True)
        ],
        "intent": conversation.intent,
        "messages": [
            {
                "choice": message.choice_id and message.choice_id[:CHOICE_CHARACTERS],
                "kind": message.kind.value,
                "text": text,
                **({"quotes": shortened(quoted, QUOTE_CHARACTERS)} if (quoted := view.quoted.get(message.id)) else {}),
                **file_marks(message.content, is_new=True),
            }
            for message, text in zip(view.messages[len(view.messages) - len(messages) :], messages, strict=True)
        ],
        "person_name": conversation.person_name,
        "returning": bool(conversation.previous_episodes) and conversation.turns_in_episode == 0,
        "state": conversation.state.value,
        "waiting_for": conversation.waiting_for.value,
    }
    content |= moment(view) | _earlier(conversation, shown=len(said))
    if len(messages) < len(view.messages):
        content["earlier_messages_left_out"] = len(view.messages) - len(messages)
    if view.decision is not None:
        content["decision"] = view.decision.model_dump(mode="json")
    if view.rewrite:
        content["rewrite"] = [one.model_dump() for one in view.rewrite]
    return escaped_json(content)


def moment(view: TurnView) -> dict[str, Any]:
    """Return date, time and weekday at the institution, and whether it is open."""
    now: dict[str, Any] = {} if view.is_open is None else {"open": view.is_open}
    if view.at is not None:
        now |= zip(("date", "time", "weekday"), f"{view.at:%Y-%m-%d %H:%M %A}".split(), strict=True)
    return {"now": now} if now else {}


def _earlier(conversation: Conversation, *, shown: int) -> dict[str, Any]:
    """Return what the person came by, the endings of earlier episodes, and what is older than the `shown` lines."""
    older = conversation.window[: len(conversation.window) - shown]
    lines = [f"{one.speaker.value}: {shorten(one.text, OLDER_CHARACTERS, placeholder=' …')}" for one in older]
    summary = {"lines": lines, "topics": list(conversation.topics)}
    ended = [
        {"business_line": one.business_line, "ended_on": f"{one.ended_at:%Y-%m-%d}", "state": one.state.value}
        for one in conversation.previous_episodes[-ENDED_EPISODES:]
    ]
    earlier = {
        "advertisement": conversation.advertisement,
        "ended_episodes": ended,
        "summary": summary if any(summary.values()) else None,
    }
    return {name: value for name, value in earlier.items() if value}


def file_marks(content: ReadContent | None, *, is_new: bool = False) -> dict[str, Any]:
    """Mark what was read in a file: its words as heard, or a description in the place of a picture seen earlier."""
    if content is None:
        return {}
    if content.refused is not None:
        return {"file_not_opened": content.refused.value}
    if content.kind is ContentKind.SEEN:
        seen = {"seen_in_file": content.text} if content.text else {}
        return seen or ({"file": "above"} if is_new else {})
    sure = {"confidence": content.confidence, "say_back_and_ask_if_right" if is_new else "unsure": list(content.unsure)}
    return {"heard_may_be_wrong": {name: value for name, value in sure.items() if value}}


def newest_within(texts: Sequence[str], limit: int, limit_of_all: int) -> list[str]:
    """Return the newest texts, oldest first, each within `limit` characters and together within `limit_of_all`."""
    kept: list[str] = []
    left = limit_of_all
    for text in reversed(texts):
        if len(text) > left and left < SHORTEST:
            break
        kept.append(with_questions(text, min(limit, left)))
        left -= len(kept[-1])
    return kept[::-1]


def with_questions(text: str, limit: int) -> str:
    """Return the text within `limit` characters; of what is left out, its newest questions stay."""
    if len(text) <= limit:
        return text
    left_out = text[limit // 4 : len(text) - kept_end(limit)]
    sentences = _SENTENCE_END.split(left_out)
    questions = " ".join(one.strip()[-QUESTION_CHARACTERS:] for one in sentences if one.endswith("?"))
    if not questions:
        return shortened(text, limit)
    questions = f" {questions[-(limit // 4) :]} [...]"
    before, mark, after = shortened(text, limit - len(questions)).rpartition(LEFT_OUT)
    return f"{before}{mark}{questions}{after}"


def escaped_json(content: dict[str, Any]) -> str:
    """Return one line of JSON, keys in order, without the characters that tags are made of."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def line_text(institution: Institution, line_id: str | None) -> str:
    """Return the part of a prompt about the business line in question; empty without one."""
    shown = institution.line_view(line_id)
    return f'<business_line id="{line_id}">\n{shown}\n</business_line>\n' if shown else ""


def line_in_question(view: TurnView) -> str | None:
    chosen = view.decision.business_line if view.decision else None
    return chosen or view.conversation.business_line
