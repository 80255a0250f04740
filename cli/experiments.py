"""`prosa experiments`: plan, start, pause, complete and report."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.clock import SystemClock
from cli.digests import write
from cli.output import AsJson, console, group, log_only_errors, print_json, print_table
from cli.settings import read_settings
from cli.signature import Author, Signature, Why, Yes
from contracts.errors import ConfigurationError
from flags.experiments.definitions import FINAL_ALPHA, POWER, Experiment
from flags.experiments.exact import best_available
from flags.experiments.report import COLUMNS, lines, page, rows
from flags.experiments.store import ExperimentStore
from flags.file import SAMPLE_EXPERIMENT, read_experiment_file
from flags.personal import did_you_mean
from flags.switches import kills_of
from worker.backends import open_backend
from worker.variants import ENGINE_FLAGS

app = group("Experiments: plan, start, pause, complete, report.", callback=log_only_errors)

Key = Annotated[str, typer.Argument(metavar="KEY")]


@app.command("list")
async def list_(
    archived: Annotated[bool, typer.Option("--archived", help="The archived ones, with what was learned.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the experiments and their phases."""
    async with _store() as experiments:
        found = [one for one in await experiments.all() if bool(one.learned) is archived]
    if as_json:
        print_json([_view(one) for one in found])
        return
    if archived:
        learned = [(one.key, f"{one.ended_at:%Y-%m-%d}", one.shipped or one.control, one.learned) for one in found]
        print_table(("key", "ended", "since then", "learned"), learned, empty="No archived experiments.")
        return
    table = [
        (
            one.key,
            one.phase,
            one.started_at.strftime("%Y-%m-%d") if one.started_at else "",
            ", ".join(one.weights),
            one.primary.name,
            _people(one),
            one.owner,
        )
        for one in found
    ]
    columns = ("key", "phase", "since", "arms", "primary", "persons", "owner")
    print_table(columns, table, empty="No experiments; prosa experiments plan --sample makes one.")


@app.command()
async def show(key: Key) -> None:
    """Print an experiment as JSON: its plan, its arms, and who did what to it."""
    async with _store() as experiments:
        print_json(_view(await experiments.get(key)))


