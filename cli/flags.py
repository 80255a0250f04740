"""`prosa flags`: reach of flags, their changes, and rollback."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from adapters.clock import SystemClock
from cli.conversations import named_head
from cli.output import AsJson, clock_time, console, fail, group, log_only_errors, print_json, print_rows
from cli.settings import read_settings
from cli.signature import Author, Signature, Why, Yes
from contracts.errors import ChangeRefusedError, ConfigurationError
from flags.definitions import Flag, Status, plain
from flags.experiments.store import ExperimentStore
from flags.export import as_flagd, as_yaml
from flags.file import read_flag_file
from flags.personal import did_you_mean, forced_by
from flags.personal import force as force_values
from flags.resolver import PROMPTS
from flags.store import Change, FlagStore, change_view, changed
from flags.switches import killed, kills_of
from prompts.templating.registry import PromptRegistry
from worker.backends import open_backend
from worker.variants import ENGINE_FLAGS

app = group("Flags: who gets what, and who changed it.", callback=log_only_errors)

Key = Annotated[str, typer.Argument(metavar="KEY")]


class Format(StrEnum):
    YAML = "yaml"
    JSON = "json"
    FLAGD = "flagd"


@app.command("list")
async def list_(as_json: AsJson = False) -> None:
    """List the flags with their status, reach, owner and expiry."""
    flags = await _flags()
    rows = []
    for flag in flags:
        variants = ", ".join(f"{variant.name} {variant.weight:g}" for variant in flag.variants)
        rows.append((flag.key, flag.status, _reach(flag), variants, flag.owner, _day(flag)))
    columns = ("key", "status", "reach", "variants", "owner", "expires")
    print_rows(as_json, [plain(flag) for flag in flags], columns, rows, empty="No flags.")


@app.command()
async def show(key: Key, as_json: AsJson = False) -> None:
    """Print a flag as a file would say it, and its last change."""
    file = read_settings().flags_file
    if file is not None:
        flag, change = read_flag_file(file).get(key), None
    else:
        async with _store() as store:
            change = await store.newest(key)
        flag = change.flag if change else None
    if flag is None:
        raise fail(f"there is no flag {key}; prosa flags list shows them")
    if as_json:
        print_json(plain(flag) | {"revision": change.revision if change else 0})
        return
    typer.echo(as_yaml([flag]), nl=False)
    if change is not None:
        console.print(f"Revision {change.revision}, {_signed(change)}")


@app.command("set")
async def set_(
    key: Key,
    status: Annotated[Status | None, typer.Option(help="What it does.")] = None,
    percentage: Annotated[float | None, typer.Option(min=0, max=100, help="How many of its people it reaches.")] = None,
    owner: Annotated[str | None, typer.Option(help="Whom to ask about it.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day from which on it answers nothing any more.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    weight: Annotated[list[str] | None, typer.Option(metavar="VARIANT=WEIGHT", help="A variant's weight.")] = None,
    salt: Annotated[str | None, typer.Option(help="Another salt: everybody is drawn anew.")] = None,
    file: Annotated[Path | None, typer.Option(help="Take the definition from this file of flags.")] = None,
    author: Author = None,
    why: Why = None,
    yes: Yes = False,
) -> None:
    """Make or change a flag: shows what would change, asks, and keeps who did it and why.

    A new flag needs --owner and --expires. Segments, variants and guardrails come from a file.
    """
    given: dict[str, Any] = {
        "status": status,
        "percentage": percentage,
        "owner": owner,
        "expires_at": expires.replace(tzinfo=UTC) if expires else None,
        "description": description,
        "salt": salt,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if status is Status.ENABLED and percentage is None:
        changes["percentage"] = None
    if file is None and not changes and not weight:
        raise typer.BadParameter("say what to change; prosa flags set --help lists it")
    read = read_flag_file(file) if file is not None else {}
    if file is not None and key not in read:
        raise typer.BadParameter(f"{file} has no flag {key}; it has: {', '.join(sorted(read)) or 'none'}")
    weights, signature = _weights(weight or ()), Signature(author, why, yes)
    async with _changing() as store:
        newest = await store.newest(key)
        before = newest.flag if newest else None
        base = read.get(key) or before
        after = _valid((base.model_dump() if base else {"key": key}) | _weighed(base, weights) | changes)
        lines = changed(before, after)
        if not lines:
            console.print(f"{key} says just that already.")
            return
        if before is not None and before.salt != after.salt:
            lines.append("Everybody is drawn anew: people change variant, experiments on this flag become invalid.")
        if before is None and (close := did_you_mean(key, ENGINE_FLAGS)) and key not in ENGINE_FLAGS:
            lines.append(f"The engine does not ask for {key}{close}")
        reason, expected = signature.confirm(lines), newest.revision if newest else 0
        change = await store.put(after, author=signature.author, reason=reason, expected=expected)
    console.print(f"{key} is at revision {change.revision}.")


@app.command()
async def delete(key: Key, author: Author = None, why: Why = None, yes: Yes = False) -> None:
    """Take a flag away; its history stays, and a rollback brings it back."""
    signature = Signature(author, why, yes)
    async with _changing() as store:
        newest = await store.newest(key)
        if newest is None or newest.flag is None:
            raise fail(f"there is no flag {key}; prosa flags list shows them")
        reason = signature.confirm([f"{key} goes away: {newest.flag.status}, {_reach(newest.flag)}"])
        await store.delete(key, author=signature.author, reason=reason, expected=newest.revision)
    console.print(f"{key} is gone; prosa flags rollback {key} brings it back.")


@app.command()
async def history(key: Key, as_json: AsJson = False) -> None:
    """List the changes of a flag, the newest first: who, why, and what."""
    async with _store() as store:
        changes = await store.history(key)
    if not changes:
        raise fail(f"there is no flag {key}; prosa flags list shows them")
    before = [None, *(change.flag for change in changes)]
    if as_json:
        print_json([change_view(change, old) for change, old in zip(changes, before, strict=False)][::-1])
        return
    for change, old in list(zip(changes, before, strict=False))[::-1]:
        console.print(f"{change.revision}  {_signed(change)}")
        for line in changed(old, change.flag) if change.flag else ("deleted",):
            console.print(f"     {line}")


@app.command()
async def rollback(
    key: Key,
    revision: Annotated[int | None, typer.Argument(min=1, help="Default: the one before the newest.")] = None,
    author: Author = None,
    why: Why = None,
    yes: Yes = False,
) -> None:
    """Make what an earlier revision said hold again, as a new revision."""
    signature = Signature(author, why, yes)
    async with _changing() as store:
        changes = await store.history(key)
        if not changes:
            raise fail(f"there is no flag {key}; prosa flags list shows them")
        newest = changes[-1]
        wanted = newest.revision - 1 if revision is None else revision
        earlier = next((change for change in changes if change.revision == wanted), None)
        if earlier is None:
            raise fail(f"{key} has no revision {wanted}; prosa flags history {key} lists them")
        lines = changed(newest.flag, earlier.flag)
        if not lines:
            raise fail(f"revision {wanted} of {key} says what holds now")
        reason = signature.confirm(lines)
        change = await store.roll_back(key, wanted, author=signature.author, reason=reason, expected=newest.revision)
    console.print(f"{key} is at revision {change.revision}, which says what revision {wanted} said.")


@app.command()
async def force(
    person: Annotated[str, typer.Option(help="The person's conversation; web:NAME may be written NAME.")],
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Of a flag or an experiment.")] = None,
    variant: Annotated[
        str | None, typer.Argument(metavar="[VARIANT]", help="A variant, an arm, or a plain value.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Force nothing any more.")] = False,
) -> None:
    """Give one person a variant from the next message on; such a person takes part in no experiment on the same key."""
    if clear is (key is not None and variant is not None):
        raise typer.BadParameter("say KEY VARIANT, or --clear")
    settings = read_settings()
    async with open_backend(settings) as backend:
        store, clock = backend.store, SystemClock()
        head = await named_head(person, backend)
        values = None
        if key is not None and variant is not None:
            flags = await FlagStore(store.records, backend.events, clock).flags()
            values = forced_by(
                key,
                variant,
                flags=read_flag_file(settings.flags_file)
                if settings.flags_file
                else {flag.key: flag for flag in flags},
                experiments={one.key: one for one in await ExperimentStore(store.records, backend.events, clock).all()},
                asked=ENGINE_FLAGS,
            )
            registry = PromptRegistry.read()
            for named, version in values.items():
                name = named.removeprefix(PROMPTS)
                if name != named and version and not registry.has(name, int(version)):
                    raise ChangeRefusedError(f"there is no {name}_v{version}: prosa prompts list")
        forced = (await force_values(head.id, values, store.conversations)).forced
    console.print(f"{head.id}: {', '.join(f'{name} = {value}' for name, value in forced.items()) or 'nothing'} forced.")
    for name, switch in ((name, killed(name, kills_of(settings.prompter_switches))) for name in forced):
        if switch:
            console.print(f"{switch}=false wins over {name}: unset it.")


@app.command()
async def stale(
    within: Annotated[int, typer.Option(min=0, help="Days ahead that are looked at as well.")] = 14,
    as_json: AsJson = False,
) -> None:
    """List flags that have expired, expire soon, or have nothing left to decide; ends with 1 when there are any."""
    now = datetime.now(UTC)
    found = [(flag, why) for flag in await _flags() if (why := _staleness(flag, now, timedelta(days=within)))]
    columns, rows = ("key", "owner", "expires", "why"), [(flag.key, flag.owner, _day(flag), why) for flag, why in found]
    print_rows(as_json, [dict(zip(columns, row, strict=True)) for row in rows], columns, rows, empty="No stale flags.")
    if found:
        raise typer.Exit(1)


@app.command()
async def export(format: Annotated[Format, typer.Option(help="yaml is what --file reads.")] = Format.YAML) -> None:
    """Print all flags as a file, for another installation or another tool."""
    flags = await _flags()
    if format is Format.YAML:
        typer.echo(as_yaml(flags), nl=False)
    else:
        print_json(as_flagd(flags) if format is Format.FLAGD else [plain(flag) for flag in flags])


@asynccontextmanager
async def _store() -> AsyncIterator[FlagStore]:
    async with open_backend(read_settings()) as backend:
        yield FlagStore(backend.store.records, backend.events, SystemClock())


@asynccontextmanager
async def _changing() -> AsyncIterator[FlagStore]:
    file = read_settings().flags_file
    if file is not None:
        raise ConfigurationError(f"flags come from PROSA_FLAGS_FILE={file}: edit that file, or unset it")
    async with _store() as store:
        yield store


async def _flags() -> list[Flag]:
    file = read_settings().flags_file
    if file is not None:
        return sorted(read_flag_file(file).values(), key=lambda flag: flag.key)
    async with _store() as store:
        return await store.flags()


def _valid(content: Mapping[str, Any]) -> Flag:
    """Raises BadParameter: the flag does not hold together, each mistake in a line."""
    try:
        return Flag.model_validate(content)
    except ValidationError as exc:
        missing = {"owner": "--owner", "expires_at": "--expires"}
        problems = []
        for error in exc.errors(include_url=False, include_input=False):
            where = ".".join(map(str, error["loc"]))
            needed = missing.get(where) if error["type"] == "missing" else None
            message = str(error["msg"]).removeprefix("Value error, ")
            problems.append(f"a new flag needs {needed}" if needed else f"{where}: {message}" if where else message)
        raise typer.BadParameter("; ".join(problems)) from None


def _weights(given: list[str] | tuple[str, ...]) -> dict[str, float]:
    weights = {}
    for one in given:
        name, separator, number = one.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            separator = ""
        if not separator or not name:
            raise typer.BadParameter(f"--weight {one}: say VARIANT=WEIGHT, as v2=50")
    return weights


def _weighed(flag: Flag | None, weights: Mapping[str, float]) -> dict[str, Any]:
    if not weights:
        return {}
    variants = flag.variants if flag else ()
    unknown = sorted(weights.keys() - {variant.name for variant in variants})
    if unknown:
        names = ", ".join(variant.name for variant in variants) or "none"
        raise typer.BadParameter(f"no variant {', '.join(unknown)}; there are: {names}")
    return {
        "variants": [
            variant.model_dump() | {"weight": weights.get(variant.name, variant.weight)} for variant in variants
        ]
    }


def _reach(flag: Flag) -> str:
    segments = f" of {', '.join(segment.name for segment in flag.segments)}" if flag.segments else ""
    own = {segment.percentage for segment in flag.segments if segment.percentage is not None}
    share = "various" if own and flag.status not in (Status.ENABLED, Status.DISABLED) else f"{flag.share_of(None):g} %"
    return f"{share}{segments}"


def _day(flag: Flag) -> str:
    return flag.expires_at.astimezone(UTC).date().isoformat()


def _signed(change: Change) -> str:
    restores = f" (restores {change.restores})" if change.restores else ""
    return f"{clock_time(change.at)}  {change.author}: {change.reason}{restores}"


def _staleness(flag: Flag, now: datetime, ahead: timedelta) -> str:
    """Return the reason for removing a flag from the code, or an empty text."""
    if flag.has_expired(now):
        return "expired: the default holds for everybody"
    if flag.has_expired(now + ahead):
        return "expires soon"
    decides = flag.status in (Status.AB_TEST, Status.CANARY) or flag.segments
    if not decides and flag.status is not Status.DISABLED and flag.share_of(None) == 100 and len(flag.drawn) == 1:
        return "reaches everybody: put what it decides into the code"
    return ""
