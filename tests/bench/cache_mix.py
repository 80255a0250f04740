"""Hit rate of each cache level, and the money saved, on a traffic mix: `python -m tests.bench.cache_mix`.

The mix: first messages in Portuguese and English, half each. What is asked is drawn by Zipf's law (exponent 1) from the
frequent questions and a tail of rare ones; six in ten are typed again by hand, in one of 13 ways
(`tests/prompts_cache/corpus.py`). Each goes through Tasks 1 to 3 with all levels on; the sandbox's brain answers.
Tokens are a quarter of the characters, with the templates' prefix read from the provider's cache; prices are the list's
at the day of the run.
"""

import argparse
import asyncio
import io
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal

import orjson
from rich.console import Console
from rich.table import Table

from adapters.channels.web import LIMITS
from adapters.memory.cache import MemoryCache
from cli.settings import read_settings
from context.loader import load_institution
from contracts.conversation import Conversation, State, TaskName, TaskRecord, TokenCount
from contracts.decisions import StateDecision
from contracts.messages import ChannelName
from contracts.ports import Embedder, ModelRequest
from contracts.settings import DEFAULT_MODEL
from contracts.values import ConversationId
from observability.logs import configure_logs
from prompts.caching.answers import AnswerCache
from prompts.execution.batching import GroupedEmbedder
from prompts.pricing.prices import PriceBook
from prompts.request import TurnView
from prompts.templating.registry import versions_for
from sandbox.brain import Brain
from tests.builders import DOCUMENTS, inbound, meter, registry
from tests.prompts_cache.corpus import EDITS, ENGLISH, ENGLISH_EDITS, PORTUGUESE, QUESTIONS, traps
from tests.scripted import ScriptedModel
from worker.bootstrap import make_executor, make_prompter

TYPED_ANEW = 0.6
AT_ONCE = 16
INSTITUTIONS = {PORTUGUESE: "pyloto", ENGLISH: "harbour_dental"}
TASKS = {
    "state_decision": TaskName.STATE,
    "response_draft": TaskName.RESPONSE,
    "message_type_choice": TaskName.MESSAGE_TYPE,
}
SETTINGS = {
    "PROMPTER_USE_CACHE": "true",
    "PROSA_CACHE_TEMPLATE": "true",
    "PROSA_CACHE_SEMANTIC": "response",
    "PROSA_CACHE_SAMPLE": "0",
    "ANTHROPIC_API_KEY": "none",
}


