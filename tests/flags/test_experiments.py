"""Experiments in every store: their life, their flag, and who is in which arm."""

import math
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.evaluation_context import EvaluationContext
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from adapters.memory.events import MemoryEvents
from contracts.errors import ChangeRefusedError
from contracts.ports import Store
from flags.cache import Cache
from flags.definitions import Flag, Status
from flags.evaluation import random_draw
from flags.experiments.definitions import FINAL_ALPHA, LEGAL, Experiment, Phase, assignment_of
from flags.experiments.report import lines, page
from flags.experiments.statistics import people_for_mean, people_for_proportion
from flags.experiments.store import ExperimentStore
from flags.personal import forced_by
from flags.provider import ProsaProvider, SwitchedProvider, provided
from flags.resolver import FORCED, Assignment, Choice, Resolver
from flags.store import FlagStore
from flags.switches import kills_of
from tests.builders import BACKENDS, START, SteppingClock, memory_store, open_backend
from tests.flags.making import Known, evaluator, flag, person, variants
from tests.flags.test_recommendation import EXACT, experiment

SIGNED = {"author": "ana", "reason": "because"}


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_backend(request.param, tmp_path) as (_, store):
        yield store


def draft(**changes: Any) -> Experiment:
    return experiment(phase=Phase.DRAFT, started_at=None, **changes)


class Bench:
    """A laboratory and the flags beside it."""

    def __init__(self, store: Store) -> None:
        self.clock = SteppingClock()
        self.flags = FlagStore(store.records, MemoryEvents(), self.clock)
        self.laboratory = ExperimentStore(store.records, MemoryEvents(), self.clock)

    async def flag(self, key: str = "experiments.prompt-v2") -> Flag:
        change = await self.flags.newest(key)
        assert change
        assert change.flag
        return change.flag


async def test_its_life_moves_its_flag_and_leaves_who_and_why(store: Store) -> None:
    bench = Bench(store)
    laboratory = bench.laboratory
    await laboratory.plan(draft())
    await laboratory.plan(draft(hypothesis="Better said."))
    assert await laboratory.load() == {}
    stamp = await laboratory.stamp()
    await laboratory.start("prompt-v2", **SIGNED)
    assert (await bench.flag()).status is Status.AB_TEST
    assert list(await laboratory.load()) == ["prompt-v2"]
    assert await laboratory.stamp() != stamp
    bench.clock.move(timedelta(days=1))
    await laboratory.start("prompt-v2", **SIGNED)
    await laboratory.pause("prompt-v2", **SIGNED)
    assert (await bench.flag()).status is Status.DISABLED
    assert await laboratory.load() == {}
    bench.clock.move(timedelta(days=1))
    again = await laboratory.start("prompt-v2", **SIGNED)
    assert again.started_at == START
    bench.clock.move(timedelta(days=1))
    assert not await laboratory.was_changed(again)
    over = await laboratory.complete("prompt-v2", EXACT, **SIGNED)
    assert (await bench.flag()).status is Status.DISABLED
    assert (over.phase, over.ended_at) == (Phase.COMPLETED, START + timedelta(days=3))
    assert over.result
    assert over.result["verdict"] == "CONTINUE"
    assert await laboratory.report("prompt-v2", EXACT) == over.result
    assert [(one.phase.value, one.author) for one in over.life] == [
        ("ACTIVE", "ana"),
        ("PAUSED", "ana"),
        ("ACTIVE", "ana"),
        ("COMPLETED", "ana"),
    ]
    assert not await laboratory.was_changed(over)
    assert await laboratory.all() == [over]


