"""The libraries that Prosa is built on, in the processes that answer: each of them is loaded by one that runs."""

from pathlib import Path

import pytest
from redis import Redis

from tests.cli.test_engines import answers, cloud_tasks, double_of_queue, running
from tests.cli.test_trace_of_processes import sandbox, shared, until_read, write
from tests.collector import collecting
from tests.real_services import free_port, redis_url

pytestmark = pytest.mark.slow

LIBRARIES = {
    "anthropic",
    "celery",
    # google.cloud.firestore is another name of it.
    "google.cloud.firestore_v1",
    "google.cloud.tasks_v2",
    "httpx",
    "opentelemetry.sdk",
    "prometheus_client",
    "redis",
    "structlog",
    "transitions",
}
# Python runs it as it starts; what is loaded at the end is what the process has used.
AT_EXIT = """
import atexit, os, pathlib, sys

@atexit.register
def write():
    folder = pathlib.Path(os.environ["LOADED_INTO"])
    (folder / f"{os.getpid()}.modules").write_text("\\n".join(sorted(sys.modules)))
"""


def loaded(folder: Path) -> set[str]:
    return {name for file in folder.glob("*.modules") for name in file.read_text().splitlines()}


def watched(tmp_path: Path, name: str) -> tuple[Path, dict[str, str]]:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AT_EXIT)
    return folder, {"PYTHONPATH": str(folder), "LOADED_INTO": str(folder)}


def test_every_library_is_loaded_by_a_process_that_answers(tmp_path: Path) -> None:
    by_engine = {"celery": loaded_by_celery(tmp_path), "cloud tasks": loaded_by_cloud_tasks(tmp_path)}
    assert all(len(modules) > 100 for modules in by_engine.values())
    assert set.union(*by_engine.values()) >= LIBRARIES
    # An engine loads nothing of the other.
    assert not by_engine["celery"] & {"google.cloud.firestore_v1", "google.cloud.tasks_v2"}
    assert not by_engine["cloud tasks"] & {"celery"}


def loaded_by_celery(tmp_path: Path) -> set[str]:
    Redis.from_url(redis_url()).flushall()
    folder, watch = watched(tmp_path, "on_celery")
    port, sandbox_port = free_port(), free_port()
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    with collecting() as collector:
        settings = shared(collector, sandbox_url, port) | {"PROSA_ENGINE": "celery", "REDIS_URL": redis_url()} | watch
        with (
            running(folder, "sandbox", *sandbox(sandbox_url, sandbox_port, port)) as double,
            running(folder, "webhook", "cli.main", "webhook", **settings) as webhook,
            running(folder, "worker", "cli.main", "worker", **settings),
        ):
            answers(sandbox_url, double)
            answers(url, webhook)
            write(url, "5511900000000")
            until_read(collector, 1)
    return loaded(folder)


def loaded_by_cloud_tasks(tmp_path: Path) -> set[str]:
    folder, watch = watched(tmp_path, "on_cloud_tasks")
    port, tasks_port, grpc_port, keys_port, sandbox_port = (free_port() for _ in range(5))
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    with collecting() as collector:
        engine = cloud_tasks(tasks_port=tasks_port, grpc_port=grpc_port, keys_port=keys_port)
        settings = shared(collector, sandbox_url, port) | engine | watch
        with (
            running(folder, "sandbox", *sandbox(sandbox_url, sandbox_port, port)) as model,
            running(folder, "double", *double_of_queue(grpc_port, keys_port)),
            running(folder, "tasks", "cli.main", "tasks", **settings | {"PORT": str(tasks_port)}) as tasks,
            running(folder, "webhook", "cli.main", "webhook", **settings) as webhook,
        ):
            answers(sandbox_url, model)
            answers(f"http://127.0.0.1:{tasks_port}", tasks)
            answers(url, webhook)
            write(url, "5511900000000")
            until_read(collector, 1)
    return loaded(folder)
