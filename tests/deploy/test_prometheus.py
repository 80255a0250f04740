"""A real Prometheus with our configuration, rules and a running Prosa: everything a dashboard asks has an answer."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.test_alerts import FOLDER, RULES, expressions
from tests.real_services import absent, accepts, free_port, start_server, stop_server

pytestmark = pytest.mark.slow

TOKEN = "the console's own"
RANGE = {"$__rate_interval": "1m", "$__range": "5m"}


@pytest.fixture(scope="module")
def prosa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded engine with batching, which has answered people at the same moment and ended an episode."""
    folder, port = tmp_path_factory.mktemp("prosa"), free_port()
    ours = ("PROSA_", "ANTHROPIC", "WHATS", "REDIS_", "FIRESTORE_", "GOOGLE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"PROSA_DATA_DIR": str(folder), "PORT": str(port), "PROSA_CONSOLE_TOKEN": TOKEN}
    environment |= {"PROMPTER_USE_CACHE": "true", "PROSA_CACHE_TEMPLATE": "true", "PROSA_CACHE_SAMPLE": "0.5"}
    environment |= {"PROMPTER_USE_BATCHING": "true", "PROSA_STREAMING": "false"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + 60
        while not accepts(port):
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.05)
        for number, text in enumerate(("Oi, bom dia", "Como funciona a entrega de documentos?", "era só isso, tchau")):
            for name in (people := ("ana", "bia", "carla")):
                message = {"id": f"m-{number}", "text": text}
                httpx.post(f"{url}/chat/{name}/messages", json=message, timeout=30).raise_for_status()
            for name in people:
                status = httpx.get(f"{url}/chat/{name}/messages/m-{number}", params={"wait": "20"}, timeout=40).json()
                assert status["status"] == "replied"
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def prometheus(prosa: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("prometheus")
    if program is None:
        absent("prometheus", "install Debian's package prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "token").write_text(TOKEN)
    configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    webhook = configuration["scrape_configs"][0]
    webhook["authorization"]["credentials_file"] = str(folder / "token")
    webhook["static_configs"][0]["targets"] = [prosa.removeprefix("http://")]
    configuration |= {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FOLDER / "rules.yaml")],
        "scrape_configs": [webhook],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    options = {
        "config.file": folder / "prometheus.yaml",
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{port}",
    }
    process = start_server(
        [program, *(f"--{name}={value}" for name, value in options.items())],
        ready=lambda: accepts(port),
        name="prometheus",
    )
    url = f"http://127.0.0.1:{port}"
    ends = time.monotonic() + 60
    while asked(url, 'count_over_time(up{job="prosa-webhook"}[1m]) > 3') == []:
        assert time.monotonic() < ends, httpx.get(f"{url}/api/v1/targets", timeout=10).text
        time.sleep(0.2)
    yield url
    stop_server(process)


def asked(url: str, expression: str) -> list[Any]:
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": expression}, timeout=30)
    except httpx.TransportError:
        return []
    found = answer.json() if answer.status_code in (200, 400, 422) else {"status": "starting"}
    if found["status"] == "error":
        raise AssertionError(f"{expression}: {found['error']}")
    return list(found["data"]["result"]) if found["status"] == "success" else []


def test_the_process_is_scraped_with_the_console_s_token(prometheus: str) -> None:
    (up,) = asked(prometheus, 'up{job="prosa-webhook"}')
    assert up["value"][1] == "1"
    (waiting,) = asked(prometheus, "max(inbox_messages_waiting)")
    assert waiting["value"][1] == "0"
    (answered,) = asked(prometheus, 'sum(worker_answers_total{source="model"})')
    assert float(answered["value"][1]) >= 1


def test_every_expression_is_one_that_prometheus_takes(prometheus: str) -> None:
    for name, expression in expressions().items():
        for variable, value in RANGE.items():
            expression = expression.replace(variable, value)
        try:
            asked(prometheus, expression)
        except AssertionError as exc:
            raise AssertionError(name) from exc


def test_every_panel_has_data_after_traffic(prometheus: str) -> None:
    empty = set()
    for name, expression in expressions().items():
        if name in RULES:
            continue
        for variable, value in RANGE.items():
            expression = expression.replace(variable, value)
        if not asked(prometheus, expression):
            empty.add(name)
    assert empty == set()


def test_every_rule_is_loaded_and_none_of_them_fires(prometheus: str) -> None:
    ends = time.monotonic() + 30
    while True:
        groups = httpx.get(f"{prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
        rules = {rule["name"]: rule for group in groups for rule in group["rules"]}
        if all(rule["health"] == "ok" for rule in rules.values()):
            break
        assert time.monotonic() < ends, [rule for rule in rules.values() if rule["health"] != "ok"]
        time.sleep(0.5)
    assert rules.keys() == RULES.keys()
    assert {name for name, rule in rules.items() if rule["state"] == "firing"} == set()
