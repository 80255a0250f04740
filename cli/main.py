"""`prosa`: the command and its sub-commands."""

import asyncio
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cli.groups import CommandApp, Commands
from cli.output import FAILED, SUCCESS, WRONG_USAGE, AsJson, fail, print_findings, print_json, print_rows, visible
from cli.settings import read_settings
from contracts.errors import ConfigurationError, WorkerError
from contracts.settings import Settings, checked
from observability.logs import configure_logs, logger

app = CommandApp(
    name="prosa",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Commands import what they need when they run: the whole engine takes a second, which `--help` should not.

log = logger(__name__)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"prosa {metadata.version('prosa')}")
        raise typer.Exit(SUCCESS)


@app.callback()
def prosa(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Answer conversations within the rules of an institution."""


@app.command()
def run() -> None:
    """Run everything in one process: webhook, worker, and the sandbox where no key is set."""
    from adapters.event_loop import keep_what_is_loaded, run_serving
    from cli.runtime import open_runtime
    from cli.serving import listening, server_of, stop_signal
    from contracts.alongside import running_beside
    from worker.service import reload_on_hangup, report_forever

    settings = _settings_for("embedded", instead="prosa webhook, prosa worker and prosa beat")

    async def serve() -> int:
        listener = listening(settings)
        async with (
            open_runtime(settings.model_copy(update={"port": listener.getsockname()[1]})) as runtime,
            server_of(runtime.webhook).running(listener) as url,
            running_beside(reload_on_hangup(runtime.worker)),
            running_beside(report_forever(runtime.worker)),
        ):
            sandbox = f" (the sandbox at {runtime.sandbox_url}/ answers: set ANTHROPIC_API_KEY for a real model)"
            print(f"Prosa is at {url}/{sandbox if runtime.imitates_model else ''}", flush=True)
            keep_what_is_loaded()
            await stop_signal()
            log.info("process.stopping")
        return SUCCESS

    raise SystemExit(run_serving(serve()))


@app.command()
def webhook() -> None:
    """Run the HTTP side: it makes messages durable, wakes the workers, and serves the web chat and the console."""
    settings = _settings_for("celery", "cloud_tasks", instead="prosa run")
    from cli.webhook_role import open_webhook

    # The pages read what the workers publish, so edited documents need no reload here.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _serve(settings, open_webhook, "Prosa's webhook is at {}/")


@app.command()
def tasks() -> None:
    """Run the HTTP worker of Cloud Tasks: POST /tasks/process drains a conversation, POST /tasks/sweep looks around."""
    settings = _settings_for("cloud_tasks", instead="prosa run, or prosa worker for Celery")
    from cli.worker_role import open_tasks

    _serve(settings, open_tasks, "Prosa's worker takes tasks at {}/tasks/process")


def _serve(settings: Settings, opened: Callable[[Settings], AbstractAsyncContextManager[Any]], where: str) -> NoReturn:
    """Serve an application until a signal ends the process; `where` announces its address."""
    from adapters.event_loop import keep_what_is_loaded, run_serving
    from cli.serving import listening, server_of, stop_signal

    async def serve() -> int:
        listener = listening(settings)
        async with opened(settings) as http, server_of(http).running(listener) as url:
            keep_what_is_loaded()
            print(where.format(url), flush=True)
            await stop_signal()
            log.info("process.stopping")
        return SUCCESS

    raise SystemExit(run_serving(serve()))


@app.command()
def worker(
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Conversations at once; default: PROSA_WORKER_CONCURRENCY.")
    ] = None,
    queue: Annotated[list[str] | None, typer.Option(help="fast, analysis, or both (the default).")] = None,
    name: Annotated[str | None, typer.Option(help="Its name among the workers; default: celery@HOST.")] = None,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Where it answers /metrics; default: PROSA_METRICS_PORT.")
    ] = None,
) -> None:
    """Run a Celery worker: it drains conversations, hundreds at once, on one event loop."""
    from dataclasses import replace
    from functools import partial

    from adapters.event_loop import load_without_collecting
    from worker.backends import required

    settings = _settings_for("celery", instead="prosa run, or prosa tasks for Cloud Tasks")
    load_without_collecting()
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    if metrics_port is not None:
        settings = settings.model_copy(update={"metrics_port": metrics_port})
    with required("Celery"):
        from worker.engines.celery_app import ANALYSIS, QUEUES, create_celery, run_worker
    from cli.serving import listening_for_metrics
    from cli.worker_role import BESIDE_TIMERS, open_celery_worker

    unknown = sorted(set(queue or ()) - set(QUEUES))
    if unknown:
        raise ConfigurationError(f"no queue {', '.join(unknown)}: there are {' and '.join(QUEUES)}")
    # A worker of the fast queue alone leaves analyses to the others, also those that its sweep would find.
    sweeping = replace(BESIDE_TIMERS, analyses=ANALYSIS in (queue or QUEUES))
    listener = listening_for_metrics(settings)
    opening = partial(open_celery_worker, settings, sweeping=sweeping, listener=listener)
    celery = create_celery(_redis_url(settings), opening)
    print("Prosa's worker is starting", flush=True)
    if listener is not None:
        host, port = listener.getsockname()[:2]
        print(f"Its metrics are at http://{host}:{port}/metrics", flush=True)
    raise SystemExit(run_worker(celery, concurrency=settings.worker_concurrency, queues=queue or QUEUES, name=name))


@app.command()
def beat() -> None:
    """Run the timers of the Celery engine: time-outs, escalations, retention, a sweep; one process of it is enough."""
    from worker.backends import required

    settings = _settings_for("celery", instead="prosa run, which has its own timers")
    with required("Celery"):
        from worker.engines.celery_app import create_celery, run_beat
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    celery = create_celery(_redis_url(settings))
    print("Prosa's timers are running", flush=True)
    run_beat(celery, schedule_file=str(settings.data_dir / "beat-schedule"))


def _settings_for(*engines: str, instead: str) -> Settings:
    """Return the settings, with logs set up. Raises ConfigurationError: the command belongs to another engine."""
    settings = read_settings()
    if settings.engine not in engines:
        raise ConfigurationError(f"PROSA_ENGINE={settings.engine} does not use this command: {instead}")
    configure_logs(level=settings.log_level, project=settings.google_cloud_project, lasting=True)
    return settings


def _redis_url(settings: Settings) -> str:
    assert settings.redis_url is not None  # noqa: S101 - the settings were checked for it
    return settings.redis_url.get_secret_value()


@app.command()
def chat(
    name: Annotated[str, typer.Argument(help="The conversation's name; the same name goes on where it was.")] = "",
    as_json: AsJson = False,
) -> None:
    """Talk in the terminal."""
    from cli.chat import chat as converse
    from cli.chat import run

    run(converse(read_settings(), name or f"terminal-{uuid.uuid4().hex[:8]}", as_json=as_json))


@app.command()
async def demo() -> None:
    """Play sample conversations through the real webhook path and print each turn."""
    from adapters.http.listener import listen
    from cli.demo import play_demo
    from cli.runtime import open_runtime
    from cli.sandboxed import imitating_everything
    from cli.serving import server_of

    settings = read_settings()
    configure_logs(level="ERROR")
    listener = listen("127.0.0.1", 0)
    with tempfile.TemporaryDirectory(prefix="prosa-demo-") as folder:
        settings = settings.model_copy(
            update={"port": listener.getsockname()[1], "store": f"sqlite:{folder}/demo.sqlite"}
        )
        async with (
            open_runtime(imitating_everything(settings)) as runtime,
            server_of(runtime.webhook).running(listener) as url,
        ):
            await play_demo(runtime, url)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="JSONL: one message a line.")],
    out: Annotated[Path | None, typer.Option(help="Where the turns go; default: standard output.")] = None,
    store: Annotated[str | None, typer.Option(help="sqlite:PATH to keep them; default: a throw-away store.")] = None,
    candidate: Annotated[
        Path | None, typer.Option(help="Folder with institution/, prompts/ or .env: play it too, and compare.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Compare with the turns that another version wrote with --out.")
    ] = None,
    allow: Annotated[list[str] | None, typer.Option(help="KIND=SHARE: another limit of a kind of difference.")] = None,
    as_json: AsJson = False,
) -> None:
    """Play recorded messages through the real pipeline, with sending off, and write one line for each turn.

    With --candidate or --against print instead what differs, by kind; ends with 1 when a kind is beyond its limit.
    """
    from cli.comparing import limits, report, verdict
    from cli.replay import candidate as candidate_settings
    from cli.replay import read_recording, read_turns, write_turns
    from cli.replay import replay as run_replay

    if candidate and against:
        raise ConfigurationError("--candidate plays both versions, --against only the newer: take one of them")
    settings = read_settings()
    configure_logs(level="ERROR")
    settings = checked(settings, PROSA_STORE=store) if store else settings.model_copy(update={"store": ""})
    recorded, allowed = read_recording(file), limits(allow or ())
    before = read_turns(against) if against else []
    changed = candidate_settings(candidate, settings) if candidate else None
    turns, failed = asyncio.run(run_replay(settings, recorded))
    if changed is not None:
        before, turns = turns, asyncio.run(run_replay(changed, recorded))[0]
    compares = candidate is not None or against is not None
    if out is not None or not compares:
        write_turns(turns, out)
    if compares:
        if not before:
            raise fail("the version in force has no turn: there is nothing to compare with")
        found = verdict(before, turns, allowed)
        print_json(found.model_dump(mode="json")) if as_json else report(found)
        if found.blocked:
            raise typer.Exit(FAILED)
    if failed:
        raise fail(f"{failed} of {len(recorded)} messages got no turn")


@app.command()
async def backup(
    file: Annotated[Path, typer.Argument(help="A new file; FILE.sha256 is written beside it.")], as_json: AsJson = False
) -> None:
    """Copy everything that the store and the inbox hold into one file, while Prosa runs."""
    from cli.backup import back_up

    _report_copied(await back_up(read_settings(), file, quiet=as_json), as_json)


@app.command()
async def restore(
    file: Annotated[Path, typer.Argument(help="What prosa backup has written, with its FILE.sha256.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also over conversations that the store holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into the store of the settings, of whatever kind; stop the workers before."""
    from cli.backup import restore as run_restore

    _report_copied(await run_restore(read_settings(), file, replace=replace, quiet=as_json), as_json)


def _report_copied(counts: dict[str, int], as_json: bool) -> None:
    from cli.backup import differences

    print_rows(as_json, counts, ("what", ""), sorted(counts.items()), empty="There was nothing to copy.")
    if wrong := differences(counts):
        raise fail(f"{wrong} did not arrive as they were: run it again, with the release that wrote them")


@app.command()
async def doctor(as_json: AsJson = False) -> None:
    """Look at everything a process needs and say the next step where something is missing."""
    from cli.doctor import examine

    if print_findings(await examine(read_settings()), as_json):
        raise typer.Exit(FAILED)


@app.command()
async def status(
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write it as a page to this file.")] = None,
    language: Annotated[str | None, typer.Option(help="Language of the page; default: the institution's.")] = None,
) -> None:
    """Print the first five numbers: who waits, how long replies take, what fails, what it costs, who answers."""
    from cli.digests import status as print_status

    await print_status(as_json, html, language)


def main() -> None:
    """Run the command; a mistake in usage or configuration ends with 2, a failure of the thing asked for with 1."""
    # What people wrote is for the account that runs Prosa alone: files 0600, folders 0700.
    os.umask(0o077)
    try:
        app(prog_name="prosa")
    except ConfigurationError as exc:
        print(visible(f"prosa: {exc}"), file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from None
    except WorkerError as exc:
        print(visible(f"prosa: {exc}"), file=sys.stderr)
        raise SystemExit(FAILED) from None


if __name__ == "__main__":
    main()
