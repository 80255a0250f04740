"""Reply that is shown while it forms, sentence by sentence, each after the gate has read it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from contracts.guardrails import ReplyPart, text_of
from contracts.ports import LiveEvent
from contracts.values import TurnId
from observability.metrics import FORMING_SENTENCES
from prompts.execution.streaming import FormingReply, sentence_ends

Permits = Callable[[Sequence[ReplyPart]], bool]
Clears = Callable[[Sequence[ReplyPart]], Awaitable[bool]]
Publish = Callable[[LiveEvent], Awaitable[None]]


class LiveText:
    """`Listener` that publishes the sentences of Task 2's answer as `token` events.

    An event is `{"turn", "index", "text"}`. Index 0 begins a new text: the call was repeated, or the draft rewritten.
    Only the beginning of a text in which the gate found nothing is published; from its first finding on the rest is
    withheld. The `reply` event, which alone is durable, replaces all of it. What the floor permits waits for the judge,
    who reads, while the model goes on, all sentences that have ended since the last time.
    """

    def __init__(self, turn_id: TurnId, *, permits: Permits, clears: Clears, publish: Publish) -> None:
        self._turn_id = turn_id
        self._permits = permits
        self._clears = clears
        self._publish = publish
        self._judging: asyncio.Task[None] | None = None
        self.begin()

    def begin(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
        self._judging = None
        self._forming = FormingReply()
        self._waiting: list[Sequence[ReplyPart]] = []
        self._read = 0
        self._published = 0
        self._index = 0
        self._is_withheld = False

    async def on_token(self, piece: str) -> None:
        self._note(self._forming.add(piece), is_whole=False)

    async def end(self) -> None:
        """Publish what is left after the last stop: a sentence too."""
        self._note(self._forming.parts, is_whole=True)
        if self._judging is not None:
            await self._judging

    def _note(self, parts: Sequence[ReplyPart], *, is_whole: bool) -> None:
        """Let the sentences that have ended wait for the judge, up to the first that the floor withholds."""
        for number, part in enumerate(parts):
            is_finished = is_whole or number + 1 < len(parts)
            for end in (*sentence_ends(part.text), *([len(part.text)] if is_finished else [])):
                shown = (*parts[:number], part.model_copy(update={"text": part.text[:end]}))
                if len(text_of(shown)) <= self._read or self._is_withheld:
                    continue
                if self._permits(shown):
                    self._read = len(text_of(shown))
                    self._waiting.append(shown)
                else:
                    self._withhold()
        if self._waiting and (self._judging is None or self._judging.done()):
            self._judging = asyncio.create_task(self._judge())

    async def _judge(self) -> None:
        while self._waiting:
            ended, self._waiting = self._waiting, []
            if not await self._clears(ended[-1]):
                self._waiting = []
                self._withhold()
                return
            for shown in ended:
                text = text_of(shown)
                data = {"turn": self._turn_id, "index": self._index, "text": text[self._published :]}
                self._published = len(text)
                self._index += 1
                await self._publish(LiveEvent(name="token", data=data))
                FORMING_SENTENCES.labels(outcome="told").inc()

    def _withhold(self) -> None:
        if not self._is_withheld:
            self._is_withheld = True
            FORMING_SENTENCES.labels(outcome="withheld").inc()
