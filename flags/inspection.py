"""Inspection of the stored flags and experiments: problems and their next steps."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from flags.definitions import Flag, Status, is_number
from flags.experiments.definitions import PREFIX, Experiment, Phase
from flags.personal import did_you_mean
from flags.switches import Kills, killed


class Problem(NamedTuple):
    """A finding. `is_broken` means that a person does not get what was decided; else it is a warning."""

    detail: str
    next_step: str
    is_broken: bool = False


def problems(
    flags: Iterable[Flag], experiments: Iterable[Experiment], *, asked: Mapping[str, type], kills: Kills, at: datetime
) -> Iterator[Problem]:
    """Yield all findings, flag by flag and then experiment by experiment.

    Args:
        asked: the keys that code evaluates, with the types of their values.
        kills: as `flags.switches.kills_of` returns them.
    """
    known, by_key = {flag.key: flag for flag in flags}, {one.key: one for one in experiments}
    active = [one for one in by_key.values() if one.phase is Phase.ACTIVE]
    for flag in known.values():
        experiment = by_key.get(flag.key.removeprefix(PREFIX)) if flag.key.startswith(PREFIX) else None
        if flag.has_expired(at):
            step = f"prosa experiments complete {experiment.key}" if experiment else f"prosa flags delete {flag.key}"
            yield Problem(f"{flag.key} has expired: its default holds for everybody", step)
        elif experiment is None:
            yield from _of_flag(flag, active, asked, kills)
    for one in active:
        yield from _of_experiment(one, active, known, asked, kills)


def _of_flag(flag: Flag, active: Iterable[Experiment], asked: Mapping[str, type], kills: Kills) -> Iterator[Problem]:
    if flag.key not in asked:
        detail = f"nothing asks for {flag.key}{did_you_mean(flag.key, asked)}"
        yield Problem(detail, f"is it misspelt? else prosa flags delete {flag.key}")
        return
    for variant in flag.variants:
        if variant.value is not None and not _fits(variant.value, asked[flag.key]):
            detail = f"{flag.key}: the value of {variant.name} is no {asked[flag.key].__name__}: the default holds"
            yield Problem(detail, f"prosa flags set {flag.key} --file FILE", is_broken=True)
    if flag.status is Status.DISABLED:
        return
    if switch := killed(flag.key, kills):
        yield Problem(f"{switch}=false wins over {flag.key}", f"unset {switch}, if the flag should decide")
    for experiment in active:
        if flag.key in experiment.overrides:
            yield Problem(
                f"{experiment.key} overrides {flag.key} for those who take part",
                f"prosa flags set {flag.key} --status disabled, or wait for the experiment's end",
            )


def _of_experiment(
    one: Experiment, active: Iterable[Experiment], flags: Mapping[str, Flag], asked: Mapping[str, type], kills: Kills
) -> Iterator[Problem]:
    flag = flags.get(one.flag_key)
    if flag is None or flag.status is not Status.AB_TEST:
        step = f"prosa experiments pause {one.key}, and start it again; with PROSA_FLAGS_FILE set it cannot run"
        yield Problem(f"{one.key} is active and its flag {one.flag_key} draws nobody", step, is_broken=True)
    for key in sorted(one.overrides):
        values = [arm.config[key] for arm in one.arms if key in arm.config]
        if key not in asked:
            detail = f"{one.key} overrides {key}, which nothing asks for{did_you_mean(key, asked)}"
            yield Problem(detail, f"prosa experiments complete {one.key}", True)
        elif not all(_fits(value, asked[key]) for value in values):
            kind = asked[key].__name__
            yield Problem(
                f"{one.key} gives {key} a value that is no {kind}", f"prosa experiments complete {one.key}", True
            )
        if switch := killed(key, kills):
            yield Problem(
                f"{switch}=false wins over {key}, so that {one.key} shows nothing",
                f"prosa experiments pause {one.key}, or unset {switch}",
                is_broken=True,
            )
        for other in active:
            if other.key > one.key and key in other.overrides:
                detail = f"{one.key} and {other.key} both override {key}: neither shows what it does"
                yield Problem(detail, f"prosa experiments complete {other.key}", is_broken=True)


def _fits(value: object, wanted: type) -> bool:
    return type(value) is wanted or (wanted is float and is_number(value))
