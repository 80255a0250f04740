"""`prosa cache`: the cached answers in the Redis that the workers share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.progress import Progress

from cli.output import AsJson, console, errors, fail, group, print_json, print_rows
from cli.settings import read_settings
from contracts.errors import ConfigurationError
from contracts.ports import Cache
from contracts.settings import Settings
from observability.exposition import BATCH_FIGURES, batches_of
from observability.logs import configure_logs
from prompts.caching.questions import ScopeParts

app = group("Answers that are kept to be given again.")

Level = Annotated[str | None, typer.Option(help="exact, template or semantic.")]
Task = Annotated[str | None, typer.Option(help="state, response or message_type.")]
Version = Annotated[
    str | None, typer.Option("--institution-version", help="Of the documents, as in prosa context show.")
]
Template = Annotated[str | None, typer.Option(help="A template's label, or the name and version it begins with.")]


@app.command()
def stats(
    batches: Annotated[
        str | None, typer.Option(metavar="URL", help="Say instead what the process at this address has batched.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count the answers that are kept, by level, task, template, model and version of the documents.

    How many questions they have answered is at /metrics of the workers: prompter_cache_hits_total.
    """
    if batches is not None:
        found = batches_of(text_string_to_metric_families(_metrics(batches, read_settings())))
        rows = [(usage, *(f"{of[name]:,.4g}" for name in BATCH_FIGURES)) for usage, of in found.items()]
        columns = ("usage", *(name.replace("_", " ") for name in BATCH_FIGURES))
        print_rows(as_json, {"batches": found}, columns, rows, empty="Nothing was batched.")
        return
    sizes = asyncio.run(_sizes(read_settings()))
    # Without the parts that only separate semantic scopes.
    parts_shown, entries = ("level", "task", "institution", "version", "language", "template", "model"), Counter[Any]()
    for scope, size in sorted(sizes.items()):
        entries[tuple(getattr(ScopeParts.read(scope), part) for part in parts_shown)] += size
    views = [dict(zip(parts_shown, parts, strict=True)) | {"entries": size} for parts, size in entries.items()]
    view = {"entries": sum(sizes.values()), "scopes": views}
    table = [tuple(one.values()) for one in views]
    print_rows(as_json, view, (*parts_shown, "entries"), table, empty="No answers are kept.")


def _metrics(url: str, settings: Settings) -> str:
    import httpx

    token = settings.console_token
    headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/metrics", headers=headers, timeout=10)
        return answer.raise_for_status().text
    except httpx.HTTPError as exc:
        raise fail(f"{url}/metrics cannot be read: {exc}; is PROSA_CONSOLE_TOKEN that of the process?") from exc


@app.command()
async def clear(
    level: Level = None,
    task: Task = None,
    institution_version: Version = None,
    template: Template = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever there is.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget answers: those that fit everything that is said, or all.

    What other documents, another template or another model have answered is never given, with or without this.
    """
    wanted = {"level": level, "task": task, "version": institution_version, "template": template}
    chosen = {name: value for name, value in wanted.items() if value is not None}
    if bool(chosen) is everything:
        raise ConfigurationError(
            "say what is to be forgotten: --level, --task, --institution-version, --template; or --all"
        )
    async with _open_cache(read_settings()) as cache:
        scopes = [scope for scope in await cache.sizes() if ScopeParts.read(scope).fits(chosen)]
        dropped = sum([await cache.drop(scope) for scope in scopes])
    if as_json:
        print_json({"forgotten": dropped})
    else:
        console.print(f"{dropped} answers are forgotten.")


@app.command()
def warm(
    file: Annotated[Path, typer.Argument(help="One question a line.")],
    channel: Annotated[str, typer.Option(help="web or whatsapp: an answer is kept for one of them.")] = "whatsapp",
    as_json: AsJson = False,
) -> None:
    """Ask the model each question as a first message, so that its answer is cached when people come.

    Costs what the questions cost. Nothing is sent and no conversation is stored.
    """
    from cli.warming import CHANNELS, read_questions, warm_up

    settings = read_settings()
    if not settings.use_cache:
        raise ConfigurationError("there is no cache to warm: set PROMPTER_USE_CACHE=true")
    if channel not in CHANNELS:
        raise ConfigurationError(f"--channel {channel}: say {' or '.join(CHANNELS)}")
    questions = read_questions(file)
    configure_logs(level="ERROR")
    before = sum(asyncio.run(_sizes(settings)).values())
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("Asking", total=len(questions))
        answered = asyncio.run(warm_up(settings, questions, channel, advance=lambda: progress.advance(bar)))
    after = sum(asyncio.run(_sizes(settings)).values())
    if as_json:
        print_json({"questions": len(questions), "answered": answered, "entries": {"before": before, "after": after}})
    else:
        console.print(
            f"{answered} of {len(questions)} questions were answered; {after} answers are kept, {before} before."
        )
    if answered < len(questions):
        raise fail(f"{len(questions) - answered} questions got no answer of a model")


async def _sizes(settings: Settings) -> dict[str, int]:
    async with _open_cache(settings) as cache:
        return await cache.sizes()


@asynccontextmanager
async def _open_cache(settings: Settings) -> AsyncIterator[Cache]:
    """Open the shared cache.

    Raises:
        ConfigurationError: there is none: without Redis each process keeps its answers to itself.
    """
    from worker.backends import open_redis

    url = settings.redis_cache_url or settings.redis_url
    if url is None:
        raise ConfigurationError(
            "answers are kept in the memory of each process: set REDIS_CACHE_URL to keep them where all find them"
        )
    database = open_redis(url)
    from adapters.redis.cache import RedisCache

    try:
        yield RedisCache(database)
    finally:
        await database.close()
