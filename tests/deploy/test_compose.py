"""compose.yaml without an engine: what its services would be started with, by the product's own rules."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from cli.settings import known_names, read_settings
from tests.deploy.dockerfile import ROOT

COMPOSE = ROOT / "deploy" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
PROSA = {name: service for name, service in OURS.items() if "entrypoint" not in service}
# Who asks which command of `prosa`, and with which engine.
ROLES = {
    "webhook": ("webhook", "celery"),
    "worker": ("worker", "celery"),
    "beat": ("beat", "celery"),
    "webhook-cloud-tasks": ("webhook", "cloud_tasks"),
    "tasks": ("tasks", "cloud_tasks"),
}


def env_file() -> dict[str, str]:
    """The example as somebody would fill it in."""
    lines = (ROOT / "deploy" / ".env.example").read_text().splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value or "a secret of their own" for name, _, value in pairs}


def environment(name: str) -> dict[str, str]:
    given = env_file() if SERVICES[name]["env_file"] else {}
    return given | {key: str(value) for key, value in SERVICES[name].get("environment", {}).items()}


def test_every_process_of_both_engines_is_there() -> None:
    from cli.main import app

    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {name: service["command"][0] for name, service in PROSA.items()} == {
        name: command for name, (command, _) in ROLES.items()
    }
    assert {command for command, _ in ROLES.values()} <= commands


@pytest.mark.parametrize("name", ROLES)
def test_the_settings_of_each_process_are_accepted(name: str) -> None:
    settings = read_settings(environment(name), env_file=None)
    assert settings.engine == ROLES[name][1]
    assert settings.is_production is (settings.engine == "celery")


@pytest.mark.parametrize("name", PROSA)
def test_every_name_in_the_environment_is_a_setting(name: str) -> None:
    assert set(environment(name)) <= set(known_names())


@pytest.mark.parametrize("name", SERVICES)
def test_processes_may_do_as_little_as_they_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "10s"
    assert service["restart"] == "unless-stopped"
    # Ours have their user in the image; the others would be root.
    assert name in OURS or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert "privileged" not in service


def test_the_page_is_reached_from_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    for name in ("redis", "redis-cache"):
        assert SERVICES[name]["networks"] == ["data"]
    assert yaml.safe_load(COMPOSE.read_text())["networks"]["data"] == {"internal": True}


def redis_options(name: str) -> dict[str, str]:
    words = (word.removeprefix("--").partition("=") for word in SERVICES[name]["command"][1:])
    return {option: value for option, _, value in words}


def test_the_inbox_never_evicts_and_never_forgets() -> None:
    options = redis_options("redis")
    assert options["maxmemory-policy"] == "noeviction"
    assert options["appendonly"] == "yes"
    assert options["appendfsync"] == "always"
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]


def test_the_cache_stays_within_its_memory() -> None:
    options = redis_options("redis-cache")
    assert options["maxmemory-policy"] == "allkeys-lru"
    assert options["maxmemory"] == "512mb"


def test_both_redis_are_where_the_processes_look() -> None:
    found = {(key, value) for name in PROSA for key, value in environment(name).items() if key.startswith("REDIS_")}
    assert found == {("REDIS_URL", "redis://redis:6379/0"), ("REDIS_CACHE_URL", "redis://redis-cache:6379/0")}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_a_service(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
    hosts = set(
        re.findall(r"(?:^|//)([a-z-]+):\d+", "\n".join(map(str, service.get("environment", {}).values())), re.M)
    )
    assert bool(hosts) == (name in PROSA)
    for host in hosts:
        assert set(SERVICES[host]["networks"]) & set(service["networks"]), f"{name} does not reach {host}"


@pytest.mark.parametrize("path", ["deploy/compose.yaml", "deploy/Dockerfile"])
def test_no_secret_is_written_down(path: str) -> None:
    text = (ROOT / path).read_text()
    secret = r"(?:SECRET|TOKEN|API_KEY|SALT|PASSWORD)\w*[\"']?\s*[:=]\s*\S"
    assert not re.findall(secret, text)


def test_the_file_with_the_secrets_is_not_kept() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert all(service["env_file"] in ([".env"], []) for service in OURS.values())


@pytest.mark.parametrize(("name", "module"), [("sandbox", "sandbox"), ("cloud-tasks", "sandbox.cloud_tasks")])
def test_the_stand_ins_know_their_options(name: str, module: str) -> None:
    service = SERVICES[name]
    assert service["entrypoint"] == ["python", "-m", module]
    told = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    options = {word.partition("=")[0] for word in service["command"] if word.startswith("--")}
    assert options
    assert all(option in told.stdout for option in options)
