"""What the cache and the grouping of requests cost and gain: `python -m tests.bench.caching`.

Times are of this machine at this moment. The model is the sandbox over HTTP, through the real SDK, with the latency
said in the table; what it costs is at list prices, by the tokens that it bills.
"""

import asyncio
import io
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from rich.table import Table

from adapters.http.listener import listen
from adapters.memory.cache import MemoryCache
from adapters.models.anthropic import AnthropicModel
from adapters.redis.cache import RedisCache
from cli.serving import server_of
from contracts.calls import CallContext
from contracts.conversation import TaskName
from contracts.ports import Cache, Embedder, LanguageModel, ModelRequest, ModelResponse, SystemBlock
from observability.logs import configure_logs
from prompts.caching.answers import INDEXED_AT_ONCE, AnswerCache, KeptAnswer
from prompts.caching.questions import CachePolicy, Question
from prompts.execution.batching import GroupedEmbedder
from prompts.execution.policies import SharingModel
from prompts.pricing.prices import PriceBook
from sandbox.app import SandboxSettings, create_app
from sandbox.behaviour import ModelBehaviour
from tests.bench.engine import console, percentile
from tests.builders import open_redis, pyloto, registry, response
from tests.models import schema_of
from tests.prompts_cache.turns import asked, view
from tests.real_services import minilm
from tests.scripted import ScriptedModel

ROUNDS = 200
MODEL = "claude-haiku-5-5"
MODEL_MS = 600
WORDS = "horário endereço telefone prazo entrega coleta pedido contrato sistema equipe loja cliente empresa serviço"


@dataclass(frozen=True)
class Times:
    """Milliseconds of each round, one after the other, and those of this process's CPU."""

    wall: list[float]
    cpu: list[float]


