"""`prosa release verify` at a real Prometheus with scripted revisions: bad ones are refused, good ones pass."""

import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from adapters.http.listener import listen
from adapters.http.prometheus import PrometheusApi
from cli.release import matchers_of, watch
from cli.serving import server_of
from contracts.errors import ConfigurationError
from reports.release import Look
from tests.real_services import absent, accepts, free_port, start_server, stop_server

START = datetime(2026, 11, 2, 12, tzinfo=UTC)
STEP = timedelta(seconds=30)
HOUR = timedelta(hours=1)
REFUSED_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Behaviour:
    """Of one revision: events a minute, and shares of them."""

    posts: float = 60
    answers_5xx: float = 0.002
    failed: float = 0.01
    dead: float = 0.0
    slow: float = 0.02
    handed_off: float = 0.15
    inbox: float = 5
    oldest: float = 2


@dataclass(frozen=True)
class Script:
    """A release. `then` begins in the minute `turns`; the others behave like `usual`."""

    name: str
    usual: Behaviour = Behaviour()
    then: Behaviour | None = None
    turns: int = 12
    vanishes: bool = False
    others: bool = True
    late: bool = False
    odd_point: bool = False
    restarts: bool = False

    def new(self, minute: float) -> Behaviour:
        return self.then if self.then and minute >= self.turns else self.usual


U = Behaviour()
BAD = [
    Script("every post is answered 5xx", then=replace(U, answers_5xx=1.0)),
    Script("half of the posts", then=replace(U, answers_5xx=0.5)),
    Script("a fifth of the posts", then=replace(U, answers_5xx=0.2)),
    Script("an eighth of the posts", then=replace(U, answers_5xx=0.125)),
    Script("posts from the first minute", then=replace(U, answers_5xx=0.3), turns=0),
    Script("every turn fails", then=replace(U, failed=1.0)),
    Script("a third of the turns", then=replace(U, failed=0.33)),
    Script("an eighth of the turns", then=replace(U, failed=0.125)),
    Script("turns from the first minute", then=replace(U, failed=0.25), turns=0),
    Script("few messages and most of them fail", usual=replace(U, posts=6), then=replace(U, posts=6, failed=0.8)),
    Script("messages are given up", then=replace(U, dead=0.15)),
    Script("every reply is slow", then=replace(U, slow=1.0)),
    Script("a quarter of the replies is slow", then=replace(U, slow=0.25)),
    Script("below the limit, and far worse than the others", usual=replace(U, posts=900, failed=0.001),
           then=replace(U, posts=900, failed=0.047), turns=0),
    Script("three times the hand-offs", then=replace(U, handed_off=0.5)),
    Script("everybody is handed off", then=replace(U, handed_off=1.0)),
    Script("the inbox fills", then=replace(U, inbox=5000)),
    Script("messages wait", then=replace(U, oldest=200)),
    Script("its processes are gone", vanishes=True),
    Script("it never starts", vanishes=True, turns=0),
]  # fmt: skip
GOOD = [
    Script("usual"),
    Script("busy", usual=replace(U, posts=600)),
    Script("little traffic", usual=replace(U, posts=2)),
    Script("very little traffic", usual=replace(U, posts=0.2)),
    Script("no traffic", usual=replace(U, posts=0)),
    Script("nothing beside it", others=False),
    Script("nothing beside it and little traffic", usual=replace(U, posts=3), others=False),
    Script("noisy failures", usual=replace(U, failed=0.02, posts=20)),
    Script("noisy failures, busy", usual=replace(U, failed=0.025, posts=300)),
    Script("a few 5xx", usual=replace(U, answers_5xx=0.015)),
    Script("slowish", usual=replace(U, slow=0.03)),
    Script("slowish with little traffic", usual=replace(U, slow=0.02, posts=5)),
    Script("many hand-offs everywhere", usual=replace(U, handed_off=0.5)),
    Script("fewer hand-offs than before", then=replace(U, handed_off=0.05)),
    Script("better than before", usual=replace(U, failed=0.03), then=replace(U, failed=0.0), turns=0),
    Script("a series comes late", late=True),
    Script("a series comes late with little traffic", usual=replace(U, posts=8), late=True),
    Script("one odd point of the inbox", odd_point=True),
    Script("a process restarts", restarts=True),
    Script("a busy inbox", usual=replace(U, inbox=700, oldest=20)),
]


@dataclass
class Hour:
    """A clock that sleeping sets."""

    at: datetime = START
    looks: list[Look | None] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def openmetrics(scripts: list[Script]) -> str:
    families: dict[str, list[str]] = {}
    for number, script in enumerate(scripts):
        chance = random.Random(number)
        for revision in ("new", "old") if script.others else ("new",):
            _write(families, script, revision, chance)
    parts = [f"# TYPE {name} unknown\n" + "".join(samples) for name, samples in families.items()]
    return "".join(parts) + "# EOF\n"


