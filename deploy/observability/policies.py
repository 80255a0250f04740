"""Writes the alerts of rules.yaml as Cloud Monitoring policies: the same PromQL, each with its page of the runbook.

    python deploy/observability/policies.py            # writes cloud-monitoring/*.json
    gcloud monitoring policies create --project PROJECT --policy-from-file FILE

Managed Service for Prometheus keeps the names and labels that `/metrics` gives, so that one text serves both.
Source of the shape: Cloud Monitoring API v3, `AlertPolicy` with `conditionPrometheusQueryLanguage`.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FOLDER = HERE / "cloud-monitoring"
# An alert that is held for less than a minute is evaluated anew by then.
EVALUATED_EVERY_SECONDS = 30
SEVERITIES = {"page": "CRITICAL", "ticket": "WARNING"}
# Without a job of a Prometheus of one's own there is no `up`; Cloud Run restarts a process that is gone by itself.
NOT_THERE = frozenset({"ProcessGone"})
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def policies() -> dict[str, dict[str, Any]]:
    """File name to policy."""
    groups = yaml.safe_load((HERE / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if rule["alert"] not in NOT_THERE]
    return {f"{Path(rule['annotations']['runbook']).stem}-{rule['alert']}.json": _policy(rule) for rule in rules}


def _policy(rule: dict[str, Any]) -> dict[str, Any]:
    alert, annotations = rule["alert"], rule["annotations"]
    condition = {
        "query": rule["expr"],
        "duration": f"{_seconds(rule.get('for', '0s'))}s",
        "evaluationInterval": f"{EVALUATED_EVERY_SECONDS}s",
        "ruleGroup": "prosa",
        "alertRule": alert,
    }
    page = (ROOT / annotations["runbook"]).read_text(encoding="utf-8")
    return {
        "displayName": f"Prosa: {alert}",
        "combiner": "OR",
        "severity": SEVERITIES[rule["labels"]["severity"]],
        "conditions": [{"displayName": alert, "conditionPrometheusQueryLanguage": condition}],
        "documentation": {"mimeType": "text/markdown", "content": page},
        "userLabels": {"product": "prosa", "severity": rule["labels"]["severity"]},
    }


def _seconds(duration: str) -> int:
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))


def files() -> dict[Path, str]:
    return {
        FOLDER / name: json.dumps(policy, indent=2, ensure_ascii=False) + "\n" for name, policy in policies().items()
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for stale in set(FOLDER.glob("*.json")) - set(files()):
        stale.unlink()
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(files())} policies in {FOLDER.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
