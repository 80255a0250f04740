"""`prosa release`: smoke test of a new revision, and the watch over it while it gets traffic."""

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import httpx
import orjson
import typer

from adapters.clock import SystemClock
from adapters.http.client import Answer, HttpError, ask, open_client
from adapters.http.prometheus import CLOUD_MONITORING, PrometheusApi
from cli.groups import CommandApp
from cli.output import AsJson, console, fail, print_rows
from cli.settings import read_settings
from contracts.errors import ConfigurationError, TransientError
from contracts.findings import Finding, Health
from contracts.ports import Clock
from reports.release import Figures, Look, Matchers, look, refusal
from worker.backends import required

EVERY = timedelta(minutes=1)
# Samples are scraped each 15 s and sent on; the newest moments are not whole yet.
BEHIND = timedelta(seconds=30)
ANSWER_WITHIN, REPLY_WITHIN = timedelta(seconds=10), timedelta(seconds=40)
DURATION = re.compile(r"(\d+)([smh])")
NAME = re.compile(r"[A-Za-z0-9_.:-]+")

app = CommandApp(no_args_is_help=True, help="Releases by steps: a smoke test, and a watch that ends with 1.")


def _duration(text: str) -> timedelta:
    found = DURATION.fullmatch(text)
    if found is None:
        raise typer.BadParameter("a number with s, m or h, such as 30m")
    return int(found[1]) * timedelta(seconds={"s": 1, "m": 60, "h": 3600}[found[2]])


@app.command()
async def verify(
    revision: Annotated[list[str], typer.Option(help="The new revision; again for that of another service.")],
    lasting: Annotated[timedelta, typer.Option("--for", parser=_duration, help="For how long: 30m, 1h.")] = "1h",  # type: ignore[assignment]  # Typer parses it
    prometheus: Annotated[str, typer.Option(help="Address of a Prometheus.")] = "",
    project: Annotated[str, typer.Option(help="Google Cloud project: its Cloud Monitoring instead.")] = "",
    label: Annotated[str, typer.Option(help="The label that holds a revision's name.")] = "revision_name",
    where: Annotated[str, typer.Option(help="Matchers that the others share too: 'location=\"europe-west1\"'.")] = "",
    as_json: AsJson = False,
) -> None:
    """Watch a new revision each minute; end with 1 when it crosses a limit or is worse than those that run with it."""
    if bool(prometheus) == bool(project):
        raise ConfigurationError("give --prometheus URL or --project NAME")
    matchers = matchers_of(revision, label, where)

    def show(seen: Look | None) -> None:
        if as_json:
            print(orjson.dumps(seen.view() if seen else {"unavailable": True}).decode(), flush=True)
        else:
            console.print(seen.text() if seen else "the server of metrics does not answer")

    async with _metrics(prometheus, project) as metrics:
        clock = SystemClock()
        reason = await watch(matchers, metrics, lasting=lasting, clock=clock, sleep=asyncio.sleep, show=show)
    if as_json:
        print(orjson.dumps({"passed": reason is None, "reason": reason}).decode())
    if reason is not None:
        raise fail(f"refused: {reason}")
    if not as_json:
        console.print(f"passed: {', '.join(revision)} kept every limit")


def matchers_of(revisions: list[str], label: str, where: str) -> Matchers:
    """Return the label matchers of the new revisions and of all others.

    Raises:
        ConfigurationError: a name has signs that no name of a revision or label has.
    """
    if odd := [name for name in [label, *revisions] if not NAME.fullmatch(name)]:
        raise ConfigurationError(f"no name of a revision or label: {', '.join(odd)}")
    names = "|".join(name.replace(".", "[.]") for name in revisions)
    shared = f",{where}" if where else ""
    return Matchers(f'{label}=~"{names}"{shared}', f'{label}!~"{names}"{shared}', where)


