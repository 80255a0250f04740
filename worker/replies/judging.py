"""The judge of the drafts of one turn, the sentences in which it found nothing before, and replies that form live."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pydantic import ValidationError
from pydantic_core import from_json

from contracts.conversation import TaskRecord
from contracts.errors import UnusableModelOutputError
from contracts.guardrails import Finding, ReplyPart, Rule, text_of
from contracts.ports import LiveEvent
from contracts.values import TurnId
from observability.metrics import FORMING_SENTENCES
from prompts.caching.content import names_a_moment
from prompts.execution.executor import ModelCalls
from prompts.prompter import Prompter
from prompts.request import TurnView
from prompts.tasks import judge

KEPT = 10_000
EXCERPT = 80
# A shorter sentence ("Sim.", "Pode, sim.") says what the question makes of it: it is known for that question alone.
LEAST_WORDS = 5

Key = tuple[str, ...]


class ClearedSentences:
    """Sentences in which the judge found nothing, by institution, prompt and model; the oldest are forgotten."""

    def __init__(self) -> None:
        self._keys: OrderedDict[Key, None] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        if key not in self._keys:
            return False
        self._keys.move_to_end(key)
        return True

    def add(self, key: Key) -> None:
        self._keys[key] = None
        if len(self._keys) > KEPT:
            self._keys.popitem(last=False)


class TurnJudge:
    """Verdicts on the sentences of a turn's drafts, each asked for once. `records` are the calls not taken yet.

    The documents' own sentences (`is_own`) are not asked about. `is_unavailable` after a call without an answer.
    """

    def __init__(
        self,
        prompter: Prompter,
        cleared: ClearedSentences,
        view: TurnView,
        calls: ModelCalls,
        *,
        is_own: Callable[[str], bool],
    ) -> None:
        self._prompter = prompter
        self._cleared = cleared
        self._view = view
        self._calls = calls
        self._is_own = is_own
        self._scope = (view.institution.version, *prompter.identity(judge.TASK, view))
        self._said = "\n".join(message.text for message in view.messages)
        self._found: dict[str, tuple[Finding, ...]] = {}
        self.records: list[TaskRecord] = []
        self.is_unavailable = False

    async def findings(self, sentences: Sequence[str]) -> tuple[Finding, ...]:
        """Return what the judge finds, by the sentences' numbers; nothing too where it is unavailable."""
        known = [
            finding.model_copy(update={"sentence": number})
            for number, sentence in enumerate(sentences)
            for finding in self._found.get(sentence, ())
        ]
        asked = [
            (number, sentence)
            for number, sentence in enumerate(sentences)
            if not self._is_own(sentence) and self._key(sentence) not in self._cleared
        ]
        if known or not asked or self.is_unavailable:
            return tuple(known)
        result = await self._prompter.ask(judge.TASK, replace(self._view, sentences=asked), self._calls)
        self.records.append(result.record)
        if isinstance(result.error, UnusableModelOutputError):
            return (Finding(rule=Rule.VERDICT_UNUSABLE, excerpt="", why="the judge gave no verdict that can be used"),)
        if result.value is None:
            self.is_unavailable = True
            return ()
        texts, found = dict(asked), list[Finding]()
        for one in result.value.findings:
            rule = Rule.NEVER if one.rule.startswith(Rule.NEVER) else Rule(one.rule)
            why = f"{one.rule}: {one.why}" if rule is Rule.NEVER else one.why
            found.append(Finding(rule=rule, excerpt=texts[one.sentence][:EXCERPT], sentence=one.sentence, why=why))
        for number, sentence in asked:
            of_it = tuple(finding for finding in found if finding.sentence == number)
            if of_it:
                self._found[sentence] = of_it
            else:
                self._cleared.add(self._key(sentence))
        return tuple(found)

    def _key(self, sentence: str) -> Key:
        words = sentence.casefold().split()
        moment = f"{self._view.at:%F %H}" if self._view.at and names_a_moment(sentence) else ""
        return (*self._scope, " ".join(words), moment, "" if len(words) >= LEAST_WORDS else self._said)


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


# A sentence has ended when something follows its stop: "R$ 1." may go on with "500", "Sr." may not be the end.
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]]*(?=\s)|\n")


class FormingReply:
    """Parts of Task 2's or the merged answer, which arrives in pieces; the text of the last one may still grow."""

    def __init__(self) -> None:
        self._json = ""
        self.parts: tuple[ReplyPart, ...] = ()

    def add(self, piece: str) -> tuple[ReplyPart, ...]:
        """Return the parts so far; invalid JSON adds nothing, and the check of the complete answer rejects it."""
        self._json += piece
        try:
            content = from_json(self._json, allow_partial="trailing-strings")
        except ValueError:
            return self.parts
        reply = content.get("response", content) if isinstance(content, dict) else None
        listed = reply.get("parts") if isinstance(reply, dict) else None
        self.parts = ()
        # Until the first that is not complete enough to be read.
        with suppress(ValidationError):
            for one in listed if isinstance(listed, list) else ():
                self.parts += (ReplyPart.model_validate(one),)
        return self.parts


def sentence_ends(text: str) -> list[int]:
    """Return the end of each complete sentence; the text after the last one may still grow."""
    return [match.end() for match in _SENTENCE_END.finditer(text)]
