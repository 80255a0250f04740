"""Three-level answer cache: exact, template, semantic.

| level | key | time to live |
| exact | the whole request, the person's words normalised | 7 days |
| template | the decision of Task 1, for messages that add nothing to it: a wording of the canonical answer | 30 days |
| semantic | an embedding with a cosine of 0.95 or more, and the same content | 1 day |

Lookup goes in this order, cheap levels first. `questions.py` decides what is cacheable at all.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from pydantic import ValidationError

from contracts.conversation import TaskName
from contracts.decisions import ResponseDraft, StateDecision
from contracts.ports import Cache, Embedder
from contracts.values import Instant, Kept
from observability.metrics import CACHE_HIT_RATE, CACHE_HITS, CACHE_MISSES, CACHE_REFUSALS, CACHE_SAMPLES, CACHE_SIZE
from prompts.caching.content import normalised
from prompts.caching.questions import (
    Place,
    Question,
    ScopeParts,
    holds_any,
    keys_of,
    may_stand,
    says_again,
)
from prompts.execution.batching import FlightResult, SingleFlight

if TYPE_CHECKING:
    from prompts.caching.nearest import Indexes, VectorIndex

T = TypeVar("T")

SIMILARITY = 0.95
# A new process indexes the entries of others over its first questions, so that none waits for all of them.
INDEXED_AT_ONCE = 200
ALIKE = 0.5


class CacheLevel(StrEnum):
    EXACT = "exact"
    TEMPLATE = "template"
    SEMANTIC = "semantic"


TTLS = {
    CacheLevel.EXACT: timedelta(days=7),
    CacheLevel.TEMPLATE: timedelta(days=30),
    CacheLevel.SEMANTIC: timedelta(days=1),
}


class KeptAnswer(Kept):
    """Value of an entry: the model's text. `signature` is the content of the question, on the semantic level."""

    text: str
    at: Instant
    signature: str = ""


@dataclass(frozen=True)
class Hit:
    """Cached answer, as the model gave it. `similarity` is a cosine; a `sampled` hit is to be compared."""

    text: str
    level: CacheLevel
    similarity: float
    age: timedelta
    sampled: bool


class SampleOutcome(StrEnum):
    """Comparison of a hit with the model's present answer: the same words, mostly the same, or another answer."""

    SAME = "same"
    ALIKE = "alike"
    DIFFERENT = "different"


@dataclass
class CacheStatistics:
    """Counts of this process since its start."""

    hits: Counter[tuple[str, CacheLevel]] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    samples: Counter[tuple[CacheLevel, SampleOutcome]] = field(default_factory=Counter)
    refusals: int = 0

    @property
    def hit_rate(self) -> float:
        """In [0, 1]; 0 before the first question."""
        hits = self.hits.total()
        return hits / (hits + self.misses.total()) if hits else 0.0