async def test_shipping_gives_everybody_the_arm_that_won() -> None:
    bench = Bench(memory_store())
    await bench.laboratory.plan(draft(arms=[{"name": "v1"}, *_arms("v2", "v3")]))
    await bench.laboratory.start("prompt-v2", **SIGNED)
    with pytest.raises(ChangeRefusedError, match="has no arm v9; it has: v1, v2, v3"):
        await bench.laboratory.complete("prompt-v2", EXACT, **SIGNED, ship="v9")
    await bench.laboratory.complete("prompt-v2", EXACT, **SIGNED, ship="v3")
    shipped = await bench.flag()
    found = evaluator(shipped)
    assert {found.variant(shipped.key, person(n), default="") for n in range(100)} == {"v3"}
    held = await bench.laboratory.load()
    async with provided(ProsaProvider(found), domain=uuid4().hex) as client:
        choices = Resolver(client, Running(*held.values()))
        assert {choices.value("prompts.select_state", 0, person(n)) for n in range(100)} == {Choice(2)}


async def test_a_finished_experiment_is_archived_with_what_was_learned() -> None:
    laboratory = Bench(memory_store()).laboratory
    await laboratory.plan(draft())
    await laboratory.start("prompt-v2", **SIGNED)
    with pytest.raises(ChangeRefusedError, match="is ACTIVE: only a COMPLETED experiment"):
        await laboratory.archive("prompt-v2", learned="too early")
    await laboratory.complete("prompt-v2", EXACT, **SIGNED)
    await laboratory.archive("prompt-v2", learned="Structure does not matter here.")
    (kept,) = await laboratory.all()
    assert (kept.learned, kept.result is not None) == ("Structure does not matter here.", True)
    with pytest.raises(ChangeRefusedError, match="is archived"):
        await laboratory.archive("prompt-v2", learned="again")


async def test_a_forced_person_gets_the_arm_and_takes_part_in_no_experiment_on_its_keys() -> None:
    running = started()
    kills = {"cache": "PROMPTER_USE_CACHE"}
    ours = SwitchedProvider(ProsaProvider(evaluator(running.flag(START))), kills)
    async with provided(ours, domain=uuid4().hex) as client:
        choices = Resolver(client, Running(running), kills)
        known: dict[str, Any] = {
            "flags": {},
            "experiments": {running.key: running},
            "asked": {"prompts.select_state": int, "cache": bool},
        }
        for key in (running.key, running.flag_key):
            values = forced_by(key, "v2", **known)
            for number in range(20):
                seen = choices.value("prompts.select_state", 0, person(number, **{FORCED: values}))
                assert seen == Choice(2)
        control = forced_by(running.key, "v1", **known)
        assert {choices.value("prompts.select_state", 0, person(n, **{FORCED: control})) for n in range(20)} == {
            Choice(0)
        }
        plain = forced_by("prompts.select_state", "3", **known)
        assert choices.value("prompts.select_state", 0, person(**{FORCED: plain})) == Choice(3)
        killed = forced_by("cache", "on", **known)
        assert choices.value("cache", True, person(**{FORCED: killed})) == Choice(False), "a kill switch wins"
    for key, variant, says in (
        ("prompt-v2", "v9", "has no arm v9; it has: v1, v2"),
        ("prompts.select_stat", "2", "did you mean prompts.select_state?"),
        ("prompts.select_state", "two", "takes a value of the type int; not two"),
    ):
        with pytest.raises(ChangeRefusedError, match=says):
            forced_by(key, variant, **known)


async def test_a_switch_that_silences_an_experiment_is_in_its_report() -> None:
    store = memory_store()
    kills = kills_of({"PROMPTER_USE_STRUCTURED_TEMPLATES": False, "PROMPTER_USE_CACHE": True})
    laboratory = ExperimentStore(store.records, MemoryEvents(), SteppingClock(), kills=kills)
    await laboratory.plan(draft())
    await laboratory.start("prompt-v2", **SIGNED)
    found = await laboratory.report("prompt-v2", EXACT)
    assert found["silenced_by"] == {"PROMPTER_USE_STRUCTURED_TEMPLATES": ["prompts.select_state"]}
    (warned,) = [line for line in lines(found) if "PROMPTER_USE_STRUCTURED_TEMPLATES=false turns off" in line]
    assert warned in [notice.text for notice in page(found).notices if notice.is_bad]


