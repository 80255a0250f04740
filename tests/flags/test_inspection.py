"""What `prosa doctor` says of flags: each kind of trouble is found, with a next step, and a sound set has none."""

from typing import Any

import pytest

from flags.experiments.definitions import Experiment
from flags.inspection import Problem, problems
from tests.builders import START
from tests.flags.making import flag
from tests.flags.test_recommendation import experiment

ASKED = {"strategy": str, "cache": bool, "prompts.select_state": int, "confidence.ask_below": float}
RUNNING = experiment()
DRAWING = RUNNING.flag(START)


def found(*flags: Any, experiments: tuple[Experiment, ...] = (), **kills: str) -> list[Problem]:
    return list(problems(flags, experiments, asked=ASKED, kills=kills, at=START))


def test_a_sound_set_has_no_trouble() -> None:
    threshold = flag("confidence.ask_below", variants=[{"name": "before"}, {"name": "one", "value": 1}])
    assert found(flag("cache"), threshold, DRAWING, experiments=(RUNNING,)) == []


def test_an_override_is_no_trouble_of_a_flag_that_reaches_nobody() -> None:
    off = flag("prompts.select_state", status="disabled")
    assert found(off, DRAWING, experiments=(RUNNING,)) == []


VALUE = [{"name": "before"}, {"name": "fast", "value": 3}]


@pytest.mark.parametrize(
    ("given", "experiments", "detail", "step", "is_broken"),
    [
        ([flag("cahce")], (), "nothing asks for cahce; did you mean cache?", "prosa flags delete cahce", False),
        ([flag("cache", expires_at=START)], (), "cache has expired", "prosa flags delete cache", False),
        ([flag("strategy", variants=VALUE)], (), "strategy: the value of fast is no str", "prosa flags set", True),
        (
            [flag("prompts.select_state"), DRAWING],
            (RUNNING,),
            "prompt-v2 overrides prompts.select_state for those who take part",
            "prosa flags set prompts.select_state --status disabled",
            False,
        ),
        ([], (RUNNING,), "prompt-v2 is active and its flag", "prosa experiments pause prompt-v2", True),
        (
            [DRAWING.model_copy(update={"expires_at": START})],
            (RUNNING,),
            "experiments.prompt-v2 has expired",
            "prosa experiments complete prompt-v2",
            False,
        ),
        ([flag("experiments.gone")], (), "nothing asks for experiments.gone", "prosa flags delete", False),
    ],
)
def test_each_trouble_is_told_with_a_next_step(
    given: list[Any], experiments: tuple[Experiment, ...], detail: str, step: str, is_broken: bool
) -> None:
    (one,) = found(*given, experiments=experiments)
    assert detail in one.detail
    assert step in one.next_step
    assert one.is_broken is is_broken


@pytest.mark.parametrize(
    ("config", "detail"),
    [
        ({"prompts.select_stat": 2}, "which nothing asks for; did you mean prompts.select_state?"),
        ({"prompts.select_state": "2"}, "gives prompts.select_state a value that is no int"),
    ],
)
def test_an_experiment_that_changes_nothing_is_told(config: dict[str, Any], detail: str) -> None:
    one = experiment(arms=[{"name": "v1"}, {"name": "v2", "config": config}])
    (told,) = found(one.flag(START), experiments=(one,))
    assert detail in told.detail
    assert told.is_broken


def test_two_experiments_on_one_key_are_told_once() -> None:
    other = experiment(key="another")
    (told,) = found(DRAWING, other.flag(START), experiments=(RUNNING, other))
    assert "another and prompt-v2 both override prompts.select_state" in told.detail


def test_a_switch_that_wins_is_told_of_flags_and_of_experiments() -> None:
    assert [one.detail for one in found(flag("cache"), cache="PROMPTER_USE_CACHE")] == [
        "PROMPTER_USE_CACHE=false wins over cache"
    ]
    (told,) = found(DRAWING, experiments=(RUNNING,), prompts="PROMPTER_USE_STRUCTURED_TEMPLATES")
    assert told.is_broken
    assert "PROMPTER_USE_STRUCTURED_TEMPLATES=false wins over prompts.select_state" in told.detail
    assert "unset PROMPTER_USE_STRUCTURED_TEMPLATES" in told.next_step


def test_what_is_over_is_no_trouble() -> None:
    assert found(DRAWING.model_copy(update={"status": "disabled"}), experiments=(experiment(phase="PAUSED"),)) == []
