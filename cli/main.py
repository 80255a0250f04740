"""`prosa`: the command and its sub-commands."""

import asyncio
import signal
import sys

import typer

from cli.runtime import Runtime, listen, open_runtime, server_of
from contracts.errors import ConfigurationError, InstitutionError, WorkerError
from contracts.settings import Settings, read_settings
from observability.logs import configure_logs, logger

app = typer.Typer(
    name="prosa",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
log = logger(__name__)

SUCCESS, FAILED, WRONG_USAGE = 0, 1, 2


@app.callback()
def prosa() -> None:
    """Answers conversations within the rules of an institution."""


@app.command()
def run() -> None:
    """Run everything in one process: webhook, worker, and the sandbox where no key is set."""
    settings = read_settings()
    configure_logs(level=settings.log_level)
    raise SystemExit(asyncio.run(_run(settings)))


async def _run(settings: Settings) -> int:
    try:
        listener = listen(settings.host, settings.port)
    except OSError as exc:
        raise ConfigurationError(
            f"port {settings.port} on {settings.host} cannot be used ({exc.strerror}): set PORT to another one"
        ) from exc
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_runtime(settings) as runtime, server_of(runtime.webhook).running(listener) as url:
        loop.add_signal_handler(signal.SIGHUP, _reload, runtime)
        _announce(url, runtime)
        await stop.wait()
        log.info("process.stopping")
    return SUCCESS


def _announce(url: str, runtime: Runtime) -> None:
    model = f" (the sandbox answers: set ANTHROPIC_API_KEY for a real model; {runtime.sandbox_url}/)"
    print(f"Prosa is at {url}/{model if runtime.sandbox_url else ''}", flush=True)


def _reload(runtime: Runtime) -> None:
    try:
        institution = runtime.engine.rulebooks.reload()
    except InstitutionError as exc:
        log.error("institution.refused", error=type(exc).__name__)
        print(exc, file=sys.stderr)
        return
    log.info("institution.reloaded", version=institution.version)


def main() -> None:
    """Run the command; a mistake in usage or configuration ends with 2, a failure of the thing asked for with 1."""
    try:
        app()
    except ConfigurationError as exc:
        print(f"prosa: {exc}", file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from None
    except WorkerError as exc:
        print(f"prosa: {exc}", file=sys.stderr)
        raise SystemExit(FAILED) from None


if __name__ == "__main__":
    main()
