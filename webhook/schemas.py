"""Schemas of answers that are plain values, such as reports; `schemas.yaml` has them."""

from pathlib import Path
from typing import Any

import yaml

SCHEMAS: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
REPORTS = ("CostReport", "PerformanceReport", "Digest")


def answers(*names: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """Return the description of a JSON answer that has one of the named schemas, for `responses` of a route."""
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {status: {"description": "Done", "content": {"application/json": {"schema": schema}}}}