RATIO = {"name": "cost_per_resolution", "kind": "ratio", "numerator": "cost_usd", "denominator": "conversion"}


def _arms(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "config": {"prompts.select_state": 2}} for name in names]


async def test_what_cannot_be_is_refused_with_what_can() -> None:
    bench = Bench(memory_store())
    laboratory = bench.laboratory
    with pytest.raises(ChangeRefusedError, match="there is no experiment prompt-v2: prosa experiments list"):
        await laboratory.start("prompt-v2", **SIGNED)
    await laboratory.plan(draft())
    with pytest.raises(ChangeRefusedError, match="is DRAFT; from there it can become ACTIVE"):
        await laboratory.pause("prompt-v2", **SIGNED)
    await laboratory.start("prompt-v2", **SIGNED)
    with pytest.raises(ChangeRefusedError, match="is ACTIVE: give the new plan another key"):
        await laboratory.plan(draft())
    await laboratory.plan(draft(key="other"))
    with pytest.raises(ChangeRefusedError, match=r"prompt-v2 is active and overrides prompts\.select_state as well"):
        await laboratory.start("other", **SIGNED)
    await laboratory.complete("prompt-v2", EXACT, **SIGNED)
    with pytest.raises(ChangeRefusedError, match="can become nothing: plan a new one"):
        await laboratory.start("prompt-v2", **SIGNED)
    await laboratory.start("other", **SIGNED)


@given(st.lists(st.sampled_from(list(Phase)), max_size=8))
def test_only_legal_steps_are_taken(steps: list[Phase]) -> None:
    found = draft()
    for step in steps:
        if step in LEGAL[found.phase]:
            found = found.moved(step, author="a", reason="r", at=START)
            assert found.phase is step
        else:
            with pytest.raises(ChangeRefusedError):
                found.moved(step, author="a", reason="r", at=START)


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"salt": "2"}, True),
        ({"status": Status.ENABLED}, True),
        ({"variants": tuple(Flag.model_validate(flag(variants=variants(v1=1, v2=9))).variants)}, True),
        ({"percentage": 50.0}, False),
        ({"status": Status.DISABLED}, False),
        ({"description": "said better"}, False),
    ],
)
async def test_a_change_of_who_is_in_which_arm_is_noticed(changes: dict[str, Any], counts: bool) -> None:
    bench = Bench(memory_store())
    await bench.laboratory.plan(draft())
    started = await bench.laboratory.start("prompt-v2", **SIGNED)
    bench.clock.move(timedelta(hours=1))
    changed = (await bench.flag()).model_copy(update=changes)
    await bench.flags.put(changed, **SIGNED, expected=1)
    # Taken back, it was changed all the same.
    bench.clock.move(timedelta(hours=1))
    await bench.flags.roll_back(changed.key, 1, **SIGNED, expected=2)
    assert await bench.laboratory.was_changed(started) is counts


def test_growing_the_percentage_leaves_the_assignment_as_it_is() -> None:
    one = draft().flag(START)
    assert assignment_of(one) == assignment_of(one.model_copy(update={"percentage": 1.0, "owner": "b"}))
    assert assignment_of(one) != assignment_of(one.model_copy(update={"salt": "2"}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"arms": [{"name": "v1"}]}, "arms"),
        ({"arms": [{"name": "v1"}, {"name": "v2"}]}, "no arm overrides anything"),
        ({"arms": [*_arms("v1", "v1")]}, "two arms have the same name"),
        ({"arms": [{"name": "v1", "weight": 0}, *_arms("v2")]}, "every arm needs a weight above 0"),
        ({"guardrails": [{"name": "conversion"}]}, "two metrics have the same name"),
        ({"plan": {"baseline": 0.9, "lift": 0.2}}, "of a proportion are between 0 and 1"),
        ({"plan": {"baseline": 0.3, "lift": 0}}, "a lift of 0 cannot be found"),
        ({"primary": {"name": "response_time_ms", "kind": "mean"}}, "the plan of a mean needs a deviation"),
        ({"primary": RATIO}, "the plan of a ratio needs a deviation"),
        ({"secondary": [RATIO | {"denominator": None}]}, "a ratio needs a numerator and a denominator"),
        ({"secondary": [RATIO | {"numerator": "conversion"}]}, "a ratio of an event to itself is always 1"),
        ({"secondary": [RATIO | {"kind": "total"}]}, "a total has no numerator and no denominator"),
    ],
)
def test_a_plan_that_does_not_hold_together_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        draft(**changes)