def _write(families: dict[str, list[str]], script: Script, revision: str, chance: random.Random) -> None:
    totals: dict[tuple[str, str], float] = {}
    common = f'script="{script.name}",revision_name="{revision}"'
    begins = -30 if revision == "old" else 0
    for step in range(begins * 2, 2 * 61):
        minute = step / 2
        behaves = script.new(minute) if revision == "new" else script.usual
        at = (START + step * STEP).timestamp()
        if revision == "new" and script.vanishes and minute >= script.turns:
            return
        posts = _poisson(behaves.posts / 2, chance)
        hits = partial(_hits, posts, chance)
        bad, slow = hits(behaves.answers_5xx), hits(behaves.slow)
        grown = {
            ("webhook_ack_seconds_count", 'answer="5xx"'): bad,
            ("webhook_ack_seconds_count", 'answer="2xx"'): posts - bad,
            ("worker_turns_total", 'outcome="replied"'): posts,
            ("worker_fallbacks_total", 'reason="model_unavailable"'): hits(behaves.failed),
            ("worker_dead_letters_total", 'reason="attempts"'): hits(behaves.dead),
            ("fsm_transitions_total", 'trigger="escalate"'): hits(behaves.handed_off),
            ("worker_reply_seconds_count", ""): posts,
            ("worker_reply_seconds_bucket", 'le="1.0"'): (posts - slow) // 2,
            ("worker_reply_seconds_bucket", 'le="5.0"'): posts - slow,
            ("worker_reply_seconds_bucket", 'le="+Inf"'): posts,
        }
        if script.restarts and step == 40:
            totals.clear()
        for key, more in grown.items():
            totals[key] = totals.get(key, 0) + more
        deep = script.odd_point and step == 50
        gauges = {
            ("inbox_messages_waiting", ""): 9000 if deep else behaves.inbox,
            ("inbox_oldest_waiting_seconds", ""): behaves.oldest,
            ("process_start_time_seconds", ""): 1,
        }
        for (name, labels), value in (totals | gauges).items():
            if script.late and name.startswith("worker_") and 30 <= step < 36:
                continue
            together = ",".join(filter(None, (common, labels)))
            families.setdefault(name, []).append(f"{name}{{{together}}} {value} {at:.0f}\n")


def _poisson(mean: float, chance: random.Random) -> int:
    return (
        max(0, round(chance.gauss(mean, mean**0.5)))
        if mean > 10
        else sum(chance.random() < mean / 40 for _ in range(40))
    )


def _hits(posts: int, chance: random.Random, share: float) -> int:
    return sum(chance.random() < share for _ in range(posts))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if program is None or promtool is None:
        absent("prometheus", "install Debian's package prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    samples = folder / "samples"
    samples.write_text(openmetrics(BAD + GOOD))
    create = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(samples), str(folder / "data")]
    subprocess.run(create, check=True, capture_output=True)
    (folder / "prometheus.yaml").write_text("global: {}\n")
    options = {
        "config.file": folder / "prometheus.yaml",
        "storage.tsdb.path": folder / "data",
        "storage.tsdb.retention.time": "100y",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    command = [program, *(f"--{name}={value}" for name, value in options.items())]
    process = start_server(command, ready=lambda: accepts(port), name="prometheus")
    yield f"http://127.0.0.1:{port}"
    stop_server(process)


async def watched(url: str, script: Script, hour: Hour, *, lasting: timedelta = HOUR) -> str | None:
    api = PrometheusApi(url)
    try:
        return await watch(
            matchers_of(["new"], "revision_name", f'script="{script.name}"'),
            lambda at: partial(api.figures, at=at),
            lasting=lasting,
            clock=hour,
            sleep=hour.sleep,
            show=hour.looks.append,
        )
    finally:
        await api.close()


@pytest.mark.slow
@pytest.mark.parametrize("script", BAD, ids=lambda script: script.name)
async def test_a_bad_revision_is_refused_within_five_minutes_of_its_first_bad_one(
    script: Script, prometheus: str
) -> None:
    hour = Hour()
    assert await watched(prometheus, script, hour)
    # The newest half minute is not looked at yet.
    assert hour.at - START <= timedelta(minutes=script.turns) + REFUSED_WITHIN + timedelta(seconds=30)
    assert hour.at - START > timedelta(minutes=script.turns), "refused before anything was wrong"


@pytest.mark.slow
@pytest.mark.parametrize("script", GOOD, ids=lambda script: script.name)
async def test_a_good_revision_passes_its_hour(script: Script, prometheus: str) -> None:
    hour = Hour()
    assert await watched(prometheus, script, hour) is None
    assert len(hour.looks) == 60


Show = Callable[[Request], Response]


@asynccontextmanager
async def metrics_double(answer: Show) -> AsyncIterator[str]:
    async def double(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(Request(scope, receive))(scope, receive, send)

    async with server_of(double).running(listen("127.0.0.1", 0)) as url:
        yield url


async def test_a_server_of_metrics_that_fails_is_no_pass() -> None:
    """Two failures are waited out, the third refuses: what cannot be seen does not go on."""
    hour, answers = Hour(), iter([500, 503])
    async with metrics_double(lambda _: Response(status_code=next(answers, 502))) as url:
        reason = await watched(url, GOOD[0], hour)
    assert reason
    assert "no metrics" in reason
    assert hour.looks == [None, None, None]


async def test_cloud_monitoring_is_asked_with_a_token() -> None:
    """Its query API is Prometheus' below another path, for whoever holds a token."""
    asked: list[tuple[str, str | None]] = []

    def answer(request: Request) -> Response:
        series = [{"metric": {"figure": "b"}, "value": [0, "2"]}, {"metric": {"figure": "a"}, "value": [0, "NaN"]}]
        asked.append((request.url.path, request.headers.get("authorization")))
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": series}})

    async def token() -> str:
        return "ya29.x"

    async with metrics_double(answer) as url:
        api = PrometheusApi(f"{url}/v1/projects/p/location/global/prometheus", token=token)
        assert await api.figures({"a": "up", "b": "2"}, at=START) == {"b": 2.0}
        await api.close()
    assert asked == [("/v1/projects/p/location/global/prometheus/api/v1/query", "Bearer ya29.x")]


def test_a_name_cannot_add_to_the_query() -> None:
    with pytest.raises(ConfigurationError):
        matchers_of(['a"} or vector(0) or x{y="'], "revision_name", "")