@dataclass(eq=False)
class AnswerCache:
    """Lookup and storage of answers on all levels.

    `now` is the wall clock, `chance` gives numbers in [0, 1); the share `sample` of the hits is sampled. Without an
    `embedder` there is no semantic level; `similarity` is the least cosine by task, where it is not SIMILARITY.
    """

    cache: Cache
    now: Callable[[], datetime]
    chance: Callable[[], float]
    embedder: Embedder | None = None
    sample: float = 0.02
    similarity: Mapping[TaskName, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._indexes: Indexes | None = None
        if self.embedder is not None:
            # numpy comes with the extra of the semantic level, and is loaded only where it is on.
            from prompts.caching import nearest

            self._indexes = nearest.Indexes(self.embedder.width)
        self._sizes: dict[str, int] = {}
        self._calls: SingleFlight[Any] = SingleFlight()
        self.statistics = CacheStatistics()

    async def find(self, question: Question) -> Hit | None:
        """Return the answer of the question, or of one like it; it has to pass the guardrail gate again."""
        exact, template = await asyncio.gather(self._get(question.exact), self._get(question.template))
        if exact is not None:
            hit: Hit | None = self._hit(CacheLevel.EXACT, exact)
        elif template is not None:
            hit = self._hit(CacheLevel.TEMPLATE, template)
        else:
            hit = await self._find_semantic(question)
        if hit is None:
            self.statistics.misses[question.task] += 1
            CACHE_MISSES.labels(question.task).inc()
        else:
            self.statistics.hits[question.task, hit.level] += 1
            CACHE_HITS.labels(question.task, hit.level).inc()
        CACHE_HIT_RATE.set(self.statistics.hit_rate)
        return hit

    async def keep(self, question: Question, text: str) -> bool:
        """Keep the model's answer, as it came, on every level that allows it; return False when none does.

        Only for the own answer of the model that was asked, accepted by the task's check and, for words to a person,
        by the guardrail gate: never for a refusal, a fallback, a repaired answer or a text of the institution.
        """
        if not _may_be_kept(question, text):
            return await self._keep_template(question, text)
        answer = KeptAnswer(text=text, at=self.now())
        await self._put(CacheLevel.EXACT, question.exact, _packed(answer))
        if (place := question.semantic) is not None and self.embedder is not None:
            (vector,) = await self.embedder.embed([place.text])
            signed = answer.model_copy(update={"signature": place.signature})
            spot = Place(place.scope, place.key)
            await self._put(CacheLevel.SEMANTIC, spot, _packed(signed, vector))
        await self._keep_template(question, text)
        return True

    async def once(
        self, question: Question, ask: Callable[[], Awaitable[T]], *, text_of: Callable[[T], str]
    ) -> FlightResult[T]:
        """Ask, unless the same question is being asked: then wait for that answer, if it may be shared.

        A cancelled caller cancels nothing for the others. An error is raised to every caller.
        """

        async def asked() -> tuple[T, bool]:
            answer = await ask()
            # Only the question that was asked can decide it: the answer may hold that person's name.
            return answer, _may_be_kept(question, text_of(answer))

        flight = await self._calls.run(question.exact, asked)
        answer, may_be_shared = flight.value
        if flight.shared and not may_be_shared:
            return FlightResult(await ask(), shared=False)
        return FlightResult(answer, flight.shared)

    def compare(self, hit: Hit, task: str, text: str) -> SampleOutcome:
        """Compare a hit with the model's present answer to the same question, and count the outcome."""
        outcome = _compared(task, hit.text, text)
        self.statistics.samples[hit.level, outcome] += 1
        CACHE_SAMPLES.labels(hit.level, outcome).inc()
        return outcome

    async def forget(self, conversation: str) -> int:
        """Drop the answers of Task 1 to a conversation, which no other is given; return how many.

        No other answer belongs to a person.

        Raises:
            CacheUnavailableError: the cache did not answer; do it again.
        """
        scopes = [scope for scope in await self.cache.sizes() if ScopeParts.read(scope).task == TaskName.STATE]
        return sum([await self.cache.drop(scope, prefix=keys_of(conversation)) for scope in scopes])

    async def close(self) -> None:
        await self._calls.close()

    async def _find_semantic(self, question: Question) -> Hit | None:
        place = question.semantic
        if place is None or self.embedder is None or self._indexes is None:
            return None
        index = self._indexes.of(place.scope)
        (vector,), _ = await asyncio.gather(self.embedder.embed([place.text]), self._refresh(index, place.scope))
        threshold = self.similarity.get(TaskName(question.task), SIMILARITY)
        near, is_refused = index.nearest(vector, threshold=threshold, signature=place.signature)
        if near is None:
            if is_refused:
                self.statistics.refusals += 1
                CACHE_REFUSALS.labels(question.task).inc()
            return None
        # The index has only keys: the entry may have expired or been dropped.
        kept = await self._get(Place(place.scope, near.key))
        if kept is None:
            index.remove(near.key)
            return None
        return self._hit(CacheLevel.SEMANTIC, kept, similarity=near.similarity)

    async def _refresh(self, index: "VectorIndex", scope: str) -> None:
        """Index the entries that all processes have added since the last refresh."""
        for entry in await self.cache.entries(scope, after=index.last_number, limit=INDEXED_AT_ONCE):
            answer, vector = _unpacked(entry.value)
            if answer is not None and self.embedder is not None and len(vector) == 4 * self.embedder.width:
                index.add(entry.key, answer.signature, vector, number=entry.number)

    async def _keep_template(self, question: Question, text: str) -> bool:
        """Keep a wording of the canonical answer that holds nothing personal."""
        if (place := question.template) is None:
            return False
        try:
            said = ResponseDraft.model_validate_json(text).text
        except ValidationError:
            return False
        if not says_again(said, place.canonical) or holds_any(said, question.private):
            return False
        answer = KeptAnswer(text=text, at=self.now())
        await self._put(CacheLevel.TEMPLATE, place, _packed(answer))
        return True

    async def _get(self, place: Place | None) -> KeptAnswer | None:
        raw = await self.cache.get(place.scope, place.key) if place is not None else None
        return _unpacked(raw)[0] if raw is not None else None

    async def _put(self, level: CacheLevel, place: Place, value: bytes) -> None:
        self._sizes[place.scope] = await self.cache.put(place.scope, place.key, value, ttl=TTLS[level])
        known = sum(size for scope, size in self._sizes.items() if scope.startswith(f"{level.value}|"))
        CACHE_SIZE.labels(level).set(known)

    def _hit(self, level: CacheLevel, kept: KeptAnswer, *, similarity: float = 1.0) -> Hit:
        age = max(timedelta(0), self.now() - kept.at)
        return Hit(kept.text, level, similarity, age, self.chance() < self.sample)


def _may_be_kept(question: Question, text: str) -> bool:
    """Whether the answer may be given to others: nothing personal in it, and a decision that is sure enough."""
    try:
        if question.task == TaskName.STATE:
            return may_stand(StateDecision.model_validate_json(text))
        if question.task == TaskName.RESPONSE:
            return not holds_any(ResponseDraft.model_validate_json(text).text, question.private)
    except ValidationError:
        return False
    return True


def _compared(task: str, before: str, after: str) -> SampleOutcome:
    if before == after:
        return SampleOutcome.SAME
    if task != TaskName.RESPONSE:
        ours, others = ({**orjson.loads(text), "confidence": None} for text in (before, after))
        return SampleOutcome.SAME if ours == others else SampleOutcome.DIFFERENT
    first, second = (normalised(ResponseDraft.model_validate_json(text).text).split() for text in (before, after))
    if first == second:
        return SampleOutcome.SAME
    # Other numbers are another answer, however similar the rest is.
    numbers = [sorted(word for word in words if word[0].isdigit()) for words in (first, second)]
    shared = len(set(first) & set(second)) / max(1, len(set(first) | set(second)))
    return SampleOutcome.ALIKE if numbers[0] == numbers[1] and shared >= ALIKE else SampleOutcome.DIFFERENT


def _packed(answer: KeptAnswer, vector: bytes = b"") -> bytes:
    """Return JSON, a zero byte, which JSON cannot hold, and the vector as float32."""
    return answer.model_dump_json().encode() + b"\0" + vector


def _unpacked(raw: bytes) -> tuple[KeptAnswer | None, bytes]:
    """Return the answer and its vector; no answer when another release wrote it in another format."""
    json, _, vector = raw.partition(b"\0")
    try:
        return KeptAnswer.model_validate_json(json), vector
    except ValidationError:
        return None, b""