def test_the_plan_says_how_many_persons_each_arm_needs() -> None:
    equal = people_for_proportion(0.3, 0.2, alpha=FINAL_ALPHA)
    assert draft().planned == {"v1": equal, "v2": equal}
    mean = draft(
        primary={"name": "response_time_ms", "kind": "mean", "better": "lower"},
        plan={"baseline": 800, "lift": -0.1, "deviation": 600},
    )
    assert mean.planned["v1"] == people_for_mean(800, 600, -0.1, alpha=FINAL_ALPHA)
    three = draft(arms=[{"name": "v1"}, *_arms("v2", "v3")])
    assert three.planned["v1"] > equal


def test_arms_of_unequal_weight_have_persons_by_their_weights_and_enough_for_each_comparison() -> None:
    small, large = _arms("small", "large")
    arms = [{"name": "v1", "weight": 6}, {**small, "weight": 1}, {**large, "weight": 3}]
    planned = draft(arms=arms).planned
    control = people_for_proportion(0.3, 0.2, allocation=1 / 6, alpha=FINAL_ALPHA / 2)
    assert planned == {"v1": control, "small": math.ceil(control / 6), "large": math.ceil(control / 2)}
    # Against the small arm nothing is to spare; against the other one there is.
    assert control > people_for_proportion(0.3, 0.2, allocation=1 / 2, alpha=FINAL_ALPHA / 2)
    # Unequal arms cost persons in all.
    assert sum(planned.values()) > sum(draft(arms=[{"name": "v1"}, small, large]).planned.values())


# Who gets what


class Running:
    """Satisfies `Active`."""

    def __init__(self, *experiments: Experiment) -> None:
        self.known = {one.key: one for one in experiments}


def started(**changes: Any) -> Experiment:
    return draft(**changes).moved(Phase.ACTIVE, author="a", reason="r", at=START)


VERSIONS = [{"name": "as before"}, {"name": "second", "value": 2}]


async def test_experiment_before_flag_before_default() -> None:
    running = started(percentage=50)
    of_everybody = flag("prompts.select_state", variants=[{"name": "as before"}, {"name": "third", "value": 3}])
    provider = ProsaProvider(evaluator(running.flag(START), of_everybody))
    async with provided(provider, domain=uuid4().hex) as client:
        choices = Resolver(client, Running(running))
        found = {n: choices.value("prompts.select_state", 0, person(n)) for n in range(400)}
        arms = {n: choice.assignments for n, choice in found.items()}
        v1, v2 = (Assignment("prompt-v2", name) for name in ("v1", "v2"))
        assert {choice.value for choice in found.values() if choice.assignments == (v2,)} == {2}
        # The control, and those outside, have what holds for everybody.
        assert {choice.value for choice in found.values() if choice.assignments == (v1,)} == {3}
        assert {choice.value for choice in found.values() if not choice.assignments} == {3}
        sizes = [sum(one == wanted for one in arms.values()) for wanted in ((v1,), (v2,), ())]
        assert all(abs(size - expected) < 45 for size, expected in zip(sizes, (100, 100, 200), strict=True))
        assert choices.value("prompts.generate_response", 7, person()).value == 7
        assert Resolver(client, Running()).value("prompts.select_state", 0, person()).value == 3
        assert str(v2) == "prompt-v2=v2"


