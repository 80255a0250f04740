"""Reply that is shown while it forms, sentence by sentence, each after the gate has read it."""

from collections.abc import Awaitable, Callable, Sequence

from contracts.guardrails import ReplyPart, text_of
from contracts.ports import LiveEvent
from contracts.values import TurnId
from observability.metrics import FORMING_SENTENCES
from prompts.execution.streaming import FormingReply, sentence_ends

Permits = Callable[[Sequence[ReplyPart]], bool]
Publish = Callable[[LiveEvent], Awaitable[None]]


class LiveText:
    """`Listener` that publishes the sentences of Task 2's answer as `token` events.

    An event is `{"turn", "index", "text"}`. Index 0 begins a new text: the call was repeated, or the draft rewritten.
    Only the beginning of a text in which the gate found nothing is published; from its first finding on the rest is
    withheld. The `reply` event, which alone is durable, replaces all of it.
    """

    def __init__(self, turn_id: TurnId, *, permits: Permits, publish: Publish) -> None:
        self._turn_id = turn_id
        self._permits = permits
        self._publish = publish
        self.begin()

    def begin(self) -> None:
        self._forming = FormingReply()
        self._published = 0
        self._index = 0
        self._is_withheld = False

    async def on_token(self, piece: str) -> None:
        await self._publish_until(self._forming.add(piece), is_whole=False)

    async def end(self) -> None:
        """Publish what is left after the last stop: a sentence too."""
        await self._publish_until(self._forming.parts, is_whole=True)

    async def _publish_until(self, parts: Sequence[ReplyPart], *, is_whole: bool) -> None:
        for number, part in enumerate(parts):
            is_finished = is_whole or number + 1 < len(parts)
            for end in (*sentence_ends(part.text), *([len(part.text)] if is_finished else [])):
                shown = (*parts[:number], part.model_copy(update={"text": part.text[:end]}))
                text = text_of(shown)
                if len(text) <= self._published or self._is_withheld:
                    continue
                if not self._permits(shown):
                    self._is_withheld = True
                    FORMING_SENTENCES.labels(outcome="withheld").inc()
                    return
                data = {"turn": self._turn_id, "index": self._index, "text": text[self._published :]}
                await self._publish(LiveEvent(name="token", data=data))
                FORMING_SENTENCES.labels(outcome="told").inc()
                self._published = len(text)
                self._index += 1
