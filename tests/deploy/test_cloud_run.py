"""The manifests and commands of Cloud Run, filled in with values that are nobody's."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.channels.whatsapp import WhatsAppSettings
from adapters.google.cloud_tasks import ANALYSIS_DEADLINE
from cli.settings import known_names, read_settings
from tests.deploy.dockerfile import ROOT

FOLDER = ROOT / "deploy" / "cloud-run"
VALUES = {
    "PROJECT": "a-project",
    "PROJECT_NUMBER": "123456789012",
    "REGION": "europe-west1",
    "IMAGE": "europe-west1-docker.pkg.dev/a-project/prosa/prosa@sha256:0",
    "WHATSAPP_PHONE_NUMBER_ID": "100000000000001",
    "RELEASE": "0-2-0",
    "TARGET": "production",
    "WATCH_FOR": "1h",
    "NETWORK": "default",
    "SUBNETWORK": "default",
    "REDIS_URL": "redis://10.0.0.3:6379/0",
    "REDIS_CACHE_URL": "redis://10.0.0.4:6379/0",
}
PROCESSES = [
    ("cloud_tasks", "webhook"),
    ("cloud_tasks", "tasks"),
    ("celery", "webhook"),
    ("celery", "worker"),
    ("celery", "beat"),
]
SECRET = re.compile(r"SECRET|TOKEN|API_KEY|SALT")


def render(folder: Path, engine: str, stage: str, *options: str, **changes: str) -> subprocess.CompletedProcess[str]:
    values = folder / "values"
    values.write_text("\n".join(f"{name}={value}" for name, value in (VALUES | changes).items()))
    command = [sys.executable, str(FOLDER / "render.py"), engine, stage, "--values", str(values)]
    return subprocess.run(
        [*command, "--out", str(folder / "out"), *options], capture_output=True, text=True, check=False, cwd=folder
    )


def manifest(folder: Path, engine: str, process: str) -> dict[str, Any]:
    assert render(folder, engine, "deploy").returncode == 0
    return dict(yaml.safe_load((folder / "out" / f"{process}.yaml").read_text()))


def container(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["spec"]["template"]["spec"]["containers"][0])


def environment(found: dict[str, Any]) -> dict[str, str]:
    """What the process would read, with something in the place of each secret."""
    env = container(found)["env"]
    assert len({one["name"] for one in env}) == len(env)
    return {one["name"]: one.get("value", "a secret") for one in env}


@pytest.mark.parametrize(("engine", "process"), PROCESSES)
def test_the_settings_of_each_process_are_accepted(engine: str, process: str, tmp_path: Path) -> None:
    found = manifest(tmp_path, engine, process)
    assert container(found)["args"] == [process]
    given = environment(found)
    assert set(given) <= set(known_names())
    settings = read_settings(given, env_file=None)
    assert settings.is_production
    assert settings.engine == engine
    assert (WhatsAppSettings.of(settings) is not None) is (process != "beat")
    assert settings.host == ("0.0.0.0" if process in ("webhook", "tasks") else "127.0.0.1")


@pytest.mark.parametrize(("engine", "process"), PROCESSES)
def test_no_secret_is_written_down(engine: str, process: str, tmp_path: Path) -> None:
    for one in container(manifest(tmp_path, engine, process))["env"]:
        if SECRET.search(one["name"]):
            assert one.get("value", "unused") == "unused"


@pytest.mark.parametrize("engine", ["cloud_tasks", "celery"])
def test_every_secret_is_made_and_opened_to_exactly_those_who_read_it(engine: str, tmp_path: Path) -> None:
    commands = render(tmp_path, engine, "setup").stdout
    opened = set(re.findall(r"secrets add-iam-policy-binding (\S+) .*serviceAccount:([a-z-]+)@", commands))
    read = set()
    for _, process in [one for one in PROCESSES if one[0] == engine]:
        found = manifest(tmp_path, engine, process)
        account = found["spec"]["template"]["spec"]["serviceAccountName"].partition("@")[0]
        assert f"service-accounts create {account} " in commands
        spec = found["spec"]["template"]["spec"]
        for one in (one for each in spec["containers"] for one in each["env"] if "valueFrom" in one):
            read.add((one["valueFrom"]["secretKeyRef"]["name"], account))
        read |= {(one["secret"]["secretName"], account) for one in spec.get("volumes", ())}
    assert opened == read
    assert set(re.findall(r"secrets create (\S+)", commands)) == {secret for secret, _ in read}


def test_queue_scheduler_and_worker_agree_about_address_account_and_audience(tmp_path: Path) -> None:
    commands = render(tmp_path, "cloud_tasks", "setup").stdout
    for process in ("webhook", "tasks"):
        settings = read_settings(environment(manifest(tmp_path, "cloud_tasks", process)), env_file=None)
        assert settings.tasks_audience is None
        assert f"--oidc-token-audience {settings.tasks_url} " in commands
        assert f"--oidc-service-account-email {settings.tasks_service_account} " in commands
        assert settings.tasks_queue == "projects/a-project/locations/europe-west1/queues/prosa"
        assert settings.tasks_url is not None
        assert f"--uri {settings.tasks_url.replace('/process', '/sweep')} " in commands
    assert "queues create prosa --project a-project --location europe-west1" in commands


def test_a_task_is_never_given_up_and_the_service_lets_it_finish(tmp_path: Path) -> None:
    commands = render(tmp_path, "cloud_tasks", "setup").stdout
    assert "--max-attempts=-1" in commands
    assert "--max-retry-duration=0s" in commands
    found = manifest(tmp_path, "cloud_tasks", "tasks")
    spec = found["spec"]["template"]["spec"]
    assert spec["timeoutSeconds"] >= ANALYSIS_DEADLINE.total_seconds()
    instances = int(found["spec"]["template"]["metadata"]["annotations"]["autoscaling.knative.dev/maxScale"])
    (at_once,) = re.findall(r"--max-concurrent-dispatches=(\d+)", commands)
    assert int(at_once) < spec["containerConcurrency"] * instances


@pytest.mark.parametrize(("engine", "process"), [one for one in PROCESSES if one[1] in ("webhook", "tasks")])
def test_services_work_between_requests_and_check_their_callers_themselves(
    engine: str, process: str, tmp_path: Path
) -> None:
    found = manifest(tmp_path, engine, process)
    assert found["kind"] == "Service"
    assert found["spec"]["template"]["metadata"]["annotations"]["run.googleapis.com/cpu-throttling"] == "false"
    assert found["metadata"]["annotations"]["run.googleapis.com/invoker-iam-disabled"] == "true"
    ingress = found["metadata"]["annotations"]["run.googleapis.com/ingress"]
    assert ingress == ("all" if process == "webhook" else "internal")
    # The webhook's /readyz is closed to a probe, which has no token.
    assert container(found)["startupProbe"]["httpGet"]["path"] == ("/healthz" if process == "webhook" else "/readyz")
    assert container(found)["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_every_manifest_is_deployed(tmp_path: Path) -> None:
    for engine in ("cloud_tasks", "celery"):
        shown = render(tmp_path, engine, "deploy").stdout
        for path in (FOLDER / engine).glob("*.yaml"):
            assert f"{tmp_path}/out/{path.name}" in shown


def test_a_missing_value_stops_everything_and_is_named(tmp_path: Path) -> None:
    ended = render(tmp_path, "cloud_tasks", "deploy", "--run", REGION="")
    assert ended.returncode == 2
    assert "REGION (webhook.yaml)" in ended.stderr
    assert ended.stdout == ""
    assert not (tmp_path / "out").exists()


def test_the_first_command_that_fails_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcloud that writes down what it is asked, and refuses the second call."""
    fake = tmp_path / "bin" / "gcloud"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ "$(wc -l < {tmp_path}/calls)" -lt 2 ]\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    ended = render(tmp_path, "celery", "deploy", "--run")
    assert ended.returncode == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[4].rpartition("/")[2] for call in calls] == ["worker.yaml", "beat.yaml"]


def test_nothing_is_carried_out_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "bin" / "gcloud"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:/usr/bin:/bin")
    assert render(tmp_path, "celery", "deploy").returncode == 0
    assert not (tmp_path / "called").exists()
    assert render(tmp_path, "celery", "deploy", "--run").returncode == 0
    assert (tmp_path / "called").exists()


def test_the_example_names_every_value(tmp_path: Path) -> None:
    lines = (FOLDER / "values.env.example").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    assert names == set(VALUES)