@app.command()
async def plan(
    file: Annotated[Path | None, typer.Argument(help="YAML; docs/experiments.md describes it.")] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="The sample: prose prompts against structured ones.")
    ] = False,
    a_day: Annotated[int | None, typer.Option("--people-a-day", min=1, help="Say how long it will take.")] = None,
    as_json: AsJson = False,
) -> None:
    """Plan an experiment: how many persons it needs, and a draft of it; no person is assigned yet."""
    if sample is (file is not None):
        raise typer.BadParameter("name a FILE, or say --sample")
    experiment = read_experiment_file(file or SAMPLE_EXPERIMENT)
    async with _store() as experiments:
        await experiments.plan(experiment)
    if as_json:
        print_json(_view(experiment))
        return
    console.print(f"{experiment.key} is planned: {experiment.hypothesis}")
    for override in sorted(experiment.overrides - ENGINE_FLAGS.keys()):
        console.print(f"The engine does not ask for {override}{did_you_mean(override, ENGINE_FLAGS)}")
    chosen, people = experiment.plan, sum(experiment.planned.values())
    is_even = len(set(experiment.planned.values())) == 1
    arms = f"each arm needs {people // len(experiment.arms):,}" if is_even else f"the arms need {_people(experiment)}"
    needs = (
        f"To find {experiment.primary.name} changed from {chosen.baseline:g} by {chosen.lift:+.0%} in {POWER:.0%} of "
        f"the cases, at {FINAL_ALPHA:.0%} false alarms, {arms} persons, {people:,} in all"
    )
    if a_day is None:
        console.print(f"{needs}, and {chosen.days} days.")
    else:
        days = max(chosen.days, -(-people // max(1, round(a_day * experiment.percentage / 100))))
        console.print(f"{needs}: {days} days with {a_day:,} persons a day.")
    console.print(f"prosa experiments start {experiment.key} takes people in.")


@app.command()
async def start(key: Key, author: Author = None, why: Why = None, yes: Yes = False) -> None:
    """Take people in, for the first time or again after a pause."""
    signature = Signature(author, why, yes)
    async with _store() as experiments:
        experiment = await experiments.get(key)
        shares = ", ".join(f"{name} {weight:g}" for name, weight in experiment.weights.items())
        reason = signature.confirm([f"{key} takes in {experiment.percentage:g} % of the people: {shares}"])
        await experiments.start(key, author=signature.author, reason=reason)
    console.print(f"{key} is ACTIVE; prosa experiments report {key} says what it shows.")


@app.command()
async def pause(key: Key, author: Author = None, why: Why = None, yes: Yes = False) -> None:
    """Stop assigning persons for a while; the same persons return to the same arms."""
    signature = Signature(author, why, yes)
    async with _store() as experiments:
        reason = signature.confirm([f"{key} takes in nobody until prosa experiments start {key}"])
        await experiments.pause(key, author=signature.author, reason=reason)
    console.print(f"{key} is PAUSED.")


@app.command()
async def complete(
    key: Key,
    ship: Annotated[
        str | None, typer.Option(metavar="ARM", help="Give everybody this arm; default: the control.")
    ] = None,
    author: Author = None,
    why: Why = None,
    yes: Yes = False,
) -> None:
    """End an experiment: what it showed is kept, what was observed of each person is forgotten."""
    signature = Signature(author, why, yes)
    async with _store() as experiments:
        found = await experiments.report(key, best_available())
        told = [f"{found['verdict']}: {found['sentence']}"]
        if ship is not None and ship != found["ship"]:
            told.append(f"{ship} is not what is recommended.")
        told.append("What was observed of each person is forgotten; the report stays.")
        reason = signature.confirm(told)
        experiment = await experiments.complete(
            key, best_available(), author=signature.author, reason=reason, ship=ship
        )
    console.print(f"{key} is COMPLETED: everybody gets {ship or experiment.control}.")
    if ship is not None and ship != experiment.control:
        flag = experiment.flag_key
        console.print(f"The flag {flag} holds that until it expires: put it into the code, then delete it.")


@app.command()
async def archive(
    key: Key, learned: Annotated[str, typer.Option(metavar="TEXT", help="What was learned, in a sentence.")]
) -> None:
    """Take a completed experiment from the list, and keep what was learned."""
    async with _store() as experiments:
        await experiments.archive(key, learned=learned)
    console.print(f"{key} is archived; prosa experiments list --archived shows it.")


@app.command()
async def report(
    key: Key,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what an experiment shows, and what to do now."""
    async with _store() as experiments:
        found = await experiments.report(key, best_available())
    if html is not None:
        write(html, page(found), "en")
    if as_json:
        print_json(found)
        return
    for line in lines(found):
        console.print(line)
    print_table(COLUMNS, rows(found), empty="Nothing was measured yet.")
    if html is not None:
        console.print(f"The page is {html}.")


@asynccontextmanager
async def _store() -> AsyncIterator[ExperimentStore]:
    settings = read_settings()
    if settings.flags_file is not None:
        raise ConfigurationError(
            f"flags come from PROSA_FLAGS_FILE={settings.flags_file}, and experiments need those of the store: unset it"
        )
    async with open_backend(settings) as backend:
        kills = kills_of(settings.prompter_switches)
        yield ExperimentStore(backend.store.records, backend.events, SystemClock(), kills=kills)


def _people(experiment: Experiment) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in experiment.planned.items())


def _view(experiment: Experiment) -> dict[str, Any]:
    view: dict[str, Any] = experiment.model_dump(mode="json", exclude={"result"})
    return view | {"flag": experiment.flag_key, "planned_per_arm": experiment.planned}
