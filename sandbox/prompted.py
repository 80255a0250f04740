"""Reading of the conversation in a prompt: the JSON between its tags, read leniently."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import orjson

_OPENING, _CLOSING = "<conversation>", "</conversation>"
_WORDLESS = frozenset(
    ["image", "video", "audio", "document", "sticker", "location", "contacts", "order", "form", "unsupported"]
)


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the history."""

    speaker: str
    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewMessage:
    kind: str
    text: str
    choice: str | None = None


@dataclass(frozen=True, slots=True)
class Prompted:
    """The conversation as the prompt shows it. `askable_fields` is None when the prompt does not limit them."""

    state: str = ""
    allowed_states: tuple[str, ...] = ()
    askable_fields: tuple[str, ...] | None = None
    waiting_for: str = "anything"
    person_name: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    business_line: str | None = None
    intent: str | None = None
    first_conversation: bool = True
    returning: bool = False
    history: tuple[Said, ...] = ()
    messages: tuple[NewMessage, ...] = ()
    decision: dict[str, Any] = field(default_factory=dict)
    channel: str = ""
    rewrite: tuple[dict[str, str], ...] = ()
    sentences: tuple[tuple[int, str], ...] = ()
    seen: str | None = None
    unsure: tuple[str, ...] = ()

    def seeing(self, seen: str | None) -> Self:
        """What a picture without a caption says is taken as its question."""
        if seen is None or not self.is_wordless:
            return replace(self, seen=seen)
        return replace(self, seen=seen, messages=(*self.messages[:-1], replace(self.messages[-1], text=seen)))

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.messages if message.text)

    @property
    def is_wordless(self) -> bool:
        """Only pictures, sounds and the like: nothing to read."""
        return bool(self.messages) and all(
            message.kind in _WORDLESS and not message.text.strip() for message in self.messages
        )

    @property
    def replies(self) -> tuple[str, ...]:
        """Return the assistant's replies so far."""
        return tuple(said.text for said in self.history if said.speaker == "assistant")

    @property
    def last_reply(self) -> Said | None:
        return next((said for said in reversed(self.history) if said.speaker == "assistant"), None)


def read_prompt(text: str) -> Prompted:
    """The last conversation in a prompt; without one, the whole text is the person's message."""
    start = text.rfind(_OPENING)
    end = text.find(_CLOSING, start)
    if start < 0 or end < 0:
        return Prompted(messages=(NewMessage("text", text),))
    try:
        raw = orjson.loads(text[start + len(_OPENING) : end])
    except orjson.JSONDecodeError:
        return Prompted(messages=(NewMessage("text", text),))
    askable = raw.get("askable_fields")
    return Prompted(
        state=raw.get("state") or "",
        allowed_states=tuple(raw.get("allowed_states") or ()),
        askable_fields=None if askable is None else tuple(askable),
        waiting_for=raw.get("waiting_for") or "anything",
        person_name=raw.get("person_name"),
        fields=raw.get("fields") or {},
        business_line=raw.get("business_line"),
        intent=raw.get("intent"),
        first_conversation=bool(raw.get("first_conversation", True)),
        returning=bool(raw.get("returning")),
        history=tuple(
            Said(each.get("speaker", ""), each.get("text") or "", tuple(each.get("options") or ()))
            for each in raw.get("history") or ()
        ),
        messages=tuple(
            NewMessage("text", each)
            if isinstance(each, str)
            else NewMessage(each.get("kind") or "text", each.get("text") or "", each.get("choice"))
            for each in raw.get("messages") or ()
        ),
        unsure=tuple(
            phrase
            for each in raw.get("messages") or ()
            if isinstance(each, dict)
            for phrase in each.get("heard_may_be_wrong", {}).get("say_back_and_ask_if_right", ())
        ),
        decision=raw.get("decision") or {},
        channel=raw.get("channel") or "",
        rewrite=tuple(raw.get("rewrite") or ()),
        sentences=tuple((each["sentence"], each["text"]) for each in raw.get("sentences") or ()),
    )
