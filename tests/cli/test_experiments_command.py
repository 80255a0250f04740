"""`prosa experiments` as its users meet it."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.experiments import app
from cli.flags import app as flags_app
from cli.output import console
from contracts.errors import ChangeRefusedError, ConfigurationError
from flags.experiments.definitions import Experiment
from flags.file import SAMPLE_EXPERIMENT
from tests.builders import SteppingClock, open_sqlite
from tests.flags.simulation import Effect, take_part

Experiments = Callable[..., Result]
SIGNED = ("--author", "ana", "--reason", "because", "--yes")
KEY = "structured-prompts"


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiments:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "width", 200)

    def run(*arguments: str, group: object = app, **environment: str) -> Result:
        env = {"PROSA_DATA_DIR": str(tmp_path / "data")} | environment
        return CliRunner().invoke(group, arguments, env=env)  # type: ignore[arg-type]

    return run


def words(result: Result) -> str:
    return " ".join(result.output.split())


async def people(folder: Path, experiment: Experiment) -> None:
    """Nine hundred people, of whom those with v2 often meet an error, since the experiment began."""
    async with open_sqlite(folder) as (_, store):
        assert experiment.started_at
        clock = SteppingClock(experiment.started_at)
        await take_part(experiment, store, clock, {"v1": Effect(0.4), "v2": Effect(0.4, error=0.2)}, days=1, a_day=900)


def test_the_sample_goes_its_whole_way(experiments: Experiments, tmp_path: Path) -> None:
    planned = experiments("plan", "--sample", "--people-a-day", "400")
    assert planned.exit_code == 0, planned.output
    assert "each arm needs 2,761 persons, 5,522 in all: 14 days with 400 persons a day" in words(planned)
    [listed] = json.loads(experiments("list", "--json").output)
    assert (listed["key"], listed["phase"], listed["planned_per_arm"]) == (KEY, "DRAFT", {"v1": 2_761, "v2": 2_761})
    started = experiments("start", KEY, *SIGNED)
    assert "takes in 100 % of the people: v1 1, v2 1" in words(started)
    flag = json.loads(experiments("list", "--json", group=flags_app).output)[0]
    assert (flag["key"], flag["status"]) == (f"experiments.{KEY}", "ab_test")

    experiment = Experiment.model_validate(
        {name: part for name, part in json.loads(experiments("show", KEY).output).items() if name not in ("flag",)}
    )
    assert isinstance(experiment.started_at, datetime)
    asyncio.run(people(tmp_path / "data", experiment))
    page = tmp_path / "report.html"
    told = experiments("report", KEY, "--html", str(page))
    assert "KEEP: Keep v1 and stop now: with v2 error rose from" in words(told)
    assert "error guardrail v2 worse" in words(told)
    assert "KEEP: Keep v1 and stop now" in page.read_text(encoding="utf-8")
    found = json.loads(experiments("report", KEY, "--json").output)
    assert (found["verdict"], found["ship"], found["phase"]) == ("KEEP", None, "ACTIVE")

    assert experiments("pause", KEY, *SIGNED).output.endswith(f"{KEY} is PAUSED.\n")
    assert experiments("start", KEY, *SIGNED).exit_code == 0
    done = experiments("complete", KEY, *SIGNED)
    assert "KEEP: Keep v1 and stop now" in words(done)
    assert f"{KEY} is COMPLETED: everybody gets v1." in words(done)
    kept = json.loads(experiments("report", KEY, "--json").output)
    assert {name: kept[name] for name in ("verdict", "arms", "metrics")} == {
        name: found[name] for name in ("verdict", "arms", "metrics")
    }
    assert [entry["phase"] for entry in kept["life"]] == ["ACTIVE", "PAUSED", "ACTIVE", "COMPLETED"]


def test_shipping_what_is_not_recommended_is_said(experiments: Experiments) -> None:
    experiments("plan", "--sample")
    experiments("start", KEY, *SIGNED)
    done = experiments("complete", KEY, "--ship", "v2", *SIGNED)
    assert done.exit_code == 0, done.output
    assert "v2 is not what is recommended." in words(done)
    assert "put it into the code, then delete it" in words(done)
    flag = json.loads(experiments("show", f"experiments.{KEY}", "--json", group=flags_app).output)
    assert flag["status"] == "enabled"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("lift: 0.1", "lfit: 0.1"), r":22: experiment.plan.lfit: Extra inputs are not permitted"),
        (("lift: 0.1 ", "lift: 2 "), r"of a proportion are between 0 and 1"),
        (("better: higher}\n  guardrails", "beter: higher}\n  guardrails"), r"experiment.primary.beter"),
        (("kind: proportion, better: higher}\n  guard", "kind: mean, better: higher}\n  guard"), "needs a deviation"),
    ],
)
def test_mistakes_in_a_plan_are_named_with_their_line(
    experiments: Experiments, tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(SAMPLE_EXPERIMENT.read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    done = experiments("plan", str(file))
    assert isinstance(done.exception, ConfigurationError)
    assert says in str(done.exception)


def test_wrong_usage_says_what_would_be_right(experiments: Experiments, tmp_path: Path) -> None:
    assert experiments("plan").exit_code == 2
    assert experiments("plan", "x.yaml", "--sample").exit_code == 2
    missing = experiments("start", "nothing", *SIGNED)
    assert isinstance(missing.exception, ChangeRefusedError)
    assert "prosa experiments list" in str(missing.exception)
    experiments("plan", "--sample")
    assert experiments("start", KEY).exit_code == 2
    from_file = experiments("list", PROSA_FLAGS_FILE=str(tmp_path / "f.yaml"))
    assert isinstance(from_file.exception, ConfigurationError)
    assert "unset it" in str(from_file.exception)
