"""The judge of the drafts of one turn, and the sentences in which it found nothing before."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace

from contracts.conversation import TaskRecord
from contracts.decisions import JudgeVerdict
from contracts.errors import UnusableModelOutputError
from contracts.guardrails import Finding, Rule
from prompts.caching.content import names_a_moment
from prompts.execution.prompt_task import TurnClock
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

    def __init__(self, size: int = KEPT) -> None:
        self._size = size
        self._keys: OrderedDict[Key, None] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        if key not in self._keys:
            return False
        self._keys.move_to_end(key)
        return True

    def add(self, key: Key) -> None:
        self._keys[key] = None
        if len(self._keys) > self._size:
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
        clock: TurnClock,
        *,
        is_own: Callable[[str], bool],
    ) -> None:
        self._prompter = prompter
        self._cleared = cleared
        self._view = view
        self._clock = clock
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
        asked = [(number, sentence) for number, sentence in enumerate(sentences) if not self._is_clear(sentence)]
        if known or not asked or self.is_unavailable:
            return tuple(known)
        result = await self._prompter.ask(judge.TASK, replace(self._view, sentences=asked), self._clock)
        self.records.append(result.record)
        if isinstance(result.error, UnusableModelOutputError):
            return (Finding(rule=Rule.VERDICT_UNUSABLE, excerpt="", why="the judge gave no verdict that can be used"),)
        if result.value is None:
            self.is_unavailable = True
            return ()
        return self._remembered(asked, result.value)

    def _remembered(self, asked: Sequence[tuple[int, str]], verdict: JudgeVerdict) -> tuple[Finding, ...]:
        texts, found = dict(asked), list[Finding]()
        for one in verdict.findings:
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

    def _is_clear(self, sentence: str) -> bool:
        return self._is_own(sentence) or self._key(sentence) in self._cleared

    def _key(self, sentence: str) -> Key:
        words = sentence.casefold().split()
        moment = f"{self._view.at:%F %H}" if self._view.at and names_a_moment(sentence) else ""
        return (*self._scope, " ".join(words), moment, "" if len(words) >= LEAST_WORDS else self._said)
