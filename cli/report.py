"""`prosa report`: costs, and prices of models."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.digests import Html, Language, baseline, daily, performance, reporting, weekly, write
from cli.output import AsJson, console, fail, group, print_json, print_table
from cli.settings import read_settings
from prompts.pricing.prices import KnownModel, PriceBook, Rate, Rates, usd_text
from reports.cost import By, CostReport, Line, Span, cost_report
from reports.cost import recount as recount_day
from worker.backends import open_backend

app = group("What it costs, and how it goes.")
for command in (performance, daily, weekly, baseline):
    app.command()(command)

DAY = "%Y-%m-%d"
Day = Annotated[datetime | None, typer.Option("--day", formats=[DAY], help="One day instead of the last ones.")]
Days = Annotated[int, typer.Option("--days", min=1, max=400, help="The last days, today included.")]
Grouped = Annotated[By, typer.Option("--by", help="What the money is grouped by.")]
Recount = Annotated[
    datetime | None, typer.Option("--recount", formats=[DAY], help="First count a day (UTC) again, from its turns.")
]


@app.command()
async def cost(
    day: Day = None,
    days: Days = 1,
    by: Grouped = By.MODEL,
    recount: Recount = None,
    as_json: AsJson = False,
    html: Html = None,
    language: Language = None,
) -> None:
    """Print what was spent: calls, tokens, USD, USD for each turn, and its share.

    Days begin in PROSA_TIME_ZONE. What a process spent in the last seconds is not in it yet, and by conversation only
    turns are.
    """
    settings = read_settings()
    last = day.date() if day else datetime.now(settings.zone).date()
    span = Span(last if day else last - timedelta(days=days - 1), last, settings.zone)
    at = datetime.now(UTC)
    async with open_backend(settings) as backend:
        if recount is not None:
            kept = timedelta(days=settings.retention_days)
            try:
                await recount_day(backend.store, recount.date(), at=at, retention=kept)
            except ValueError as exc:
                raise fail(str(exc)) from exc
        report = await cost_report(backend.store, span, by, at=at)
    if html is not None:
        async with reporting(settings) as found:
            wording = await found.wording(language)
            write(html, await found.cost_page(span, wording), wording.language)
    if as_json:
        print_json(report.view())
    else:
        _print(report)


@app.command()
def prices(as_json: AsJson = False) -> None:
    """List the models whose price is known, in USD for a million tokens, with the release of the list."""
    book = PriceBook()
    known = list(book.known(at=datetime.now(UTC)))
    if as_json:
        print_json(
            {
                "genai_prices": book.release,
                "models": [{"model": model.id, "name": model.name} | _view(model) for model in known],
            }
        )
        return
    console.print(f"Anthropic, as genai-prices {book.release} has it. USD for a million tokens.")
    columns = ("model", "input", "cache read", "write 5 min", "write 1 h", "output")
    rows: list[tuple[str, ...]] = []
    for model in known:
        kinds = _kinds(model.rates)
        rows.append((model.id, *(usd_text(rate.usd) for rate in kinds)))
        starts = sorted({start for rate in kinds for start, _ in rate.tiers})
        rows += [(f"  > {start}", *(usd_text(rate.at(start + 1)) for rate in kinds)) for start in starts]
    print_table(columns, rows)
    console.print("A prompt of more than > tokens pays that price for all of it. Any other model: unknown.")


def _print(report: CostReport) -> None:
    span = report.span
    days = span.first.isoformat() if span.first == span.last else f"{span.first} to {span.last}"
    console.print(f"{days} ({span.zone}), by {report.by}")
    columns: tuple[str, ...] = (report.by.value, "calls", "turns", "in", "out", "cache read", "cache write", "USD")
    columns += ("USD/turn", "share")
    total = Line("total", report.total, report.turns, report.resolved)
    if report.by is By.ARM:
        columns += ("resolved", "USD/resolved")
    rows = [_row(line, report) for line in (*report.lines, total)] if report.lines else []
    print_table(columns, rows, empty="Nothing was spent.")


def _row(line: Line, report: CostReport) -> tuple[object, ...]:
    amounts, share, per_turn = line.amounts, report.share(line.amounts), report.per_turn(line)
    resolved: tuple[object, ...] = ()
    if line.resolved is not None:
        each = report.per_resolved(line)
        resolved = line.resolved, "" if each is None else usd_text(each)
    money = usd_text(amounts.usd)
    if amounts.unpriced:
        # Calls without a known price are not free.
        unknown = f"unknown for {amounts.unpriced}"
        money = f"{money} + {unknown}" if amounts.is_known else unknown
    return (
        line.name or "-",
        amounts.calls,
        line.turns,
        amounts.input,
        amounts.output,
        amounts.cache_read,
        amounts.cache_write,
        money,
        ("unknown" if amounts.unpriced else "") if per_turn is None else usd_text(per_turn),
        "" if share is None else f"{share * 100:.1f} %",
        *resolved,
    )


def _kinds(rates: Rates) -> tuple[Rate, ...]:
    return (rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.output)


def _view(model: KnownModel) -> dict[str, object]:
    names = ("input", "cache_read", "cache_write", "cache_write_1h", "output")

    def of(rates: Rates) -> dict[str, object]:
        return {
            name: {"usd": usd_text(rate.usd), "tiers": [[start, usd_text(usd)] for start, usd in rate.tiers]}
            for name, rate in zip(names, _kinds(rates), strict=True)
        }

    return {"usd_per_million_tokens": of(model.rates), "batch": of(model.batch) if model.batch else None}
