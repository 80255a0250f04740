"""A release by steps on Cloud Deploy: read by gcloud's own parser, watched by our own command."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.release import app, matchers_of
from tests.deploy.dockerfile import ROOT
from tests.deploy.test_cloud_run import container, render
from tests.real_services import SDK_FOLDERS, absent

SERVICES = ("tasks", "webhook")
PARSE = """
import json, sys
from apitools.base.py import encoding
from googlecloudsdk.api_lib.util import apis
from googlecloudsdk.command_lib.deploy import manifest_util
from googlecloudsdk.core import properties
properties.VALUES.core.project.Set("a-project")
messages = apis.GetMessagesModule("clouddeploy", "v1")
parsed = manifest_util.ParseDeployConfig(messages, json.load(sys.stdin), "europe-west1")
print(json.dumps([encoding.MessageToDict(one) for kind in parsed.values() for one in kind]))
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    ended = render(folder, "cloud_tasks", "release")
    assert ended.returncode == 0, ended.stderr
    commands = ended.stdout.splitlines()
    assert [command.split()[4] for command in commands[1:]] == ["tasks-0-2-0", "webhook-0-2-0"], (
        "the worker comes first"
    )
    return folder / "out"


@pytest.fixture(scope="module")
def resources(rendered: Path) -> dict[str, dict[str, Any]]:
    """What gcloud makes of the pipeline's file, by the end of each name."""
    sdk = next((one for one in SDK_FOLDERS if (one / "lib" / "googlecloudsdk").is_dir()), None)
    if sdk is None:
        absent("the Google Cloud SDK", "install Debian's package google-cloud-cli")
    paths = f"{sdk}/lib:{sdk}/lib/third_party"
    parsed = subprocess.run(
        ["/usr/bin/env", f"PYTHONPATH={paths}", "python3", "-W", "ignore", "-c", PARSE],
        input=json.dumps(list(yaml.safe_load_all((rendered / "pipeline.yaml").read_text()))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert parsed.returncode == 0, parsed.stderr[-800:]
    return {"/".join(one["name"].split("/")[4:]): one for one in json.loads(parsed.stdout)}


@pytest.mark.parametrize("service", SERVICES)
def test_traffic_grows_by_steps_and_each_is_watched(service: str, resources: dict[str, dict[str, Any]]) -> None:
    (stage,) = resources[f"deliveryPipelines/prosa-{service}"]["serialPipeline"]["stages"]
    canary = stage["strategy"]["canary"]
    assert stage["targetId"] == "production"
    assert canary["canaryDeployment"] == {"percentages": [5, 25, 50, 75], "verify": True}
    assert canary["runtimeConfig"]["cloudRun"]["automaticTrafficControl"] is True
    back, further = resources[f"deliveryPipelines/prosa-{service}/automations/steps"]["rules"]
    assert "verify" in back["repairRolloutRule"]["jobs"]
    assert back["repairRolloutRule"]["repairPhases"] == [{"rollback": {}}]
    assert further["advanceRolloutRule"]["sourcePhases"] == [f"canary-{step}" for step in (5, 25, 50, 75)]


@pytest.mark.parametrize("service", SERVICES)
def test_the_watch_looks_for_the_revision_that_is_deployed(
    service: str, rendered: Path, resources: dict[str, dict[str, Any]]
) -> None:
    found = yaml.safe_load((rendered / f"{service}.yaml").read_text())
    skaffold = yaml.safe_load((rendered / f"skaffold.{service}.yaml").read_text())
    (watch,) = skaffold["verify"]
    assert skaffold["manifests"]["rawYaml"] == [f"{service}.yaml"]
    assert watch["container"]["image"] == container(found)["image"]
    assert watch["container"]["args"][:2] == ["release", "verify"]
    command = get_command(app).commands["verify"]  # type: ignore[attr-defined]
    given = command.make_context("verify", watch["container"]["args"][2:]).params
    assert given["revision"] == [found["spec"]["template"]["metadata"]["name"]]
    assert matchers_of(given["revision"], given["label"], given["where"])
    seconds = given["lasting"].total_seconds()
    (target,) = (one for name, one in resources.items() if name.startswith("targets/"))
    allowed = int(target["executionConfigs"][0]["executionTimeout"].removesuffix("s"))
    assert seconds < watch["timeout"] < allowed


@pytest.mark.parametrize(
    ("engine", "process"), [("cloud_tasks", "webhook"), ("cloud_tasks", "tasks"), ("celery", "webhook")]
)
def test_metrics_of_a_service_leave_with_its_revision(engine: str, process: str, tmp_path: Path) -> None:
    """The sidecar reads what the watch asks for: the label, with the token that /metrics wants."""
    assert render(tmp_path, engine, "deploy").returncode == 0
    spec = yaml.safe_load((tmp_path / "out" / f"{process}.yaml").read_text())["spec"]["template"]["spec"]
    (sidecar,) = [one for one in spec["containers"] if one["name"] == "collector"]
    collector = yaml.safe_load((ROOT / "deploy" / "observability" / "collector.yaml").read_text())
    (scrape,) = collector["receivers"]["prometheus"]["config"]["scrape_configs"]
    assert scrape["static_configs"][0]["targets"] == [f"127.0.0.1:{spec['containers'][0]['ports'][0]['containerPort']}"]
    assert scrape["static_configs"][0]["labels"]["revision_name"] == "${env:K_REVISION}"
    assert scrape["authorization"]["credentials"] == f"${{env:{sidecar['env'][0]['name']}}}"
    pipeline = collector["service"]["pipelines"]["metrics"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(collector[kind])
