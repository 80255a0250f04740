"""`prosa load`: messages at a rate or all at once, against any running Prosa, with their outcomes."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from adapters.channels.whatsapp import WhatsAppSettings
from adapters.event_loop import run_serving
from adapters.http.client import HttpError, ask, open_client
from cli.groups import CommandApp
from cli.output import FAILED, AsJson, console, fail, print_rows
from cli.settings import read_settings
from cli.traffic import LATE_SECONDS, Load, Sent, Traffic
from contracts.errors import ConfigurationError, WorkerError
from sandbox.whatsapp_webhooks import envelope, signed

PAGE = 1000
LOOK_EVERY_SECONDS = 0.5
ANSWER_WITHIN, MAX_PAGE_BYTES = timedelta(seconds=60), 16 * 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One send that the sandbox accepted. `reference` is the outbox row's id, `at` seconds of the wall clock."""

    reference: str
    person: str
    at: float


class Collector:
    """Poller of a sandbox's accepted sends, of which it keeps only the newest thousands."""

    platform = "graph"

    def __init__(self, sandbox_url: str) -> None:
        self._url = f"{sandbox_url.rstrip('/')}/{self.platform}/sandbox/messages"
        self._after = 0
        self.replies: list[Reply] = []

    async def skip_to_now(self) -> None:
        """Skip the sends accepted so far."""
        await self.look()
        self.replies.clear()

    async def look(self) -> None:
        """Read the new sends."""
        async with open_client(within=ANSWER_WITHIN, is_direct=True) as client:
            while True:
                params = {"after": self._after, "limit": PAGE}
                answer = await ask(client, "GET", self._url, max_bytes=MAX_PAGE_BYTES, params=params)
                if not answer.is_success:
                    raise HttpError(f"status {answer.status}", was_sent=True)
                try:
                    found = orjson.loads(answer.content)["messages"]
                except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
                    raise HttpError("its answer is not a sandbox's", was_sent=True) from exc
                if not found:
                    return
                self._after = found[-1]["number"]
                self.replies += [self.reply_of(each) for each in found]

    async def look_forever(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def reply_of(self, accepted: dict[str, Any]) -> Reply:
        at = datetime.fromisoformat(accepted["at"]).timestamp()
        return Reply(accepted["client_reference"] or accepted["id"], accepted["wa_id"], at)


@dataclass(frozen=True)
class Matched:
    """Result of the matching.

    `seconds` are from the intended time of a message to its reply. A message written while an earlier one of the same
    person waited is `overlapping` and has no time of its own, since one reply may answer both. `lost` have no reply of
    their person after them, `doubled` are repeated sends of one reply, `reordered` replies that overtook an earlier one
    of the same person.
    """

    seconds: tuple[float, ...]
    answered: int
    overlapping: int
    lost: int
    doubled: int
    reordered: int


def match(sent: Iterable[Sent], replies: Iterable[Reply]) -> Matched:
    """Match each person's messages with the replies they got, by time; only the first send of each reply counts."""
    times = Counter(reply.reference for reply in replies)
    got: defaultdict[str, dict[str, Reply]] = defaultdict(dict)
    for reply in replies:
        got[reply.person].setdefault(reply.reference, reply)
    written: defaultdict[str, list[Sent]] = defaultdict(list)
    for one in sent:
        if one.planned.measured:
            written[one.person].append(one)
    people = [_match_person(messages, list(got[person].values())) for person, messages in written.items()]
    return Matched(
        seconds=tuple(seconds for person in people for seconds in person.seconds),
        answered=sum(person.answered for person in people),
        overlapping=sum(person.overlapping for person in people),
        lost=sum(person.lost for person in people),
        doubled=sum(count - 1 for count in times.values()),
        reordered=sum(_reordered(list(replies.values())) for replies in got.values()),
    )


def _match_person(messages: Sequence[Sent], replies: Sequence[Reply]) -> Matched:
    seconds: list[float] = []
    answered = overlapping = 0
    waiting: list[Sent] = []
    moments = [(one.left_at, one) for one in messages] + [(reply.at, None) for reply in replies]
    for at, one in sorted(moments, key=lambda moment: moment[0]):
        if one is not None:
            overlapping += bool(waiting)
            waiting.append(one)
        elif waiting:
            if len(waiting) == 1:
                seconds.append(at - waiting[0].intended_at)
            answered += len(waiting)
            waiting.clear()
    return Matched(tuple(seconds), answered, overlapping, len(waiting), doubled=0, reordered=0)


def _reordered(replies: Sequence[Reply]) -> int:
    # An outbox row's id ends with the place of the turn in its conversation, and of the reply in the turn.
    places = [
        tuple(int(part) for part in reply.reference.split("/")[-2:] if part.isdigit())
        for reply in sorted(replies, key=lambda reply: reply.at)
    ]
    return sum(following < place for place, following in pairwise(places))


AWAIT_SECONDS = 30.0
FIRST_ANSWER_WITHIN = timedelta(seconds=5)

app = CommandApp(add_completion=False)


@dataclass(frozen=True)
class Outcome:
    """One run; times are milliseconds. `replies` is None where no sandbox was asked."""

    sent: Sequence[Sent]
    refused: dict[str, int]
    status_seconds: Sequence[float]
    seconds: float
    driver_cpu_seconds: float
    replies: Matched | None

    @property
    def not_taken(self) -> int:
        return sum(one.taken_at is None for one in self.sent)

    @property
    def lost(self) -> int:
        return self.not_taken + (self.replies.lost if self.replies else 0)

    def view(self) -> dict[str, Any]:
        measured = [one for one in self.sent if one.planned.measured]
        view: dict[str, Any] = {
            "messages": len(measured),
            "seconds": round(self.seconds, 1),
            "late": sum(one.left_at - one.intended_at > LATE_SECONDS for one in measured),
            "not_taken": self.not_taken,
            "refused": self.refused,
            "ack_ms": percentiles([one.taken_at - one.intended_at for one in measured if one.taken_at is not None]),
            "driver_cpu_seconds": round(self.driver_cpu_seconds, 1),
        }
        if self.status_seconds:
            view |= {"statuses": len(self.status_seconds), "status_ack_ms": percentiles(self.status_seconds)}
        if self.replies is not None:
            names = ("answered", "overlapping", "lost", "doubled", "reordered")
            view |= {"reply_ms": percentiles(self.replies.seconds)}
            view |= {name: getattr(self.replies, name) for name in names}
        return view


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the largest, in milliseconds; empty when nothing was measured."""
    ordered = sorted(seconds)
    if not ordered:
        return {}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[min(last, int(share * len(ordered)))] * 1000, 1) for name, share in shares.items()}


async def run(
    load: Load,
    *,
    urls: Sequence[str],
    secret: str,
    phone_number_id: str,
    sandbox_url: str | None = None,
    await_seconds: float = AWAIT_SECONDS,
    shows_progress: bool = False,
) -> Outcome:
    """Drive the load at a Prosa; with a sandbox, wait up to `await_seconds` for the last replies.

    `urls` are the addresses of its webhooks, which get the posts in turn.

    Raises:
        OSError: no server listens when messages are to leave all at once.
    """
    traffic = Traffic(
        *(f"{url.rstrip('/')}/webhooks/whatsapp" for url in urls),
        secret=secret,
        phone_number_id=phone_number_id,
        run=str(time.time_ns() // 1_000_000)[-10:],
    )
    collector = Collector(sandbox_url) if sandbox_url else None
    started, cpu = time.monotonic(), time.process_time()
    if collector is not None:
        await collector.skip_to_now()
    beside = [_show(traffic, collector, shows_progress)] + ([collector.look_forever()] if collector else [])
    tasks = [asyncio.create_task(one) for one in beside]
    try:
        sent = await traffic.drive(load)
        replies, ends = None, time.monotonic() + await_seconds
        if collector is not None:
            while (replies := match(sent, collector.replies)).lost and time.monotonic() <= ends:  # noqa: ASYNC110 - another process has them
                await asyncio.sleep(1)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
    return Outcome(
        sent=sent,
        refused=dict(traffic.progress.refused),
        status_seconds=traffic.status_seconds,
        seconds=time.monotonic() - started,
        driver_cpu_seconds=time.process_time() - cpu,
        replies=replies,
    )


async def _show(traffic: Traffic, collector: Collector | None, shows: bool) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProgressBar(*columns, console=console, disable=not shows, transient=True) as bar:
        lines = {name: bar.add_task(name, total=None) for name in ("sent", "taken", "replies")}
        while True:
            counts = {"sent": traffic.progress.left, "taken": traffic.progress.taken}
            counts["replies"] = len(collector.replies) if collector else 0
            for name, line in lines.items():
                bar.update(line, completed=counts[name], total=traffic.progress.planned or None)
            await asyncio.sleep(0.25)


@app.command()
def load(
    rate: Annotated[float, typer.Option(min=0.01, help="Messages a second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0.1, help="For how long.")] = 10.0,
    messages: Annotated[int | None, typer.Option(min=1, help="How many in all, instead of --seconds.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="So many at the same moment, without a rate.")] = None,
    conversations: Annotated[int, typer.Option(min=1, max=5_000_000, help="Of so many people.")] = 100,
    duplicates: Annotated[float, typer.Option(min=0, max=1, help="Share that is delivered twice.")] = 0.05,
    statuses_rate: Annotated[float, typer.Option(min=0, help="Statuses of foreign messages a second.")] = 0.0,
    hot_rate: Annotated[float, typer.Option(min=0, help="One person more, who writes so fast.")] = 0.0,
    even: Annotated[bool, typer.Option("--even", help="Even arrivals instead of random ones.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(help="Prosa's address, or those of several webhooks of it; default: this machine at PORT."),
    ] = None,
    sandbox: Annotated[str | None, typer.Option(help="The sandbox's address: replies are counted there.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same plan.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write to a running Prosa as many people would, over WhatsApp, and measure; ends with 1 when something is lost.

    Times count from the moment a message was meant to leave, so that a slow answer hides none. Prosa's WHATSAPP_*
    settings must be set here too: they sign what is sent.
    """
    settings = read_settings()
    whatsapp = WhatsAppSettings.of(settings)
    if whatsapp is None:
        raise ConfigurationError("prosa load signs its messages: set the WHATSAPP_* variables as Prosa has them")
    secret, phone_number_id = whatsapp.app_secret.get_secret_value(), whatsapp.numbers[0]
    count = at_once or messages or max(1, round(rate * seconds))
    given = Load(
        messages=count,
        people=min(conversations, count),
        rate=None if at_once else rate,
        poisson=not even,
        duplicates=duplicates,
        statuses_rate=statuses_rate,
        hot_rate=hot_rate,
        seed=seed,
    )
    urls = target or [f"http://{settings.host}:{settings.port}"]
    try:
        for url in urls:
            asyncio.run(require_prosa(url, secret))
        outcome = run_serving(
            run(
                given,
                urls=urls,
                secret=secret,
                phone_number_id=phone_number_id,
                sandbox_url=sandbox,
                shows_progress=console.is_terminal and not as_json,
            )
        )
    except HttpError as exc:
        raise fail(f"the sandbox at {sandbox} does not answer: {exc}") from exc
    except OSError as exc:
        raise fail(f"nobody answers at {', '.join(urls)}: start Prosa there, or give its address as --target") from exc
    view = outcome.view()
    print_rows(as_json, view, ("figure", "value"), [(name, _cell(value)) for name, value in view.items()])
    if outcome.lost:
        raise typer.Exit(FAILED)


async def require_prosa(url: str, secret: str) -> None:
    """Post once, signed and without a message, before anything is measured.

    Raises:
        WorkerError: the server does not accept our posts; the text gives the cause and the remedy.
    """
    body, headers = signed(envelope(), secret)
    address = f"{url.rstrip('/')}/webhooks/whatsapp"
    try:
        async with open_client(within=FIRST_ANSWER_WITHIN) as client:
            answer = await ask(client, "POST", address, within=FIRST_ANSWER_WITHIN, content=body, headers=headers)
    except HttpError as exc:
        raise WorkerError(
            f"no Prosa answers at {url} ({exc}): start it there, or give its address as --target"
        ) from exc
    match answer.status:
        case 200:
            return
        case 401 | 403:
            raise WorkerError(f"{url} refuses our signature: set WHATSAPP_APP_SECRET here as that Prosa has it")
        case 503:
            raise WorkerError(f"{url} cannot store messages now (503): prosa doctor says why")
        case _:
            raise WorkerError(f"{url} answers {answer.status} where a Prosa with WhatsApp takes posts: check --target")


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} {number:,}" for name, number in value.items()) or "none"
    return f"{value:,}"