async def timed(work: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> Times:
    await work()
    times = Times([], [])
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        await work()
        times.wall.append((time.perf_counter() - began) * 1000)
        times.cpu.append((time.process_time() - used) * 1000)
    return times


def policy(embedder: str | None) -> CachePolicy:
    return CachePolicy(frozenset({TaskName.RESPONSE}), embedder=embedder)


def answers(cache: Cache, embedder: Embedder | None = None) -> AnswerCache:
    return AnswerCache(cache, now=lambda: datetime.now(UTC), chance=lambda: 1.0, embedder=embedder)


def other_questions(count: int) -> list[str]:
    """So many different questions in known words."""
    words, size = WORDS.split(), len(WORDS.split())
    chosen = ([words[n // size**place % size] for place in range(4)] for n in range(count))
    return ["qual {} de {} e {} com {}".format(*four) for four in chosen]


async def exact_level(table: Table) -> None:
    question = asked("Qual é o horário de atendimento?", policy=policy(None))
    async with open_redis() as database:
        for name, cache in (("memory", MemoryCache(monotonic=time.monotonic)), ("Redis", RedisCache(database))):
            found = answers(cache)
            await found.keep(question, response("Em horário comercial."))
            _row(table, f"exact level, hit, {name}", await timed(lambda: found.find(question)))  # noqa: B023 - awaited
    build = policy(None)
    turn = view("Qual é o horário de atendimento?")

    async def key() -> Question | None:
        return build.question(TaskName.RESPONSE, "generate_response_v1@0000", MODEL, turn)

    _row(table, "the question's key", await timed(key))


async def grouping_alone(table: Table) -> None:
    """What a request pays for being looked at, beside a model that answers at once."""

    async def at_once(_: ModelRequest) -> str:
        return "{}"

    one, plain = request("oi"), ScriptedModel(at_once)
    grouped = SharingModel(plain, monotonic=time.monotonic)
    _row(table, "a model that answers at once", await timed(lambda: plain.complete(one)))
    _row(table, "the same, grouped", await timed(lambda: grouped.complete(one)))


async def semantic_level(table: Table) -> None:
    embedder = minilm()
    for text in (
        "Qual é o horário?",
        "Vocês entregam no centro da cidade no sábado de manhã ou só durante a semana inteira",
    ):
        times = await timed(lambda: embedder.embed([text]), 50)  # noqa: B023 - awaited
        _row(table, f"embedding of {len(text.split())} words", times)
    ten = other_questions(10)
    _row(
        table,
        "ten embeddings, each alone",
        await timed(lambda: asyncio.gather(*(embedder.embed([t]) for t in ten)), 20),
    )
    grouped = GroupedEmbedder(embedder)
    _row(
        table, "ten embeddings in one pass", await timed(lambda: asyncio.gather(*(grouped.embed([t]) for t in ten)), 20)
    )
    for entries in (1_000, 10_000):
        await _semantic_check(table, entries)


async def _semantic_check(table: Table, entries: int) -> None:
    """A miss among so many vectors of an embedder that costs nothing: the look into Redis and the search."""
    embedder = _Random()
    async with open_redis() as database:
        cache = answers(RedisCache(database), embedder)
        for text in other_questions(entries):
            question = asked(text, policy=policy("random"))
            await cache._keep_semantic(question.semantic, _kept())
        question = asked("quem atende", policy=policy("random"))
        looks = entries // INDEXED_AT_ONCE
        _row(table, f"  taking up {INDEXED_AT_ONCE} entries of others", await timed(look(cache, question), looks))
        _row(table, f"semantic level, miss, {entries} entries", await timed(look(cache, question)))


def look(cache: AnswerCache, question: Question) -> Callable[[], Awaitable[object]]:
    return lambda: cache._find_semantic(question)


def _kept() -> KeptAnswer:
    return KeptAnswer(text=response("Em horário comercial."), at=datetime.now(UTC))


class _Random:
    """Vectors in all directions, at no cost."""

    name, width = "random", 384

    def __init__(self) -> None:
        import numpy as np

        self._draw = np.random.default_rng(0).standard_normal

    async def embed(self, texts: list[str]) -> list[bytes]:  # type: ignore[override]
        drawn = self._draw((len(texts), self.width)).astype("<f4")
        return [(row / (row @ row) ** 0.5).tobytes() for row in drawn]

    async def close(self) -> None:
        return


@dataclass(frozen=True)
class Burst:
    """What many requests of the same moment came to."""

    milliseconds: list[float]
    calls: int
    usd: Decimal


@asynccontextmanager
async def sandbox_model() -> AsyncIterator[AnthropicModel]:
    app = create_app(SandboxSettings(institution=pyloto(), model=ModelBehaviour(latency=MODEL_MS)))
    async with server_of(app).running(listen("127.0.0.1", 0)) as url:
        model = AnthropicModel(api_key="bench", base_url=f"{url}/anthropic")
        try:
            yield model
        finally:
            await model.close()


def request(text: str) -> ModelRequest:
    return ModelRequest(
        model=MODEL,
        system=(
            SystemBlock(text=pyloto().prompt_core, cached=True),
            SystemBlock(text=registry().get("generate_response").system, cached=True),
        ),
        user=f'<conversation>{{"messages":[{{"kind":"text","text":"{text}"}}]}}</conversation>',
        schema_name="response_draft",
        output_schema=schema_of("generate_response"),
        max_tokens=512,
        timeout=timedelta(seconds=30),
        context=CallContext(batched=True),
    )


async def burst(model: LanguageModel, requests: list[ModelRequest]) -> Burst:
    async def one(asked_for: ModelRequest) -> tuple[float, ModelResponse]:
        began = time.perf_counter()
        answer = await model.complete(asked_for)
        return (time.perf_counter() - began) * 1000, answer

    done = await asyncio.gather(*(one(asked_for) for asked_for in requests))
    book, at = PriceBook(), datetime.now(UTC)
    prices = [book.cost(MODEL, answer.tokens, at=at) for _, answer in done if not answer.shared]
    return Burst([ms for ms, _ in done], len(prices), sum((price or Decimal(0) for price in prices), Decimal(0)))


async def grouping(table: Table) -> None:
    cases = {
        "20 identical requests": [request("oi")] * 20,
        "20 different ones, cold prefix": [request(f"oi {n}") for n in range(20)],
        "one request alone, cold prefix": [request("oi")],
    }
    for name, requests in cases.items():
        for grouped in (False, True):
            async with sandbox_model() as model:
                asked_of = SharingModel(model, monotonic=time.monotonic) if grouped else model
                _burst_row(table, name, grouped, await burst(asked_of, requests))
    for grouped in (False, True):
        async with sandbox_model() as model:
            asked_of = SharingModel(model, monotonic=time.monotonic) if grouped else model
            await asked_of.complete(request("primeiro"))
            _burst_row(
                table,
                "20 different ones, warm prefix",
                grouped,
                await burst(asked_of, cases["20 different ones, cold prefix"]),
            )


def _burst_row(table: Table, name: str, grouped: bool, result: Burst) -> None:
    p50, p99 = statistics.median(result.milliseconds), percentile(result.milliseconds, 0.99)
    table.add_row(
        name,
        "grouped" if grouped else "as they come",
        str(result.calls),
        f"{p50:.0f}",
        f"{p99:.0f}",
        f"{result.usd:.5f}",
    )


def _row(table: Table, name: str, times: Times) -> None:
    wall, cpu = statistics.median(times.wall), statistics.median(times.cpu)
    table.add_row(name, f"{wall:.3f}", f"{percentile(times.wall, 0.99):.3f}", f"{cpu:.3f}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=None)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


async def measure() -> None:
    costs = _table("The cache, one check after the other, in ms", "check", "p50", "p99", "CPU p50")
    await exact_level(costs)
    await grouping_alone(costs)
    await semantic_level(costs)
    console.print(costs)
    console.print()
    columns = ("requests of one moment", "way", "calls", "p50 ms", "p99 ms", "USD")
    gains = _table(f"Grouping, the sandbox's model answering in {MODEL_MS} ms", *columns)
    await grouping(gains)
    console.print(gains)


def main() -> None:
    configure_logs(level="ERROR", stream=io.StringIO())
    asyncio.run(measure())


if __name__ == "__main__":
    main()
