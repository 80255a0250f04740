"""What a manager reads: of an experiment that people really went through, as text, as JSON and as a page."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from adapters.memory.events import MemoryEvents
from contracts.errors import ChangeRefusedError
from contracts.paging import all_records
from flags.experiments.canary import AUTHOR, ExperimentWatch
from flags.experiments.definitions import Experiment, Phase
from flags.experiments.exact import Approximate, Exactness
from flags.experiments.observations import COLLECTION
from flags.experiments.report import lines, page, rows
from flags.experiments.store import ExperimentStore
from flags.file import SAMPLE_EXPERIMENT, read_experiment_file
from tests.builders import SteppingClock, memory_store
from tests.flags.simulation import Effect, take_part
from tests.flags.test_recommendation import EXACT
from webhook.console.rendering import standalone

SIGNED = {"author": "ana <b>", "reason": "because"}
SAMPLE = read_experiment_file(SAMPLE_EXPERIMENT)


class Course:
    """The sample experiment under way."""

    def __init__(self, experiment: Experiment = SAMPLE) -> None:
        self.store, self.clock, self.experiment = memory_store(), SteppingClock(), experiment
        self.laboratory = ExperimentStore(self.store.records, MemoryEvents(), self.clock)

    async def run(self, effects: dict[str, Effect], *, days: int, a_day: int) -> None:
        await self.laboratory.plan(self.experiment)
        started = await self.laboratory.start(self.experiment.key, **SIGNED)
        await take_part(started, self.store, self.clock, effects, days=days, a_day=a_day)

    async def report(self, exactness: Exactness = EXACT) -> dict[str, Any]:
        return await self.laboratory.report(self.experiment.key, exactness)


async def test_a_better_arm_is_shipped_and_its_report_stays() -> None:
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.46, quality=0.85)}, days=14, a_day=420)
    found = await course.report()
    assert (found["verdict"], found["ship"]) == ("SHIP", "v2")
    assert "conversion rose from" in found["sentence"]
    (primary,) = [one for one in found["metrics"] if one["role"] == "primary"]
    assert [found["control_conversion_rate"], found["treatment_conversion_rate"]] == primary["values"]
    assert (found["relative_improvement"], found["p_value"]) == (primary["lift"], primary["p"])
    assert (found["confidence_interval_95"], found["is_significant"]) == (primary["interval"], True)
    assert found["recommendation"].startswith("SHIP: Ship v2: conversion rose from")
    assert await ExperimentWatch(course.laboratory).look() == [], "an arm that is better is left alone"
    assert "The planned sample is there. No guardrail was found worse (error, response_time_ms)." in found["sentence"]
    assert found["fulfilled_at"]
    assert sum(arm["people"] for arm in found["arms"]) == 14 * 420
    states = {one["metric"]: one["state"] for one in found["metrics"]}
    assert states == {
        "conversion": "better",
        "error": "holds",
        "response_time_ms": "holds",
        "quality_score": "better",
        "classification_accuracy": "open",
        # As dear as before, and more conversations come to their end.
        "cost_per_resolution": "better",
    }
    # Exactly what JSON can hold.
    assert json.loads(json.dumps(found, allow_nan=False)) == found

    done = await course.laboratory.complete(SAMPLE.key, EXACT, **SIGNED, ship="v2")
    assert done.result
    assert await course.report() == done.result
    assert {name: done.result[name] for name in ("verdict", "metrics", "arms")} == {
        name: found[name] for name in ("verdict", "metrics", "arms")
    }
    assert done.result["phase"] == "COMPLETED"
    assert [record async for record in all_records(course.store.records, COLLECTION, at=course.clock.now())] == []


async def test_a_harmful_arm_is_stopped_long_before_its_planned_sample() -> None:
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.42, error=0.15)}, days=3, a_day=300)
    found = await course.report()
    watch = ExperimentWatch(course.laboratory)
    assert await watch.look() == [SAMPLE.key]
    paused = await course.laboratory.get(SAMPLE.key)
    assert (paused.phase, paused.life[-1].author) == (Phase.PAUSED, AUTHOR)
    assert "with v2 error rose from" in paused.life[-1].reason
    assert await watch.look() == []
    assert found["verdict"] == "KEEP"
    assert "stop now: with v2 error rose from" in found["sentence"]
    assert max(arm["people"] for arm in found["arms"]) < found["planned_per_arm"]["v1"] / 4


async def test_ratios_are_of_the_arm_s_totals_and_can_decide_and_guard() -> None:
    """What a resolved conversation costs decides, the share of right classifications guards."""
    plan = {"baseline": 0.0125, "lift": -0.2, "deviation": 0.02, "days": 7}
    accuracy, cost = (metric for metric in SAMPLE.secondary if metric.denominator)
    given = SAMPLE.model_dump() | {"primary": cost, "guardrails": [accuracy], "secondary": [], "plan": plan}
    cheaper = Course(Experiment.model_validate(given))
    await cheaper.run({"v1": Effect(0.4), "v2": Effect(0.4, cost_usd=0.0014)}, days=7, a_day=300)
    found = await cheaper.report()
    assert (found["verdict"], found["ship"]) == ("SHIP", "v2")
    price, share = found["metrics"]
    assert price["ratio"] == "cost_usd / conversion"
    assert price["values"][0] == pytest.approx(0.002 * 2.5 / 0.4, rel=0.1)
    assert price["values"][1] == pytest.approx(0.0014 * 2.5 / 0.4, rel=0.1)
    assert price["lift_interval"][0] < 0.7 - 1 < price["lift_interval"][1]
    assert share["values"] == pytest.approx([0.9, 0.9], abs=0.02)
    assert share["state"] == "holds"
    assert page(found).tables[0].rows[0][0] == "cost_per_resolution"

    wrong = Course(Experiment.model_validate(given))
    await wrong.run({"v1": Effect(0.4), "v2": Effect(0.4, cost_usd=0.0014, accuracy=0.8)}, days=3, a_day=300)
    stopped = await wrong.report()
    assert stopped["verdict"] == "KEEP"
    assert "stop now: with v2 classification_accuracy fell from" in stopped["sentence"]


async def test_a_ratio_needs_persons_who_have_something_to_be_divided_by() -> None:
    plan = {"baseline": 0.0125, "lift": -0.2, "deviation": 0.02}
    (cost,) = (metric for metric in SAMPLE.secondary if metric.numerator == "cost_usd")
    course = Course(Experiment.model_validate(SAMPLE.model_dump() | {"primary": cost, "secondary": [], "plan": plan}))
    await course.run({"v1": Effect(0.1), "v2": Effect(0.0)}, days=1, a_day=400)
    found = await course.report()
    assert found["verdict"] == "CONTINUE"
    assert "more than 30 persons with conversion" in found["sentence"]
    nobody = found["metrics"][0]
    assert (nobody["state"], nobody["said"][1], nobody["lift"]) == ("too few", "", None)


async def test_people_who_come_after_the_plan_is_fulfilled_change_nothing_in_its_test() -> None:
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.4)}, days=14, a_day=420)
    before = await course.report()
    assert before["fulfilled_at"]
    running = await course.laboratory.get(SAMPLE.key)
    course.clock.move(timedelta(seconds=1))
    await take_part(
        running, course.store, course.clock, {"v1": Effect(0.4), "v2": Effect(0.44)}, days=2, a_day=500, seed=2
    )
    after = await course.report()
    assert after["at_the_plan"] == before["at_the_plan"]
    assert after["metrics"] != before["metrics"]


async def test_without_scipy_the_same_is_said_with_what_is_missing() -> None:
    course = Course()
    await course.run({"v1": Effect(0.4), "v2": Effect(0.4)}, days=2, a_day=200)
    exact, rough = await course.report(), await course.report(Approximate())
    assert exact["lacks"] == []
    assert len(rough["lacks"]) == 3
    assert "Without SciPy (make stats): no exact test" in "\n".join(lines(rough))
    assert (exact["verdict"], exact["sentence"]) == (rough["verdict"], rough["sentence"])
    for one, other in zip(exact["metrics"], rough["metrics"], strict=True):
        assert one["p"] == pytest.approx(other["p"], abs=0.002)


async def test_a_draft_has_no_report_and_an_empty_start_has_one() -> None:
    course = Course()
    await course.laboratory.plan(SAMPLE)
    with pytest.raises(ChangeRefusedError, match="has not begun: prosa experiments start structured-prompts"):
        await course.report()
    await course.laboratory.start(SAMPLE.key, **SIGNED)
    found = await course.report()
    assert (found["verdict"], found["over_time"]) == ("CONTINUE", [])
    assert page(found).plots == []


async def test_the_page_holds_everything() -> None:
    course = Course(SAMPLE.model_copy(update={"hypothesis": "<script>alert(1)</script> & more"}))
    await course.run({"v1": Effect(0.4), "v2": Effect(0.46)}, days=14, a_day=420)
    found = await course.report()
    text = standalone(page(found), "en").partition("<body")[2].partition("<script>")[0]
    assert [len(plot.series) for plot in page(found).plots] == [3, 2]
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text
    assert "ana &lt;b&gt;" in text
    assert found["sentence"].replace("'", "&#39;") in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)
    for row in rows(found):
        assert str(row[0]) in text


async def test_an_experiment_of_several_arms_has_a_page_as_well() -> None:
    arms = [*SAMPLE.arms, SAMPLE.arms[1].model_copy(update={"name": "v3"})]
    course = Course(SAMPLE.model_copy(update={"arms": tuple(arms)}))
    await course.run({"v1": Effect(0.4), "v2": Effect(0.4), "v3": Effect(0.6)}, days=4, a_day=300)
    found = await course.report()
    assert (found["verdict"], found["ship"]) == ("SHIP", "v3")
    assert len(found["metrics"]) == 12
    difference, _ = page(found).plots
    assert set(difference.series) == {f"{arm}{edge}" for arm in ("v2", "v3") for edge in ("", ", low", ", high")}
    assert (await course.laboratory.get(SAMPLE.key)).phase is Phase.ACTIVE