async def test_no_experiment_overrides_what_is_switched() -> None:
    running, kills = (
        started(arms=[{"name": "v1"}, {"name": "v2", "config": {"prompts.select_state": 2, "cache": True}}]),
        {"prompts": "PROMPTER_USE_TEMPLATES", "cache": "PROMPTER_USE_CACHE"},
    )
    ours = ProsaProvider(evaluator(running.flag(START), flag("prompts.select_state", variants=VERSIONS), flag("cache")))
    async with provided(SwitchedProvider(ours, kills), domain=uuid4().hex) as client:
        choices = Resolver(client, Running(running), kills)
        assert {choices.value("prompts.select_state", 0, person(n)).value for n in range(50)} == {0}
        assert {choices.value("cache", True, person(n)) for n in range(50)} == {Choice(False)}


async def test_pinned_people_take_no_part() -> None:
    testers = {"name": "testers", "rules": [{"attribute": "tester", "values": [True]}], "variant": "v2"}
    running = started(segments=[testers, {"name": "all"}])
    async with provided(ProsaProvider(evaluator(running.flag(START))), domain=uuid4().hex) as client:
        choices = Resolver(client, Running(running))
        assert choices.value("prompts.select_state", 0, person(tester=True)) == Choice(2)
        assert choices.value("prompts.select_state", 0, person()).assignments


async def test_another_provider_assigns_as_well_and_its_mistakes_are_the_default() -> None:
    running = started()

    def fractional(found: InMemoryFlag[Any], context: EvaluationContext | None) -> Any:
        from openfeature.flag_evaluation import FlagResolutionDetails, Reason

        return FlagResolutionDetails(found.variants["v2"], variant="v2", reason=Reason.TARGETING_MATCH)

    elsewhere = InMemoryProvider(
        {
            running.flag_key: InMemoryFlag(
                "v1", {"v1": {}, "v2": {"prompts.select_state": 2}}, context_evaluator=fractional
            ),
            "prompts.generate_response": InMemoryFlag("odd", {"odd": "two"}),
        }
    )
    async with provided(elsewhere, domain=uuid4().hex) as client:
        choices = Resolver(client, Running(running))
        chosen = choices.value("prompts.select_state", 0, person())
        assert (chosen.value, chosen.assignments) == (2, (Assignment("prompt-v2", "v2"),))
        assert choices.value("prompts.generate_response", 1, person()).value == 1


async def test_canaries_assign_both_sides() -> None:
    canary = flag("cache.semantic", status="canary", percentage=30)
    async with provided(ProsaProvider(evaluator(canary)), domain=uuid4().hex) as client:
        choices = Resolver(client, Running())
        found = [choices.value("cache.semantic", False, person(n)) for n in range(100)]
        assert {choice.assignments for choice in found} == {
            (Assignment("cache.semantic@7", "on"),),
            (Assignment("cache.semantic@7", "off"),),
        }
        assert all(choice.value is (choice.assignments[0].variant == "on") for choice in found)


async def test_active_experiments_are_read_from_the_store_as_flags_are() -> None:
    bench = Bench(memory_store())
    cache = Cache(bench.laboratory)
    await cache.refresh()
    await bench.laboratory.plan(draft())
    await bench.laboratory.start("prompt-v2", **SIGNED)
    assert dict(cache.known) == {}
    await cache.look()
    assert list(cache.known) == ["prompt-v2"]


@given(st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_arms_have_the_persons_that_their_weights_say(one: int, two: int) -> None:
    arms = [{"name": "v1", "weight": one}, {"name": "v2", "weight": two, "config": {"prompts.select_state": 2}}]
    running = started(arms=arms)
    compiled = Known(running.flag(START)).compiled[running.flag_key]
    names = [compiled.evaluate(person(n), random_draw).variant for n in range(2_000)]
    share = sum(found is not None and found.name == "v1" for found in names) / 2_000
    # Four standard deviations of a share of one half.
    assert abs(share - one / (one + two)) < 0.045
