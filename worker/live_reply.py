"""Reply that is shown while it forms, sentence by sentence, each after the gate has read it."""

from collections.abc import Awaitable, Callable, Sequence

from contracts.ports import LiveEvent
from contracts.values import TurnId
from observability.metrics import FORMING_SENTENCES
from prompts.execution.streaming import FormingText, sentence_ends

Permits = Callable[[str], bool]
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
        self._forming = FormingText("text")
        self._published = 0
        self._index = 0
        self._is_withheld = False

    async def on_token(self, piece: str) -> None:
        text = self._forming.add(piece)
        await self._publish_until(sentence_ends(text), text)

    async def end(self) -> None:
        """Publish what is left after the last stop: a sentence too."""
        text = self._forming.text
        await self._publish_until([*sentence_ends(text), len(text)], text)

    async def _publish_until(self, ends: Sequence[int], text: str) -> None:
        for end in ends:
            if end <= self._published or self._is_withheld:
                continue
            if not self._permits(text[:end]):
                self._is_withheld = True
                FORMING_SENTENCES.labels(outcome="withheld").inc()
                return
            data = {"turn": self._turn_id, "index": self._index, "text": text[self._published : end]}
            await self._publish(LiveEvent(name="token", data=data))
            FORMING_SENTENCES.labels(outcome="told").inc()
            self._published = end
            self._index += 1