@dataclass
class Measured:
    """Outcomes by task and level, and USD by what was paid and what a hit spared."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    paid: Decimal = Decimal(0)
    calls: int = 0

    def add(self, record: TaskRecord) -> None:
        self.outcomes[record.task, record.cache or "model"] += 1


def mix(count: int, drawn: random.Random) -> list[tuple[str, str]]:
    """Return so many questions with their languages."""
    asked = {}
    for language in INSTITUTIONS:
        rare = dict.fromkeys(pair.first for pair in traps() if pair.language == language)
        common = list(QUESTIONS[language])
        asked[language] = [*common, *itertools.islice(rare, 480)]
    weights = {language: [1 / rank for rank in range(1, len(texts) + 1)] for language, texts in asked.items()}
    questions = []
    for _ in range(count):
        language = drawn.choice(list(INSTITUTIONS))
        (text,) = drawn.choices(asked[language], weights[language])
        ways = EDITS if language == PORTUGUESE else ENGLISH_EDITS
        typed = drawn.choice(list(ways.values()))(text) if drawn.random() < TYPED_ANEW else text
        questions.append((typed, language))
    return questions


async def measure(questions: list[tuple[str, str]], embedder: Embedder | None, *, cached: bool) -> Measured:
    found, book, at = Measured(), PriceBook(), datetime.now(UTC)
    institutions = {language: load_institution(DOCUMENTS / name) for language, name in INSTITUTIONS.items()}
    brains = {house.name: Brain(house) for house in institutions.values()}

    async def answer(request: ModelRequest) -> str:
        system = "".join(block.text for block in request.system)
        brain = next(brain for name, brain in brains.items() if name in system)
        text = orjson.dumps(brain.answer(TASKS[request.schema_name], request.user)).decode()
        tokens = TokenCount(input=len(request.user) // 4, output=len(text) // 4, cache_read=len(system) // 4)
        found.paid += book.cost(DEFAULT_MODEL, tokens, at=at) or 0
        found.calls += 1
        return text

    settings = read_settings(SETTINGS | {"PROMPTER_USE_CACHE": "true"}, env_file=None)
    cache = AnswerCache(
        MemoryCache(monotonic=time.monotonic), now=lambda: datetime.now(UTC), chance=lambda: 1.0, embedder=embedder
    )
    executor = make_executor(settings, ScriptedModel(answer), meter(), cache if cached else None)
    prompter = make_prompter(settings, executor, versions_for(registry(), choice=True, structured=False))

    async def ask(number: int, text: str, language: str) -> None:
        clock = prompter.begin_calls()
        view = TurnView(
            institution=institutions[language],
            conversation=Conversation(id=ConversationId(f"web:{number}"), state=State.UNDERSTANDING_INTENT),
            messages=(inbound(text, conversation=str(number)),),
            channel=ChannelName.WEB,
            allowed_states=(State.PROCESSING, State.ESCALATING, State.COMPLETED, State.SPAM),
            askable_fields=tuple(field.id for field in institutions[language].fields),
        )
        tasks = prompter.tasks(None, clock)
        decided = await tasks.select_state(view)
        found.add(*tasks.records)
        if not isinstance(decided, StateDecision) or decided.next_state is not State.PROCESSING:
            return
        response, form = await tasks.write_and_shape(replace(view, decision=decided, limits=LIMITS))
        # The gate has let it pass.
        await prompter.keep(response)
        found.add(response.record)
        found.add(form.record)

    left = iter(enumerate(questions))

    async def one_after_the_other() -> None:
        for number, (text, language) in left:
            await ask(number, text, language)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_the_other())
    await cache.close()
    return found


async def main() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=10_000)
    count = parser.parse_args().questions
    questions = mix(count, random.Random(1))
    from adapters.models.onnx_embedder import load_embedder

    embedder = GroupedEmbedder(load_embedder("all-MiniLM-L6-v2"))
    without = await measure(questions, None, cached=False)
    with_it = await measure(questions, embedder, cached=True)
    console, levels = Console(), ("exact", "template", "semantic", "shared", "model")
    table = Table(title=f"{count:,} questions, answers by level", box=None)
    for column in ("task", "asked", *levels, "hit rate"):
        table.add_column(column, justify="left" if column == "task" else "right")
    for task in (TaskName.STATE, TaskName.RESPONSE, TaskName.MESSAGE_TYPE):
        asked = sum(n for (name, _), n in with_it.outcomes.items() if name == task)
        by_level = [with_it.outcomes[task, level] for level in levels]
        shares = [f"{n / max(1, asked):.1%}" for n in by_level]
        table.add_row(task.value, f"{asked:,}", *shares, f"{1 - by_level[-1] / max(1, asked):.1%}")
    console.print(table)
    spared = without.paid - with_it.paid
    console.print(
        f"calls {without.calls:,} -> {with_it.calls:,}; USD {without.paid:.2f} -> {with_it.paid:.2f}: "
        f"{spared:.2f} spared, {spared / without.paid:.1%}"
    )
    batches = embedder.statistics
    console.print(
        f"embeddings: {batches.items:,} in {batches.batches:,} batches of {batches.largest} at most, "
        f"{batches.overflow:,} overflows"
    )
    await embedder.close()


if __name__ == "__main__":
    asyncio.run(main())
