"""What is kept is found again, by whom it may be found, for as long as it may."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from adapters.memory.cache import MemoryCache
from contracts.conversation import TaskName
from prompts.caching.answers import AnswerCache, CacheLevel, SampleOutcome
from prompts.caching.questions import Question
from tests.builders import SteppingClock, decision, message_type, response
from tests.prompts_cache.hashed_embedder import HashedEmbedder
from tests.prompts_cache.turns import asked

# Of the canonical answer to the intent that these questions have.
WORDING = "aqui é o atendimento da Pyloto. Trabalhamos com entregas, serviços de campo e tecnologia."


class Bed:
    def __init__(self, **options: Any) -> None:
        self.clock = SteppingClock()
        self.memory = MemoryCache(monotonic=lambda: self.clock.at.timestamp())
        self.chance = 1.0
        self.embedder = HashedEmbedder()
        given: dict[str, Any] = {"embedder": self.embedder} | options
        self.cache = AnswerCache(self.memory, now=self.clock.now, chance=lambda: self.chance, **given)

    async def level(self, question: Question) -> CacheLevel | None:
        hit = await self.cache.find(question)
        return hit.level if hit else None


async def test_the_same_question_gets_the_same_answer_with_its_age() -> None:
    bed = Bed()
    assert await bed.cache.find(asked("Qual o horário?")) is None
    assert await bed.cache.keep(asked("Qual o horário?"), response("Das 8 às 18."))
    bed.clock.move(timedelta(hours=2))
    hit = await bed.cache.find(asked("qual o horario"))
    assert hit
    assert (hit.text, hit.level, hit.similarity) == (response("Das 8 às 18."), CacheLevel.EXACT, 1.0)
    assert hit.age == timedelta(hours=2)


@pytest.mark.parametrize(
    ("level", "again", "days"),
    [
        (CacheLevel.EXACT, asked("qual o horário"), 7),
        (CacheLevel.TEMPLATE, asked("me conta quando abrem"), 30),
        (CacheLevel.SEMANTIC, asked("qual é o horário de vocês"), 1),
    ],
)
async def test_each_level_has_its_time(level: CacheLevel, again: Question, days: int) -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 0.6})
    kept = asked("qual o horário")
    if level is CacheLevel.SEMANTIC:
        kept, again = (_without_template(one) for one in (kept, again))
    await bed.cache.keep(kept, response(WORDING))
    bed.clock.move(timedelta(days=days, seconds=-1))
    assert await bed.level(again) is level
    bed.clock.move(timedelta(seconds=1))
    assert await bed.level(again) is not level


def _without_template(question: Question) -> Question:
    return replace(question, template=None)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("oi", "Olá, Ana! Como posso ajudar?"),
        ("oi", "Olá, ANÁ."),
        ("oi", "Boa tarde, senhora Souza."),
        ("abrem às 15", "Sim, às 15h."),
    ],
)
async def test_an_answer_that_holds_something_of_the_person_is_not_shared(text: str, answer: str) -> None:
    bed = Bed()
    kept = asked(text, name="Ana Souza")
    await bed.cache.keep(kept, response(answer))
    assert await bed.level(asked(text, name="Bruno")) in (None, CacheLevel.TEMPLATE)
    hit = await bed.cache.find(asked(text, name="Bruno"))
    assert hit is None or not {"ana", "souza"} & set(hit.text.lower().split())


@pytest.mark.parametrize(
    "answer",
    [
        f"Sim, {WORDING}",
        f"{WORDING} Não fazemos coletas.",
        f"{WORDING} Somos 30 pessoas.",
        "A manutenção que você pediu é feita por nossa equipe na sua casa.",
        "Olá!",
    ],
)
async def test_an_answer_to_one_way_of_asking_is_no_template(answer: str) -> None:
    bed = Bed()
    await bed.cache.keep(asked("quando abrem"), response(answer))
    assert await bed.level(asked("qual o horário")) is None
    assert await bed.level(asked("quando abrem")) is CacheLevel.EXACT


@pytest.mark.parametrize(
    "answer",
    [
        decision(confidence=0.5),
        decision(next_state="ESCALATING"),
        decision(next_state="SPAM"),
        decision(next_state="COMPLETED"),
        decision(collected=[{"name": "name", "value": "Ana"}]),
        "no JSON",
        "{}",
    ],
)
async def test_a_decision_that_is_not_one_to_build_on_is_not_kept(answer: str) -> None:
    bed = Bed()
    mine = asked("oi", task=TaskName.STATE)
    assert not await bed.cache.keep(mine, answer)
    assert await bed.level(mine) is None


async def test_a_sure_decision_is_found_by_its_own_conversation() -> None:
    bed = Bed()
    await bed.cache.keep(asked("oi", task=TaskName.STATE), decision())
    assert await bed.level(asked("oi", task=TaskName.STATE)) is CacheLevel.EXACT
    assert await bed.level(asked("oi", task=TaskName.STATE, conversation="c-2")) is None


async def test_a_form_is_found_by_the_same_question() -> None:
    bed = Bed()
    await bed.cache.keep(asked("oi", task=TaskName.MESSAGE_TYPE), message_type())
    assert await bed.level(asked("oi", task=TaskName.MESSAGE_TYPE, conversation="c-2")) is CacheLevel.EXACT
    assert await bed.level(asked("oi")) is None


async def test_a_question_that_is_typed_differently_is_near() -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 0.6})
    first, again = (
        _without_template(asked(text)) for text in ("qual o horário de entregas", "qual é o horario d entregas")
    )
    await bed.cache.keep(first, response("Em horário comercial."))
    hit = await bed.cache.find(again)
    assert hit
    assert hit.level is CacheLevel.SEMANTIC
    assert 0.6 <= hit.similarity < 1


async def test_near_is_not_enough_when_something_else_is_said() -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 0.1})
    await bed.cache.keep(_without_template(asked("vocês fazem entrega")), response("Fazemos entregas."))
    assert await bed.level(_without_template(asked("vocês não fazem entrega"))) is None
    assert bed.cache.statistics.refusals == 1


async def test_below_the_threshold_nothing_is_near() -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 1.1})
    await bed.cache.keep(_without_template(asked("qual o horário")), response("Cedo."))
    assert await bed.level(_without_template(asked("qual é o horário"))) is None
    assert bed.cache.statistics.refusals == 0


async def test_what_another_process_has_kept_is_found_and_what_it_dropped_is_not() -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 0.6})
    other = AnswerCache(
        bed.memory, now=bed.clock.now, chance=lambda: 1, embedder=HashedEmbedder(), similarity={TaskName.RESPONSE: 0.6}
    )
    mine = _without_template(asked("qual o horário"))
    again = _without_template(asked("qual é o horário"))
    await other.keep(mine, response("Cedo."))
    assert await bed.level(again) is CacheLevel.SEMANTIC
    assert mine.semantic
    await bed.memory.drop(mine.semantic.scope)
    assert await bed.level(again) is None


@pytest.mark.parametrize("raw", [b"", b"{}", b"\0", b'{"text": 1}', b"\xff\0\0", b'{"text":"x","at":"never"}\0'])
async def test_what_another_release_has_written_is_not_read(raw: bytes) -> None:
    bed = Bed(similarity={TaskName.RESPONSE: 0.6})
    question = _without_template(asked("qual o horário"))
    assert question.semantic
    await bed.memory.put(question.exact.scope, question.exact.key, raw, ttl=timedelta(days=1))
    await bed.memory.put(question.semantic.scope, "k", raw, ttl=timedelta(days=1))
    assert await bed.cache.find(question) is None


async def test_an_answer_with_an_addition_of_a_newer_release_is_read() -> None:
    bed = Bed()
    question = asked("oi")
    raw = orjson.dumps({"text": response("Olá!"), "at": bed.clock.at, "new": 1}) + b"\0"
    await bed.memory.put(question.exact.scope, question.exact.key, raw, ttl=timedelta(days=1))
    assert await bed.level(question) is CacheLevel.EXACT


async def test_a_share_of_the_hits_is_to_be_compared() -> None:
    bed = Bed(sample=0.02)
    await bed.cache.keep(asked("oi"), response("Olá! Como posso ajudar?"))
    bed.chance = 0.02
    plain = await bed.cache.find(asked("oi"))
    bed.chance = 0.019
    sampled = await bed.cache.find(asked("oi"))
    assert plain
    assert sampled
    assert (plain.sampled, sampled.sampled) == (False, True)
    compare = bed.cache.compare
    assert compare(sampled, TaskName.RESPONSE, response("Olá!  Como posso ajudar?")) is SampleOutcome.SAME
    assert compare(sampled, TaskName.RESPONSE, response("Olá! Em que posso ajudar?")) is SampleOutcome.ALIKE
    assert compare(sampled, TaskName.RESPONSE, response("Olá! Como posso ajudar 2?")) is SampleOutcome.DIFFERENT
    assert compare(sampled, TaskName.RESPONSE, response("Fechado.")) is SampleOutcome.DIFFERENT
    assert bed.cache.statistics.samples[CacheLevel.EXACT, SampleOutcome.DIFFERENT] == 2


async def test_decisions_are_compared_without_how_sure_they_are() -> None:
    bed = Bed()
    question = asked("oi", task=TaskName.STATE)
    await bed.cache.keep(question, decision(confidence=0.9))
    hit = await bed.cache.find(question)
    assert hit
    assert bed.cache.compare(hit, TaskName.STATE, decision(confidence=0.95)) is SampleOutcome.SAME
    assert bed.cache.compare(hit, TaskName.STATE, decision(intent="menu")) is SampleOutcome.DIFFERENT


async def test_statistics_are_counted() -> None:
    bed = Bed()
    assert bed.cache.statistics.hit_rate == 0
    await bed.cache.find(asked("oi"))
    await bed.cache.keep(asked("oi"), response("Olá!"))
    for _ in range(3):
        await bed.cache.find(asked("oi"))
    statistics = bed.cache.statistics
    assert statistics.hits[TaskName.RESPONSE, CacheLevel.EXACT] == 3
    assert statistics.misses[TaskName.RESPONSE] == 1
    assert statistics.hit_rate == 0.75


async def test_the_same_question_of_many_is_asked_once() -> None:
    bed, calls, may_answer = Bed(), [], asyncio.Event()

    async def ask() -> str:
        calls.append(1)
        await may_answer.wait()
        return response("Olá!")

    waiting = [
        asyncio.create_task(bed.cache.once(asked("oi", name=name), ask, text_of=str))
        for name in ("Ana", "Bruno", "Eva")
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    may_answer.set()
    first, *others = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(first, asyncio.CancelledError)
    assert [(one.value, one.shared) for one in others] == [(response("Olá!"), True)] * 2  # type: ignore[union-attr]
    assert len(calls) == 1


async def test_an_answer_with_a_name_is_not_shared_by_who_asked_meanwhile() -> None:
    bed, may_answer = Bed(), asyncio.Event()

    def asking(name: str):  # type: ignore[no-untyped-def]
        async def ask() -> str:
            await may_answer.wait()
            return response(f"Olá, {name}!")

        return asyncio.create_task(bed.cache.once(asked("oi", name=name), ask, text_of=str))

    waiting = [asking(name) for name in ("Ana", "Bruno")]
    await asyncio.sleep(0)
    may_answer.set()
    ana, bruno = await asyncio.gather(*waiting)
    assert ana.value == response("Olá, Ana!")
    assert (bruno.value, bruno.shared) == (response("Olá, Bruno!"), False)
