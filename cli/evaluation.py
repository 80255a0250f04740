"""`prosa eval`: how well guards and prompts do on sets of examples."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import orjson
import typer
from pydantic import ConfigDict, ValidationError
from typer.core import TyperGroup

from cli.digests import write
from cli.from_conversations import from_, questions
from cli.groups import CommandApp
from cli.judged import Asked, Mode, Verdict, asked_verdicts
from cli.output import FAILED, AsJson, console, print_json, print_table
from cli.recorded_model import RecordedModel
from cli.settings import read_settings
from cli.suites import LABELLED, Label, Result, institution_folder, junit, run_labels, run_suite, suite_files
from context.guardrails.floor import Floor
from context.guardrails.sentences import sentences
from context.loader import load_institution
from contracts.conversation import State
from contracts.errors import ConfigurationError, InstitutionError
from contracts.guardrails import Finding, KnownFacts
from contracts.institution import Institution
from contracts.messages import digest
from contracts.pages import ReportPage, Table, Tile
from contracts.values import Value
from flags.experiments.statistics import Count, wilson
from observability.logs import configure_logs
from prompts.templating.registry import PromptRegistry


class Suites(TyperGroup):
    """The commands; what is none of them is a suite of conversations."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        is_command = bool(args) and (args[0] == "--help" or args[0] in self.commands)
        return super().parse_args(ctx, args if is_command else ["run", *args])


app = CommandApp(add_completion=False, help="How guards and prompts do on sets of examples.", cls=Suites)
app.command("from")(from_)
app.command()(questions)

NOT_MEASURED = "not measured"
Judge = Literal["live", "oracle", "off"]

Sets = Annotated[list[Path], typer.Option("--set", help="JSONL: one labelled reply a line; may be given again.")]
Share = typer.Option(min=0, max=1, help="Ends with 1 beyond this share.", show_default=False)
Record = Annotated[Path | None, typer.Option("--record", help="Keep the model's answers in this file.")]
Replayed = Annotated[Path | None, typer.Option("--recorded", help="Take the answers from this file, without a key.")]


class Row(Value):
    """A labelled reply; `institution` is the name of a sample or a folder, relative to the file of the set."""

    model_config = ConfigDict(extra="ignore")

    id: str
    institution: str
    user: str = ""
    reply: str
    label: Literal["harmless", "violation"]
    kind: str
    language: str = ""


class Outcome(NamedTuple):
    row: Row
    language: str
    findings: tuple[Finding, ...]
    sentences: int
    ms: float
    folder: Path

    @property
    def is_harmless(self) -> bool:
        return self.row.label == "harmless"


@app.callback()
def group() -> None:
    """Measure guards and prompts on sets of examples."""


@app.command()
def run(
    suites: Annotated[list[str] | None, typer.Argument(help="Files, or names in evals/conversations.")] = None,
    to: Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page.")] = None,
    against: Annotated[Path | None, typer.Option(help="What an earlier --json printed: show the differences.")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Play everything so many times.")] = 1,
    min_passed: Annotated[float, typer.Option(min=0, max=1, help="Share of a conversation's runs to pass.")] = 1.0,
    record: Record = None,
    recorded: Replayed = None,
    as_json: AsJson = False,
) -> None:
    """Play scripted conversations and simulated people through the pipeline; ends with 1 when one does not become what
    it should.
    """
    configure_logs(level="ERROR")
    settings, model = read_settings(), _model(record, recorded)
    files, earlier = suite_files(suites or []), _earlier(against) if against else None
    results = [one for _ in range(repeat) for file in files for one in asyncio.run(run_suite(settings, file, model))]
    _check_complete(model)
    found = _summary_of_runs(results, min_passed)
    changes = _changes(earlier, found) if earlier else []
    if to is not None:
        to.write_bytes(junit(results))
    write(html, _page(found, changes), "en")
    if as_json:
        print_json(found)
    else:
        _print_runs(found, changes)
    if found["failed"]:
        raise typer.Exit(FAILED)


@app.command()
def labelled(
    sets: Annotated[list[str] | None, typer.Argument(help="Files, or names in evals/labelled.")] = None,
    min_line: Annotated[float, Share] = 0.0,
    min_intent: Annotated[float, Share] = 0.0,
    record: Record = None,
    recorded: Replayed = None,
    as_json: AsJson = False,
) -> None:
    """Classify labelled messages: business line, intent, escalation and spam, each with its interval."""
    configure_logs(level="ERROR")
    settings, model = read_settings(), _model(record, recorded)
    files = suite_files(sets or [], LABELLED)
    found = [one for file in files for one in asyncio.run(run_labels(settings, file, model))]
    _check_complete(model)
    half = [(label, turn) for label, turn in found if int(digest(label.id), 16) % 2]
    summary = {"all": _scored(found), "held_out": _scored(half)}
    wrong = [
        {"id": label.id, "line": turn["business_line"], "intent": turn["intent"], "state": turn["state"]}
        for label, turn in found
        if turn and not (_is_line(label, turn) and turn["intent"] == label.intent and turn["state"] == label.state)
    ]
    if as_json:
        print_json(summary | {"wrong": wrong})
    else:
        rows = [(part, name, *_cells(one, "right")) for part, scores in summary.items() for name, one in scores.items()]
        print_table(("messages", "of", "n", "right", "95 %"), rows)
        print_table(("wrong", "line", "intent", "state"), [tuple(one.values()) for one in wrong])
    if any(
        (summary["all"][name]["share"] or 0) < least for name, least in (("line", min_line), ("intent", min_intent))
    ):
        raise typer.Exit(FAILED)


def _model(record: Path | None, recorded: Path | None) -> RecordedModel:
    if record and recorded:
        raise ConfigurationError("--record keeps answers and --recorded gives them again: take one of them")
    return RecordedModel(recorded or record, replays=recorded is not None)


def _check_complete(model: RecordedModel) -> None:
    if model.missing:
        raise ConfigurationError(
            f"the recording lacks {model.missing} answers: prompt, documents, model or suite changed; record again"
        )


def _earlier(file: Path) -> dict[str, Any]:
    try:
        earlier: dict[str, Any] = orjson.loads(file.read_bytes())
        return {f"{one['suite']}/{one['name']}": one for one in earlier["conversations"]}
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"{file} is not what prosa eval --json prints") from exc


