"""`prosa cache`: what is kept is counted and forgotten; warming asks the model and leaves nothing behind."""

import asyncio
import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from adapters.redis.cache import RedisCache
from cli.cache import app
from contracts.conversation import TaskName
from observability.exposition import batches_of
from observability.metrics import REGISTRY
from prompts.caching.questions import CachePolicy
from prompts.execution.batching import GroupedEmbedder
from tests.builders import open_redis
from tests.cli.test_commands import Prosa, prosa  # noqa: F401 - a fixture
from tests.prompts_cache.hashed_embedder import HashedEmbedder
from tests.prompts_cache.turns import EVERYTHING, view
from tests.real_services import redis_url

pytestmark = pytest.mark.slow
DAY = timedelta(days=1)


def fill() -> None:
    """Three answers of one template, one of another, one of another task."""

    async def put() -> None:
        async with open_redis() as database:
            cache = RedisCache(database)
            for text in ("oi", "olá", "qual o horário"):
                await _put(cache, TaskName.RESPONSE, "generate_response_v1@aaaa", text)
            await _put(cache, TaskName.RESPONSE, "generate_response_v2@bbbb", "oi", EVERYTHING)
            await _put(cache, TaskName.MESSAGE_TYPE, "select_message_type_v1@cccc", "oi")

    asyncio.run(put())


async def _put(cache: RedisCache, task: TaskName, label: str, text: str, policy: CachePolicy = EVERYTHING) -> None:
    question = policy.question(task, label, "m", view(text))
    assert question
    await cache.put(question.exact.scope, question.exact.key, b"{}", ttl=DAY)


def entries(prosa: Prosa) -> dict[str, int]:  # noqa: F811 - the fixture's value
    done = prosa("cache", "stats", "--json", REDIS_CACHE_URL=redis_url())
    assert done.returncode == 0, done.stderr
    return {view["template"]: view["entries"] for view in json.loads(done.stdout)["scopes"]}


def test_answers_are_counted_and_forgotten(prosa: Prosa) -> None:  # noqa: F811
    fill()
    one, two, form = "generate_response_v1@aaaa", "generate_response_v2@bbbb", "select_message_type_v1@cccc"
    assert entries(prosa) == {one: 3, two: 1, form: 1}
    shown = prosa("cache", "stats", REDIS_CACHE_URL=redis_url())
    assert one in shown.stdout
    assert "exact" in shown.stdout

    done = prosa("cache", "clear", "--template", "generate_response_v1", "--json", REDIS_CACHE_URL=redis_url())
    assert json.loads(done.stdout) == {"forgotten": 3}
    assert entries(prosa) == {two: 1, form: 1}
    done = prosa("cache", "clear", "--task", "message_type", "--level", "template", REDIS_CACHE_URL=redis_url())
    assert "0 answers" in done.stdout
    assert prosa("cache", "clear", "--all", REDIS_CACHE_URL=redis_url()).returncode == 0
    assert entries(prosa) == {}


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("stats",), {}, "REDIS_CACHE_URL"),
        (("clear",), {"REDIS_CACHE_URL": "redis://127.0.0.1:1/0"}, "or --all"),
        (("clear", "--all", "--task", "state"), {"REDIS_CACHE_URL": "redis://127.0.0.1:1/0"}, "or --all"),
        (("warm", "x"), {"REDIS_CACHE_URL": "redis://127.0.0.1:1/0"}, "PROMPTER_USE_CACHE=true"),
        (("warm", "x"), {"PROMPTER_USE_CACHE": "true"}, "x cannot be read"),
        (("warm", "x", "--channel", "fax"), {"PROMPTER_USE_CACHE": "true"}, "web or whatsapp"),
    ],
)
def test_wrong_usage_says_what_to_do(
    prosa: Prosa,  # noqa: F811
    arguments: tuple[str, ...],
    environment: dict[str, str],
    said: str,
) -> None:
    done = prosa("cache", *arguments, **environment)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_redis_that_is_away_is_a_failure(prosa: Prosa) -> None:  # noqa: F811
    done = prosa("cache", "stats", REDIS_CACHE_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 1
    assert "Redis" in done.stderr


@pytest.mark.parametrize("channel", ["web", "whatsapp"])
def test_warming_asks_each_question_once(prosa: Prosa, tmp_path: Path, channel: str) -> None:  # noqa: F811
    questions = tmp_path / "questions.txt"
    questions.write_text("qual o horário?\n\nonde fica?\nqual o horário?\n", encoding="utf-8")
    environment = {"REDIS_CACHE_URL": redis_url(), "PROMPTER_USE_CACHE": "true"}
    done = prosa("cache", "warm", str(questions), "--channel", channel, "--json", **environment)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["questions"], told["answered"]) == (2, 2)
    assert not list((tmp_path / "data").glob("*.sqlite")), "no conversation is stored"


async def test_batches_of_a_process_are_read_from_its_metrics() -> None:
    grouped = GroupedEmbedder(HashedEmbedder())
    before = batches_of(REGISTRY.collect()).get("embedding", {"total": 0, "batches": 0})
    await grouped.embed(["oi", "bom dia", "quanto custa"])
    await grouped.close()
    content = generate_latest(REGISTRY)

    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(content)

    with HTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        told = await asyncio.to_thread(CliRunner().invoke, app, ["stats", "--batches", url, "--json"])
        missing = await asyncio.to_thread(CliRunner().invoke, app, ["stats", "--batches", f"{url}/other"])
        server.shutdown()
    found = json.loads(told.stdout)["batches"]["embedding"]
    assert (found["total"] - before["total"], found["batches"] - before["batches"]) == (3, 1)
    assert found["average_size"] == found["total"] / found["batches"]
    assert found["efficiency"] == 1 - found["batches"] / found["total"]
    assert missing.exit_code == 1
