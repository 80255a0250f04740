"""Alerts, policies, dashboards and the runbook, held against the metrics that the code registers."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml
from typer.main import get_command

from cli.main import app
from cli.settings import known_names
from observability.metrics import LABEL_VALUES
from tests.deploy.dockerfile import ROOT
from tests.deploy.promql import OF_THE_SCRAPE, groupings, selectors
from tests.real_services import absent
from tools.signals import catalogue, process_samples

FOLDER = ROOT / "deploy" / "observability"
GROUPS = yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
CASE_FILES = [f"tests/deploy/{name}.test.yaml" for name in ("alerts", "alerts-of-days")]
CASES = [case for name in CASE_FILES for case in yaml.safe_load((ROOT / name).read_text())["tests"]]
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "grafana" / "dashboards").glob("*.json")}
POLICIES = {path.stem: json.loads(path.read_text()) for path in (FOLDER / "cloud-monitoring").glob("*.json")}
PAGES = sorted((ROOT / "docs" / "runbook").glob("*.md"))

KNOWN = {sample: metric for metric in catalogue() for sample in metric.samples}
# Of Prometheus itself.
WITHOUT_LABELS = process_samples() | {"up"}


def expressions() -> dict[str, str]:
    panels = {
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, dashboard in DASHBOARDS.items()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    return {name: rule["expr"] for name, rule in RULES.items()} | panels


@pytest.mark.parametrize("name", expressions())
def test_what_is_asked_for_is_registered(name: str) -> None:
    """Metrics, labels and, where the catalogue closes them, values."""
    expression = expressions()[name]
    asked = selectors(expression)
    assert asked
    labels: set[str] = set()
    for selector in asked:
        if selector.metric in WITHOUT_LABELS:
            continue
        metric = KNOWN[selector.metric]
        labels |= set(metric.labels)
        for label, operator, value in selector.matchers:
            own = {*metric.labels, "le"} if selector.metric.endswith("_bucket") else metric.labels
            assert label in own, f"{metric.name} has no label {label}"
            values = LABEL_VALUES.get(metric.name, {}).get(label)
            for one in value.split("|") if values and "~" in operator else [value] if values else []:
                assert one in (values or ()), f"{metric.name}: {label} is never {one}"
    assert groupings(expression) <= labels | OF_THE_SCRAPE


def test_a_name_that_nobody_registers_is_found() -> None:
    """The check itself: a misspelt metric, label or value does not pass for one."""
    asked = selectors('sum by (tsk) (rate(worker_turns_totl{outcome=~"replied|gone"}[5m] offset 1d)) > 0.5')
    assert [one.metric for one in asked] == ["worker_turns_totl"]
    assert asked[0].metric not in KNOWN
    assert asked[0].matchers == (("outcome", "=~", "replied|gone"),)
    assert groupings("sum by (tsk) (a)") == {"tsk"}


@pytest.mark.parametrize(
    "name", [f"{uid}: {panel['title']}" for uid, one in DASHBOARDS.items() for panel in one["panels"]]
)
def test_legends_name_labels_that_are_grouped_by(name: str) -> None:
    uid, _, title = name.partition(": ")
    (panel,) = [panel for panel in DASHBOARDS[uid]["panels"] if panel["title"] == title]
    for target in panel["targets"]:
        named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert named <= groupings(target["expr"]) | OF_THE_SCRAPE


def loaded(script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"observability_{script}", FOLDER / f"{script}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_files_are_those_that_their_scripts_write() -> None:
    for script in ("dashboards", "policies"):
        module = loaded(script)
        written = module.files()
        assert {path: path.read_text() for path in written} == written
        assert set(next(iter(written)).parent.glob("*.json")) == set(written)


def test_dashboards_are_found_and_find_their_data() -> None:
    provisioned = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    sources = {one["uid"]: one["type"] for one in provisioned["datasources"]}
    uids = [one["uid"] for one in DASHBOARDS.values()]
    assert len(set(uids)) == len(uids)
    for dashboard in DASHBOARDS.values():
        assert "__inputs" not in dashboard
        assert "id" not in dashboard
        for panel in dashboard["panels"]:
            for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
                assert sources[source["uid"]] == source["type"]


def test_panels_do_not_lie_on_each_other() -> None:
    for dashboard in DASHBOARDS.values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert place["x"] + place["w"] <= 24
            taken |= cells


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_has_its_page_and_a_case_that_raises_it(alert: str) -> None:
    rule = RULES[alert]
    page = ROOT / rule["annotations"]["runbook"]
    text = page.read_text()
    assert f"`{alert}`" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What it means",
        "## Look at",
        "## Do",
    ]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert (
        f"| `{alert}` ({rule['labels']['severity']}) | [{page.stem}]({page.name}) |"
        in (page.parent / "README.md").read_text()
    )
    raising = [
        one for case in CASES for one in case["alert_rule_test"] if one["alertname"] == alert and one["exp_alerts"]
    ]
    assert raising


def test_every_page_belongs_to_an_alert() -> None:
    assert {page.name for page in PAGES} - {"README.md"} == {
        Path(rule["annotations"]["runbook"]).name for rule in RULES.values()
    }


def commands() -> dict[str, set[str]]:
    """Sub-commands by command; none for one without."""
    root: Any = get_command(app)
    context = click.Context(root)
    found = {name: root.get_command(context, name) for name in root.list_commands(context)}
    return {name: set(getattr(command, "commands", {})) for name, command in found.items()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_name_commands_links_metrics_and_settings_that_there_are(page: Path) -> None:
    text, known = " ".join(page.read_text().split()), commands()
    for command, sub in re.findall(r"`prosa ([a-z-]+)(?: ([a-z-]+))?", text):
        assert command in known
        assert not known[command] or sub in known[command], f"prosa {command} {sub}"
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    names = {metric.name for metric in catalogue()}
    for quoted in re.findall(r"`((?:prompter|worker|webhook|outbox|inbox|budget|ledger)_[a-z_]+)`", text):
        assert quoted in names, quoted
    for setting in re.findall(r"`((?:PROSA|PROMPTER|WHATSAPP|ANTHROPIC)_[A-Z_]+)(?:=\w+)?`", text):
        assert setting in known_names() or any(name.startswith(setting) for name in known_names()), setting


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_whole(name: str) -> None:
    """Documentation of at most 8,192 characters and 10,240 bytes; times in whole multiples of 30 s.

    Source of the limits: Cloud Monitoring API v3, `AlertPolicy`.
    """
    policy = POLICIES[name]
    (condition,) = policy["conditions"]
    query = condition["conditionPrometheusQueryLanguage"]
    assert query["query"] == RULES[query["alertRule"]]["expr"]
    for seconds in (query["duration"], query["evaluationInterval"]):
        assert int(seconds.removesuffix("s")) % 30 == 0
    content = policy["documentation"]["content"]
    assert content.startswith("# ")
    assert len(content) <= 8_192
    assert len(content.encode()) <= 10_240


def test_every_alert_but_that_of_the_scrape_has_its_policy() -> None:
    alerts = [policy["conditions"][0]["displayName"] for policy in POLICIES.values()]
    assert sorted(alerts) == sorted(set(RULES) - {"ProcessGone"})


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return ran("promtool", "prometheus", *arguments)


def ran(name: str, package: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which(name)
    if program is None:
        absent(name, f"install Debian's package {package}")
    return subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_prometheus_takes_the_rules_and_they_do_what_they_say() -> None:
    checked = promtool("check", "rules", "deploy/observability/rules.yaml")
    assert checked.returncode == 0, checked.stderr
    tested = promtool("test", "rules", *CASE_FILES)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_severity_reaches_somebody() -> None:
    """Each receiver that is routed to is there, and its secrets are files that compose gives."""
    manager = yaml.safe_load((FOLDER / "alertmanager.yaml").read_text())
    receivers = {one["name"]: one for one in manager["receivers"]}
    routes = {route["matchers"][0]: route["receiver"] for route in manager["route"]["routes"]}
    assert receivers[routes['severity="page"']].keys() >= {"slack_configs", "email_configs"}
    assert "slack_configs" in receivers[manager["route"]["receiver"]]
    services = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
    files = {str(value) for name, value in manager["global"].items() if name.endswith("_file")}
    assert files == {f"/run/secrets/{name}" for name in services["alertmanager"]["secrets"]}
    prometheus = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    assert prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["alertmanager:9093"]
    assert {name for rule in manager["inhibit_rules"] for name in re.findall(r"[A-Z]\w+", str(rule))} <= set(RULES)


def test_alertmanager_takes_its_configuration_and_pages_for_a_lost_message() -> None:
    file = "deploy/observability/alertmanager.yaml"
    checked = ran("amtool", "prometheus-alertmanager", "check-config", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        way = ("config", "routes", "test", f"--config.file={file}", f"severity={severity}")
        routed = ran("amtool", "prometheus-alertmanager", *way)
        assert (routed.returncode, routed.stdout.strip()) == (0, receiver)


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """With the files where the container has them."""
    text = (FOLDER / "prometheus.yaml").read_text()
    token = tmp_path / "token"
    token.write_text("t")
    there = text.replace("/etc/prometheus/rules.yaml", str(FOLDER / "rules.yaml"))
    (tmp_path / "prometheus.yaml").write_text(there.replace("/run/secrets/console-token", str(token)))
    checked = promtool("check", "config", str(tmp_path / "prometheus.yaml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
