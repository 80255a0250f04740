"""A reply while it forms, for clients that can show it: sentence by sentence, each after the gate has read it."""

from collections.abc import Awaitable, Callable, Sequence

from contracts.ports import LiveEvent
from contracts.values import TurnId
from observability.metrics import FORMING_SENTENCES
from prompts.execution.streaming import FormingText, sentence_ends
from prompts.request import TurnView
from worker.desk import Desk

Permits = Callable[[str], bool]
Publish = Callable[[LiveEvent], Awaitable[None]]


def listener_for(view: TurnView, desk: Desk) -> "LiveText | None":
    """Who tells the clients of this turn how its reply forms; None where the channel has none that could show it."""
    if not desk.channel.shows_forming_text:
        return None
    known, gate, events = desk.known_facts(view), desk.rulebook.gate, desk.deps.events

    async def publish(event: LiveEvent) -> None:
        await events.publish(desk.turn.conversation_id, event)

    return LiveText(desk.turn.id, permits=lambda text: not gate.check((text,), known), publish=publish)


class LiveText:
    """Satisfies `Listener`: tells the sentences of Task 2's answer as `token` events.

    An event is `{"turn", "index", "text"}`. Index 0 begins anew: the call was repeated, or the draft is another one.
    What is told is always the beginning of a text in which the gate found nothing; from its first finding on the rest
    of the draft stays untold. The `reply` event, which alone is durable, takes the place of all of it.
    """

    def __init__(self, turn_id: TurnId, *, permits: Permits, publish: Publish) -> None:
        self._turn_id = turn_id
        self._permits = permits
        self._publish = publish
        self.begin()

    def begin(self) -> None:
        self._forming = FormingText("text")
        self._told = 0
        self._index = 0
        self._is_withheld = False

    async def on_token(self, piece: str) -> None:
        text = self._forming.add(piece)
        await self._tell(text, sentence_ends(text))

    async def end(self) -> None:
        """What is left after the last stop is a sentence too."""
        text = self._forming.text
        await self._tell(text, [*sentence_ends(text), len(text)])

    async def _tell(self, text: str, ends: Sequence[int]) -> None:
        for end in ends:
            if end > self._told and not self._is_withheld:
                await self._tell_until(end, text)

    async def _tell_until(self, end: int, text: str) -> None:
        if not self._permits(text[:end]):
            self._is_withheld = True
            FORMING_SENTENCES.labels(outcome="withheld").inc()
            return
        data = {"turn": self._turn_id, "index": self._index, "text": text[self._told : end]}
        await self._publish(LiveEvent(name="token", data=data))
        FORMING_SENTENCES.labels(outcome="told").inc()
        self._told = end
        self._index += 1
