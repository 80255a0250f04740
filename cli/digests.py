"""`prosa report performance|daily|weekly|baseline` and `prosa status`: operational reports."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.clock import SystemClock
from adapters.http.slack import SlackWebhook, SlackWebhookError
from cli.output import AsJson, console, fail, print_json, print_table
from cli.settings import read_settings
from contracts.errors import ConfigurationError
from contracts.pages import ReportPage
from contracts.settings import Settings
from reports.baseline import Baseline, Difference, collect, compare, switches_of
from reports.cost import Span
from reports.digest import Period
from reports.performance import performance_report
from reports.render.page import digest_page, digest_text, performance_page, status_page
from reports.render.words import Wording
from reports.reporting import Reporting
from webhook.console.rendering import standalone
from worker.backends import open_backend

DAY = "%Y-%m-%d"
Html = Annotated[Path | None, typer.Option("--html", help="Write it as a page to this file.")]
Ending = Annotated[
    datetime | None, typer.Option("--day", formats=[DAY], help="The (last) day; default: yesterday, which is over.")
]
Language = Annotated[
    str | None, typer.Option(help="Language of the page and of Slack's post, pt-BR or en; default: the institution's.")
]
# A terminal reads English, as every command does.
ENGLISH = Wording("en")
Slack = Annotated[bool, typer.Option("--slack", help="Post it to PROSA_SLACK_WEBHOOK_URL.")]


async def status(as_json: bool, html: Path | None, language: str | None) -> None:
    """Print the first five numbers, and write their page."""
    async with reporting(read_settings()) as reports:
        found, wording = await reports.status(), await reports.wording(language)
    _show(partial(status_page, found), wording, found.view(), as_json=as_json, html=html)


async def performance(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=[DAY], help="One day instead of the last ones.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="The last days, today included.")] = 1,
    as_json: AsJson = False,
    html: Html = None,
    language: Language = None,
) -> None:
    """Print how turns went: time to the reply, tasks, failures, quality; against as many days before.

    Days begin in PROSA_TIME_ZONE. From the performance ledger: percentiles are within 2 %, the last seconds are not in
    it yet.
    """
    async with reporting(read_settings()) as found:
        span = Span(day.date(), day.date(), found.zone) if day else found.last_days(days)
        report = await performance_report(found.store.records, span, at=found.clock.now())
        wording = await found.wording(language)
    _show(partial(performance_page, report), wording, report.view(), as_json=as_json, html=html)


async def daily(
    day: Ending = None, as_json: AsJson = False, html: Html = None, slack: Slack = False, language: Language = None
) -> None:
    """Print the report of a day against the day before, and what left its usual band."""
    await _digest(Period.DAILY, day, language, as_json=as_json, html=html, slack=slack)


async def weekly(
    day: Ending = None, as_json: AsJson = False, html: Html = None, slack: Slack = False, language: Language = None
) -> None:
    """Print the report of seven days against the seven before, and what left its usual band."""
    await _digest(Period.WEEKLY, day, language, as_json=as_json, html=html, slack=slack)


async def baseline(
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="The last days, today included.")] = 7,
    save: Annotated[Path | None, typer.Option("--save", help="Keep the figures in this file.")] = None,
    against: Annotated[Path | None, typer.Option("--compare", help="Print them against those of this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Collect cost, latency, error rate and quality before a switch (PROMPTER_USE_*) is turned, or after it."""
    then = Baseline.read(against) if against else None
    settings = read_settings()
    async with reporting(settings) as found:
        now = await collect(found.store, found.last_days(days), switches_of(settings), at=found.clock.now())
    if save is not None:
        now.save(save)
    differences = compare(then, now) if then else []
    if as_json:
        print_json(now.model_dump(mode="json") | ({"compared": [one.view() for one in differences]} if then else {}))
    elif then:
        _print_differences(then, now, differences)
    else:
        console.print(f"{now.first} to {now.last}. {_switches(now)}")
        rows = [(name, _value(figure.value), figure.behind) for name, figure in now.figures.items()]
        print_table(("figure", "value", "behind it"), rows)


async def _digest(
    period: Period, day: datetime | None, language: str | None, *, as_json: bool, html: Path | None, slack: bool
) -> None:
    settings = read_settings()
    if slack and settings.slack_webhook_url is None:
        raise ConfigurationError("--slack needs PROSA_SLACK_WEBHOOK_URL: an incoming webhook of your workspace")
    async with reporting(settings) as reports:
        found, wording = await reports.digest(period, day.date() if day else None), await reports.wording(language)
    _show(partial(digest_page, found), wording, found.view(), as_json=as_json, html=html)
    if slack and settings.slack_webhook_url is not None:
        try:
            await SlackWebhook(settings.slack_webhook_url.get_secret_value()).post(digest_text(found, wording))
        except SlackWebhookError as exc:
            raise fail(f"Slack: {exc}") from exc


@asynccontextmanager
async def reporting(settings: Settings) -> AsyncIterator[Reporting]:
    async with open_backend(settings) as backend:
        yield Reporting(backend.inbox, backend.store, SystemClock(), settings.zone, settings.budget_day_usd)


def write(path: Path | None, page: ReportPage, language: str) -> None:
    """Write the page as one file, if requested."""
    if path is None:
        return
    try:
        path.write_text(standalone(page, language), encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{path} cannot be written ({exc.strerror})") from exc


def _show(
    page: Callable[[Wording], ReportPage], wording: Wording, view: dict[str, Any], *, as_json: bool, html: Path | None
) -> None:
    """Write the page to a file if requested, and print it, without its plots, in English or as JSON."""
    write(html, page(wording), wording.language)
    if as_json:
        print_json(view)
        return
    shown = page(ENGLISH)
    console.print(f"{shown.title}. {shown.subtitle}")
    for notice in shown.notices:
        console.print(("! " if notice.is_bad else "") + notice.text)
    print_table(("", "", ""), [(tile.name, tile.value, tile.detail.replace("\n", "; ")) for tile in shown.tiles])
    for table in shown.tables:
        if table.rows:
            console.print(f"\n{table.title}", style="bold")
            print_table(table.columns, table.rows)


def _print_differences(then: Baseline, now: Baseline, differences: list[Difference]) -> None:
    for word, one in (("then", then), ("now", now)):
        console.print(f"{word}: {one.first} to {one.last}. {_switches(one)}")
    rows = [
        (
            one.name,
            _value(one.then.value),
            one.then.behind,
            _value(one.now.value),
            one.now.behind,
            "" if one.change is None else f"{one.change:+.1%}",
            "few" if one.is_thin else "",
        )
        for one in differences
    ]
    print_table(("figure", "then", "behind it", "now", "behind it", "change", ""), rows)


def _switches(found: Baseline) -> str:
    on = [name for name, is_on in found.switches.items() if is_on]
    return f"On: {', '.join(on) or 'none'}"


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