def _summary_of_runs(results: Sequence[Result], min_passed: float) -> dict[str, Any]:
    runs: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        runs.setdefault((one.suite, one.name), []).append(one)
    conversations = []
    for (suite, name), ran in runs.items():
        passed, costs = sum(not one.failures for one in ran), [one.cost_usd for one in ran]
        known = [cost for cost in costs if cost is not None]
        conversations.append(
            {
                "suite": suite,
                "name": name,
                "has_passed": passed / len(ran) >= min_passed,
                **_share(Count(passed, len(ran)), "passed"),
                "failures": list(dict.fromkeys(failure for one in ran for failure in one.failures)),
                "unjudged": ran[-1].unjudged,
                "cost_usd": format(sum(known, Decimal(0)) / len(known), "f") if len(known) == len(costs) else None,
                "states": [turn["state"] for turn in ran[-1].turns],
                "replies": [turn["reply"] and turn["reply"]["text"] for turn in ran[-1].turns],
            }
        )
    failed = sum(not one["has_passed"] for one in conversations)
    return {"passed": len(conversations) - failed, "failed": failed, "conversations": conversations}


# The cost of one conversation depends on which of those played with it was first to fill the prompt cache.
COMPARED = ("has_passed", "states", "replies")


def _changes(earlier: dict[str, Any], found: dict[str, Any]) -> list[tuple[object, ...]]:
    """Return what differs of each conversation that both runs have, and which only one has."""
    now = {f"{one['suite']}/{one['name']}": one for one in found["conversations"]}
    changes: list[tuple[object, ...]] = [(name, "only before", "", "") for name in earlier if name not in now]
    for name, one in now.items():
        if name not in earlier:
            changes.append((name, "new", "", ""))
            continue
        before = earlier[name]
        changes += [(name, what, before.get(what), one[what]) for what in COMPARED if before.get(what) != one[what]]
    return changes


def _print_runs(found: dict[str, Any], changes: Sequence[tuple[object, ...]]) -> None:
    for one in found["conversations"]:
        if one["failures"]:
            console.print("\n".join((f"{one['suite']}/{one['name']}", *one["failures"])))
    print_table(SUITE_COLUMNS, _suite_rows(found))
    if changes:
        rows = [(name, what, *("" if what == "replies" else side for side in sides)) for name, what, *sides in changes]
        print_table(CHANGE_COLUMNS, rows)
    if unjudged := sum(one["unjudged"] for one in found["conversations"]):
        console.print(f"{unjudged} statements were not judged: no model was asked")
    console.print(f"{len(found['conversations'])} conversations, {found['failed']} failed")


SUITE_COLUMNS = ("suite", "runs", "passed", "95 %", "USD a conversation")
CHANGE_COLUMNS = ("conversation", "differs", "before", "now")