async def watch(
    matchers: Matchers,
    metrics: Callable[[datetime], Figures],
    *,
    lasting: timedelta,
    clock: Clock,
    sleep: Callable[[float], Awaitable[None]],
    show: Callable[[Look | None], None],
) -> str | None:
    """Look each minute until the time is over; return the reason of a refusal, None when all was well."""
    since = clock.now() - BEHIND
    looks: list[Look | None] = []
    while clock.now() < since + BEHIND + lasting:
        await sleep(EVERY.total_seconds())
        at = clock.now() - BEHIND
        try:
            looks.append(await look(metrics(at), matchers, at=at, since=since))
        except TransientError:
            looks.append(None)
        show(looks[-1])
        if reason := refusal(looks):
            return reason
    if not any(one is not None and one.processes for one in looks):
        return "the revision was never seen: watch for longer than it takes to start"
    return None


@asynccontextmanager
async def _metrics(prometheus: str, project: str) -> AsyncIterator[Callable[[datetime], Figures]]:
    if project:
        with required("Google Cloud"):
            from adapters.google.token import MONITORING, GoogleToken
        api = PrometheusApi(CLOUD_MONITORING.format(project), token=GoogleToken(MONITORING).current)
    else:
        api = PrometheusApi(prometheus)
    try:
        yield lambda at: partial(api.figures, at=at)
    finally:
        await api.close()


@app.command()
async def smoke(
    url: Annotated[str, typer.Argument(help="Address of the new revision, before it gets traffic.")],
    as_json: AsJson = False,
) -> None:
    """Ask a new revision what every release needs: ready, closed to strangers, and one chat message answered.

    PROSA_CONSOLE_TOKEN must be set as that revision has it.
    """
    async with open_client(within=ANSWER_WITHIN, base_url=url.rstrip("/")) as client:
        token = read_settings().console_token
        findings = await examine(client, token.get_secret_value() if token else "")
    rows = [(one.check, one.health, one.detail) for one in findings]
    print_rows(as_json, [one.view() for one in findings], ("check", "health", "what"), rows)
    if any(one.health is Health.FAILED for one in findings):
        raise typer.Exit(1)


async def examine(client: httpx.AsyncClient, token: str) -> list[Finding]:
    """Make each request; one without an answer is a finding, too."""
    known = {"Authorization": f"Bearer {token}"} if token else {}
    asked: tuple[tuple[str, str, str, dict[str, str], set[int]], ...] = (
        ("ready", "GET", "/readyz", known, {200}),
        ("metrics", "GET", "/metrics", known, {200}),
        ("unsigned post", "POST", "/webhooks/whatsapp", {}, {401, 403, 404}),
        ("metrics are closed", "GET", "/metrics", {}, {401, 403} if token else {200}),
    )
    findings = []
    for check, method, path, headers, expected in asked:
        try:
            answer = await ask(client, method, path, headers=headers, within=ANSWER_WITHIN)
        except HttpError as exc:
            findings.append(Finding(check, Health.FAILED, f"no answer: {exc}"))
        else:
            health = Health.OK if answer.status in expected else Health.FAILED
            findings.append(Finding(check, health, f"{path} answered {answer.status}"))
    try:
        findings.append(await _chat(client))
    except HttpError as exc:
        findings.append(Finding("chat", Health.FAILED, f"no answer: {exc}"))
    return findings


async def _chat(client: httpx.AsyncClient) -> Finding:
    """Write one message of the web chat and wait for its reply, through inbox, worker and model."""
    path = f"/chat/release-{uuid.uuid4().hex}/messages"
    answer: Answer = await ask(client, "POST", path, json={"id": "smoke", "text": "Oi"}, within=ANSWER_WITHIN)
    if answer.status == 404:
        return Finding("chat", Health.NOTE, "the web chat is off: no message was tried")
    if answer.status != 202:
        return Finding("chat", Health.FAILED, f"a message was answered {answer.status}")
    token = orjson.loads(answer.content).get("token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = await ask(
        client,
        "GET",
        f"{path}/smoke",
        params={"wait": "30"},
        headers=headers,
        within=REPLY_WITHIN,
        timeout=REPLY_WITHIN.seconds,
    )
    status = orjson.loads(answer.content).get("status") if answer.is_success else answer.status
    return Finding("chat", Health.OK if status == "replied" else Health.FAILED, f"a message was {status}")
