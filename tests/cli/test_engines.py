"""The commands of the engines on Redis and Google Cloud, as processes: a message in, a reply out, an orderly end."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.builders import ROOT
from tests.real_services import firestore_host, free_port, redis_url

pytestmark = pytest.mark.slow


def environment(folder: Path, **changes: str) -> dict[str, str]:
    ours = ("PROSA_", "ANTHROPIC", "WHATS", "REDIS_", "FIRESTORE_", "GOOGLE_", "CLOUD_TASKS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return (
        kept
        | {"PROSA_DATA_DIR": str(folder / "data"), "COLUMNS": "200", "PYTHONWARNINGS": "ignore", "PORT": "0"}
        | changes
    )


@contextmanager
def running(folder: Path, name: str, *arguments: str, **changes: str) -> Iterator[subprocess.Popen[str]]:
    """A process, told to stop at the end; one of the product has to end with 0."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, env=environment(folder, **changes), stdout=log, stderr=log
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            ended = process.wait(30)
            assert ended == 0 or arguments[0] != "cli.main", (folder / f"{name}.log").read_text()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def prosa(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=environment(folder, **changes),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def answers(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until the server is there."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends and process.poll() is None:
        try:
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")


def converse(url: str) -> dict[str, object]:
    """Say something and wait for the answer."""
    sent = httpx.post(f"{url}/chat/ana/messages", json={"id": "m-1", "text": "Oi, bom dia"}, timeout=10)
    assert sent.status_code == 202, sent.text
    for _ in range(3):
        status = httpx.get(f"{url}/chat/ana/messages/m-1", params={"wait": "20"}, timeout=30).json()
        if status["status"] == "replied":
            break
    return dict(status)


QUEUE = "projects/p/locations/l/queues/q"


def cloud_tasks(*, tasks_port: int, grpc_port: int, keys_port: int) -> dict[str, str]:
    """The settings of the engine with both doubles of Google Cloud."""
    return {
        "PROSA_ENGINE": "cloud_tasks",
        "GOOGLE_CLOUD_PROJECT": f"p-{uuid.uuid4().hex[:8]}",
        "FIRESTORE_EMULATOR_HOST": firestore_host(),
        "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{grpc_port}",
        "PROSA_TASKS_QUEUE": QUEUE,
        "PROSA_TASKS_URL": f"http://127.0.0.1:{tasks_port}/tasks/process",
        "PROSA_TASKS_SERVICE_ACCOUNT": "tasks@p.iam.gserviceaccount.com",
        "PROSA_TASKS_CERTS_URL": f"http://127.0.0.1:{keys_port}/oauth2/v3/certs",
    }


def double_of_queue(grpc_port: int, keys_port: int) -> tuple[str, ...]:
    return ("sandbox.cloud_tasks", "--port", str(grpc_port), "--http-port", str(keys_port), "--queue", QUEUE)


def sample(metrics: str, name: str) -> float:
    return next(float(line.rpartition(" ")[2]) for line in metrics.splitlines() if line.startswith(f"{name} "))


def test_celery_answers_and_every_process_ends_in_order(tmp_path: Path) -> None:
    Redis.from_url(redis_url()).flushall()
    port = free_port()
    shared = {"PROSA_ENGINE": "celery", "REDIS_URL": redis_url(), "PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with (
        running(tmp_path, "webhook", "cli.main", "webhook", **shared) as webhook,
        running(tmp_path, "worker", "cli.main", "worker", **shared) as worker,
        running(tmp_path, "beat", "cli.main", "beat", **shared),
    ):
        answers(url, webhook)
        status = converse(url)
        assert status["status"] == "replied", (tmp_path / "worker.log").read_text()
        assert httpx.get(f"{url}/readyz", timeout=5).json() == {"status": "ready"}
        webhook.send_signal(signal.SIGHUP)
        reloads(worker, tmp_path / "worker.log")
        assert httpx.get(f"{url}/healthz", timeout=5).status_code == 200
        with httpx.stream("GET", f"{url}/chat/ana/events", timeout=10) as events:
            assert next(line for line in events.iter_lines() if line.startswith("event:")) == "event: reply"
        examined = {one["check"]: one for one in json.loads(prosa(tmp_path, "doctor", "--json", **shared).stdout)}
        assert examined["inbox"]["health"] == examined["redis"]["health"] == "ok"


def reloads(process: subprocess.Popen[str], log: Path) -> None:
    """Documents are taken up by the same process."""
    process.send_signal(signal.SIGHUP)
    ends = time.monotonic() + 30
    while "institution.reloaded" not in log.read_text():
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.05)
    assert process.poll() is None


def test_every_worker_of_a_machine_tells_its_own_figures(tmp_path: Path) -> None:
    """Two of them, each on a port: what one has done is not counted by the other, and what waits both of them see."""
    Redis.from_url(redis_url()).flushall()
    port, *ports = (free_port() for _ in range(3))
    shared = {"PROSA_ENGINE": "celery", "REDIS_URL": redis_url(), "PORT": str(port)}
    first, second = (("cli.main", "worker", "--name", f"w{n}@test", "--metrics-port", str(n)) for n in ports)
    with (
        running(tmp_path, "webhook", "cli.main", "webhook", **shared) as webhook,
        running(tmp_path, "first", *first, **shared) as one,
        running(tmp_path, "second", *second, **shared) as two,
    ):
        answers(f"http://127.0.0.1:{port}", webhook)
        for its_port, process in zip(ports, (one, two), strict=True):
            answers(f"http://127.0.0.1:{its_port}", process)
            assert httpx.get(f"http://127.0.0.1:{its_port}/readyz", timeout=5).status_code == 200
        assert converse(f"http://127.0.0.1:{port}")["status"] == "replied"
        told = [httpx.get(f"http://127.0.0.1:{its_port}/metrics", timeout=5).text for its_port in ports]
        assert sum(sample(text, 'worker_turns_total{outcome="replied"}') for text in told) == 1
        assert [sample(text, "inbox_messages_waiting") for text in told] == [0, 0]
        taken = prosa(tmp_path, "worker", "--metrics-port", str(ports[0]), **shared)
        assert taken.returncode == 2
        assert "PROSA_METRICS_PORT" in taken.stderr


def test_cloud_tasks_answers_and_every_process_ends_in_order(tmp_path: Path) -> None:
    webhook_port, tasks_port, grpc_port, keys_port = (free_port() for _ in range(4))
    shared = cloud_tasks(tasks_port=tasks_port, grpc_port=grpc_port, keys_port=keys_port)
    url = f"http://127.0.0.1:{webhook_port}"
    with (
        running(tmp_path, "double", *double_of_queue(grpc_port, keys_port)),
        running(tmp_path, "tasks", "cli.main", "tasks", **shared, PORT=str(tasks_port)) as tasks,
        running(tmp_path, "webhook", "cli.main", "webhook", **shared, PORT=str(webhook_port)) as webhook,
    ):
        answers(f"http://127.0.0.1:{tasks_port}", tasks)
        answers(url, webhook)
        assert converse(url)["status"] == "replied", (tmp_path / "tasks.log").read_text()
        reloads(tasks, tmp_path / "tasks.log")
        metrics = httpx.get(f"http://127.0.0.1:{tasks_port}/metrics", timeout=5).text
        assert sample(metrics, 'worker_task_requests_total{outcome="done"}') > 0
        assert httpx.post(shared["PROSA_TASKS_URL"], json={"conversation_id": "web:ana"}, timeout=5).status_code == 401
        examined = {one["check"]: one for one in json.loads(prosa(tmp_path, "doctor", "--json", **shared).stdout)}
        assert examined["store"]["health"] == examined["cloud tasks"]["health"] == "ok"


def test_conversations_move_to_redis_and_back(tmp_path: Path) -> None:
    Redis.from_url(redis_url()).flushall()
    here, redis = f"sqlite:{tmp_path}/kept.sqlite", {"REDIS_URL": redis_url()}
    recording = tmp_path / "in.jsonl"
    recording.write_text(
        "".join(json.dumps({"conversation": f"c-{n}", "text": "Oi, bom dia"}) + "\n" for n in range(5))
    )
    assert prosa(tmp_path, "replay", str(recording), "--store", here).returncode == 0

    def migrate(*arguments: str) -> dict[str, int]:
        done = prosa(tmp_path, "conversations", "migrate", *arguments, "--json", **redis)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    change = ("--status", "disabled", "--owner", "ana", "--expires", "2099-01-01", "--reason", "too many hits", "--yes")
    assert prosa(tmp_path, "flags", "set", "cache.exact", *change, PROSA_STORE=here).returncode == 0
    first = migrate(here, "redis")
    assert first["copied"] == 5
    assert first["records copied"] >= 2, "the flag and its history"
    again = migrate(here, "redis")
    assert (again["unchanged"], again["records copied"]) == (5, 0)
    assert migrate(here, "redis", "--cut-over")["cut over"] == 5
    listed = prosa(tmp_path, "conversations", "list", "--json", PROSA_STORE="redis", **redis)
    assert sorted(one["id"] for one in json.loads(listed.stdout)) == [f"web:c-{n}" for n in range(5)]
    assert migrate("redis", here, "--cut-over")["cut over"] == 5
    assert prosa(tmp_path, "conversations", "migrate", here, here, **redis).returncode == 2


@pytest.mark.parametrize(
    ("command", "changes", "named"),
    [
        (("webhook",), {}, "prosa run"),
        (("worker",), {}, "prosa run"),
        (("beat",), {}, "prosa run"),
        (("tasks",), {"PROSA_ENGINE": "celery", "REDIS_URL": "redis://127.0.0.1:1"}, "prosa worker"),
        (("run",), {"PROSA_ENGINE": "celery", "REDIS_URL": "redis://127.0.0.1:1"}, "prosa webhook"),
        (("worker", "--queue", "slow"), {"PROSA_ENGINE": "celery", "REDIS_URL": "redis://127.0.0.1:1"}, "slow"),
        (("worker",), {"PROSA_ENGINE": "celery", "REDIS_URL": "kafka://127.0.0.1:1"}, "redis://"),
    ],
)
def test_a_command_of_another_engine_says_which_one(
    tmp_path: Path, command: tuple[str, ...], changes: dict[str, str], named: str
) -> None:
    done = prosa(tmp_path, *command, **changes)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_in_production_an_inbox_that_may_lose_messages_is_refused(tmp_path: Path) -> None:
    server = Redis.from_url(redis_url())
    server.config_set("maxmemory-policy", "allkeys-lru")
    try:
        done = prosa(
            tmp_path,
            "webhook",
            PROSA_ENV="production",
            PROSA_ENGINE="celery",
            REDIS_URL=redis_url(),
            ANTHROPIC_API_KEY="k",
            PROSA_CONSOLE_TOKEN="t",
            PROSA_ID_SALT="s",
        )
    finally:
        server.config_set("maxmemory-policy", "noeviction")
    assert done.returncode == 2
    assert "noeviction" in done.stderr