def _suite_rows(found: dict[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for suite in dict.fromkeys(one["suite"] for one in found["conversations"]):
        ran = [one for one in found["conversations"] if one["suite"] == suite]
        count = Count(sum(one["passed"] for one in ran), sum(one["n"] for one in ran))
        costs = [one["cost_usd"] for one in ran]
        cost = "unknown" if None in costs else f"{sum(map(Decimal, costs)) / len(ran):.5f}"
        rows.append((suite, *_cells(_share(count, "passed"), "passed"), cost))
    return rows


def _page(found: dict[str, Any], changes: Sequence[tuple[object, ...]]) -> ReportPage:
    ran, failed = found["conversations"], found["failed"]
    tiles = [Tile("conversations", str(len(ran))), Tile("failed", str(failed), is_bad=failed > 0)]
    failures = [(f"{one['suite']}/{one['name']}", "\n".join(one["failures"])) for one in ran if one["failures"]]
    tables = [
        Table("Suites", SUITE_COLUMNS, _suite_rows(found)),
        Table("Failures", ("conversation", "why"), failures),
        Table("Differences to the earlier run", CHANGE_COLUMNS, changes),
    ]
    subtitle = "Scripted conversations and simulated people"
    return ReportPage("Evaluation", subtitle, tiles, tables=[one for one in tables if one.rows])


def _scored(found: Sequence[tuple[Label, dict[str, Any] | None]]) -> dict[str, Any]:
    """Return how many are right in each respect; a message without a turn is wrong in all of them."""

    def share(is_right: Callable[[Label, dict[str, Any]], bool], of: Sequence[Any] = found) -> dict[str, Any]:
        return _share(Count(sum(bool(turn) and is_right(label, turn) for label, turn in of), len(of)), "right")

    def agrees(state: State) -> Callable[[Label, dict[str, Any]], bool]:
        return lambda label, turn: (turn["state"] == state) == (label.state == state)

    return {
        "line": share(_is_line, [(label, turn) for label, turn in found if label.line]),
        "intent": share(lambda label, turn: turn["intent"] == label.intent),
        "escalation": share(agrees(State.ESCALATING)),
        "spam": share(agrees(State.SPAM)),
    }


def _is_line(label: Label, turn: dict[str, Any]) -> bool:
    return label.line in (None, turn["business_line"])


@app.command()
def gate(
    sets: Sets,
    max_withheld: Annotated[float, Share] = 1.0,
    min_caught: Annotated[float, Share] = 0.0,
    judge: Annotated[
        Judge | None, typer.Option(help="live: the configured model; oracle: the sandbox; off: none.")
    ] = None,
    record: Record = None,
    recorded: Replayed = None,
    as_json: AsJson = False,
) -> None:
    """Check labelled replies: harmless ones withheld and violations caught, by kind, language and institution.

    The judge is asked about what the floor lets pass. Ends with 1 when more than MAX_WITHHELD of the
    harmless replies are withheld, or fewer than MIN_CAUGHT of the violations are caught.
    """
    configure_logs(level="ERROR")
    outcomes = []
    for row, beside in ((row, file.parent) for file in sets for row in _rows(file)):
        folder = institution_folder(row.institution, beside)
        floor, language = _floor(folder), row.language or _institution(folder).language.partition("-")[0]
        start = time.perf_counter()
        findings = floor.check_text(row.reply, KnownFacts(person_texts=(row.user,) if row.user else ()))
        ms = (time.perf_counter() - start) * 1000
        outcomes.append(Outcome(row, language, findings, sum(1 for _ in sentences(row.reply)), ms, folder))
    if not outcomes:
        raise ConfigurationError("the sets have no rows")
    calls: list[Verdict] = []
    if judge is not None and judge != "off":
        model = _model(record, recorded)
        outcomes, calls = _judged(outcomes, judge, model)
        _check_complete(model)
    summary = _summary(outcomes, judge) | _cost(calls)
    if as_json:
        print_json(summary)
    else:
        _print(summary, outcomes)
    withheld, caught = summary["harmless"]["share"], summary["violations"]["share"]
    if (withheld or 0) > max_withheld or (1 if caught is None else caught) < min_caught:
        raise typer.Exit(FAILED)


def _rows(file: Path) -> Iterator[Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ConfigurationError(f"{file} cannot be read: {exc.strerror}") from exc
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                yield Row.model_validate_json(line)
        except ValidationError as exc:
            first = exc.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise ConfigurationError(f"{file}:{number}: {where}: {first['msg']}") from exc


def _judged(outcomes: Sequence[Outcome], mode: Mode, model: RecordedModel) -> tuple[list[Outcome], list[Verdict]]:
    """Return the outcomes with the judge's findings in what the floor let pass, and its verdicts."""
    settings, found, calls = read_settings(), dict[str, tuple[Finding, ...]](), list[Verdict]()
    for folder in dict.fromkeys(one.folder for one in outcomes):
        passed = [one for one in outcomes if one.folder == folder and not one.findings]
        rows = [Asked(one.row.id, one.row.user, one.row.reply, one.row.label) for one in passed]
        verdicts = asyncio.run(asked_verdicts(_institution(folder), folder, rows, settings, mode, model))
        found |= {row.id: verdict.findings for row, verdict in zip(rows, verdicts, strict=True)}
        calls += verdicts
    return [one._replace(findings=one.findings or found[one.row.id]) for one in outcomes], calls


def _cost(calls: Sequence[Verdict]) -> dict[str, Any]:
    """Return the time and the money of the judge's calls; a price that is not known makes the money null."""
    times = sorted(one.ms for one in calls if one.ms)
    if not times:
        return {}
    costs = [one.cost_usd for one in calls]
    known = [Decimal(cost) for cost in costs if cost is not None]
    ms = {"p50": _percentile(times, 0.5), "p99": _percentile(times, 0.99)}
    return {"judge_ms": ms, "cost_usd": format(sum(known), "f") if len(known) == len(costs) else None}


@cache
def _institution(folder: Path) -> Institution:
    try:
        return load_institution(folder)
    except InstitutionError as exc:
        raise ConfigurationError(f"{folder}: {exc}") from exc


@cache
def _floor(folder: Path) -> Floor:
    return Floor(_institution(folder), PromptRegistry.read().wording())


def _summary(outcomes: Sequence[Outcome], judge: Judge | None) -> dict[str, Any]:
    harmless = [one for one in outcomes if one.is_harmless]
    violations = [one for one in outcomes if not one.is_harmless]
    withheld = sum(len({finding.sentence for finding in one.findings}) for one in harmless)
    said = Count(withheld, sum(one.sentences for one in harmless))
    times = sorted(one.ms for one in outcomes)
    return {
        "rows": len(outcomes),
        "harmless": _counted(harmless, "withheld"),
        "harmless_sentences": _share(said, "withheld"),
        "violations": _counted(violations, "caught"),
        "by_kind": _by(outcomes, lambda one: one.row.kind),
        "by_language": _by(outcomes, lambda one: one.language),
        "by_institution": _by(outcomes, lambda one: one.row.institution),
        "judge": judge or NOT_MEASURED,
        "withheld": [
            {"id": one.row.id, "findings": [finding.model_dump() for finding in one.findings]}
            for one in harmless
            if one.findings
        ],
        "missed": [one.row.id for one in violations if not one.findings],
        "ms": {"p50": _percentile(times, 0.5), "p99": _percentile(times, 0.99)},
    }


def _by(outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, Any]:
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(key(one), []).append(one)
    return {
        name: {
            "harmless": _counted([one for one in group if one.is_harmless], "withheld"),
            "violations": _counted([one for one in group if not one.is_harmless], "caught"),
        }
        for name, group in sorted(groups.items())
    }


def _counted(outcomes: Iterable[Outcome], name: str) -> dict[str, Any]:
    found = [bool(one.findings) for one in outcomes]
    return _share(Count(sum(found), len(found)), name)


def _share(count: Count, name: str) -> dict[str, Any]:
    """A count and its share with the 95 % interval of Wilson; null without any."""
    interval = wilson(count) if count.people else None
    return {
        "n": count.people,
        name: count.hits,
        "share": count.rate if count.people else None,
        "interval": [interval.low, interval.high] if interval else None,
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 3)


def _print(summary: dict[str, Any], outcomes: Sequence[Outcome]) -> None:
    groups = {
        "all": {"harmless": summary["harmless"], "violations": summary["violations"]},
        **{f"kind {name}": group for name, group in summary["by_kind"].items()},
        **{f"language {name}": group for name, group in summary["by_language"].items()},
        **{f"institution {name}": group for name, group in summary["by_institution"].items()},
    }
    rows = [
        (name, *_cells(group["harmless"], "withheld"), *_cells(group["violations"], "caught"))
        for name, group in groups.items()
    ]
    columns = ("", "harmless", "withheld", "95 %", "violations", "caught", "95 %")
    print_table(columns, rows)
    per_sentence = _cells(summary["harmless_sentences"], "withheld")
    console.print(f"sentences of harmless replies: {per_sentence[0]}, withheld {per_sentence[1]} ({per_sentence[2]})")
    console.print(f"judge: {summary['judge']}; a check takes {summary['ms']['p50']} ms, p99 {summary['ms']['p99']} ms")
    for one in outcomes:
        if one.is_harmless and one.findings:
            reasons = "; ".join(f"{finding.rule}: {finding.excerpt}" for finding in one.findings)
            console.print(f"withheld {one.row.id}: {reasons}")


def _cells(counted: dict[str, Any], name: str) -> tuple[str, str, str]:
    if not counted["n"]:
        return "-", "", ""
    low, high = counted["interval"]
    return str(counted["n"]), f"{counted[name]} ({counted['share']:.1%})", f"{low * 100:.1f}-{high:.1%}"
