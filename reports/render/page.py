"""Reports in words: tiles, plots and tables in the reader's language."""

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from contracts.conversation import TaskName
from contracts.pages import Notice, Plot, ReportPage, Table, Tile, Unit
from contracts.performance import AnswerSource, Cause, Count, Page, Times
from reports.cost import CostReport
from reports.digest import Anomaly, Digest
from reports.performance import PerformanceReport, availability, failure_rate, figures
from reports.render.words import Wording
from reports.status import Status

# A larger share is shown in the colour of bad news: the limit of the alert (deploy/observability/rules.yaml).
FAILURES_ARE_BAD_FROM = 0.05
HAND_OFF_IS_LATE_FROM_S = 1_800
SLOW_FROM_MS = 5_000
MONEY_IS_SHORT_FROM = 0.8
# Figures with a maximum of 1, whatever their band.
SHARES = frozenset({"failure_rate", "quality"})


def status_page(status: Status, wording: Wording) -> ReportPage:
    """Return the page of the first five numbers."""
    say = wording.say
    view = status.view()
    reply = view["reply_ms"]
    share = status.share_of_ceiling
    waits = say("waiting", status.waiting, wording.time(status.oldest_seconds * 1000))
    money = [say("of_ceiling", wording.percent(share), wording.usd(float(status.ceiling)))] if status.ceiling else []
    if status.unpriced_calls:
        money.append(say("unknown_calls", status.unpriced_calls))
    rate = failure_rate(status.page)
    tiles = (
        Tile(
            say("unanswered"),
            wording.number(status.overdue),
            "\n".join(
                [waits if status.waiting else say("none_waits")]
                + ([say("unsent", status.unsent)] if status.unsent else [])
            ),
            is_bad=status.overdue > 0,
        ),
        Tile(
            say("hand_offs"),
            wording.number(status.handoffs),
            say("hand_off_oldest", wording.time(status.handoff_oldest_seconds * 1000)) if status.handoffs else "",
            is_bad=status.handoff_oldest_seconds > HAND_OFF_IS_LATE_FROM_S,
        ),
        Tile(
            say("reply_p95"),
            wording.time(reply["p95"]),
            say("behind_replies", reply["count"], wording.time(reply["p50"]), wording.time(reply["p99"])),
            is_bad=(reply["p95"] or 0) > SLOW_FROM_MS,
        ),
        Tile(
            say("failure_rate"),
            wording.percent(rate),
            "\n".join(f"{say(name)}: {wording.number(one)}" for name, one in status.page.of(Count.FAILURES).items()),
            is_bad=(rate or 0) > FAILURES_ARE_BAD_FROM,
        ),
        Tile(
            say("money_today"),
            wording.usd(float(status.spent)),
            "\n".join(money or [say("no_ceiling")]),
            is_bad=(share or 0) >= MONEY_IS_SHORT_FROM,
        ),
        Tile(say("answered"), *_answers(status.page, wording)),
    )
    since = status.since.astimezone(status.zone)
    subtitle = say("since", f"{since:%H:%M}", f"{status.at.astimezone(status.zone):%Y-%m-%d %H:%M:%S}")
    return ReportPage(say("status"), subtitle, tiles)


def digest_page(digest: Digest, wording: Wording) -> ReportPage:
    """Return the page of a day or a week: against the period before, with the days that make up its bands."""
    say = wording.say
    performance, cost = digest.performance, digest.cost
    total, before = performance.total, performance.before
    days = list(digest.by_day)
    labels = [_day(day) for day in days]
    found = digest.by_day
    plots = (
        Plot(say("money_by_day"), labels, {"USD": [found[day].usd for day in days]}, Unit.USD, is_stacked=True),
        Plot(say("latency_by_day"), labels, {"p95": [found[day].reply_p95_ms for day in days]}, Unit.MILLISECONDS),
        Plot(
            say("failure_rate_by_day"),
            labels,
            {say("failure_rate"): [found[day].failure_rate for day in days]},
            Unit.SHARE,
        ),
    )
    tiles = (
        Tile(say("money"), wording.amounts(cost.total), say("before", wording.amounts(digest.cost_before.total))),
        _per_turn(cost, digest.cost_before, wording),
        *_performance_tiles(total, before, wording),
    )
    quiet = "in_band" if total.turns else "no_turns"
    notices = [Notice(anomaly_line(one, wording), one.is_worse) for one in digest.anomalies] or [
        Notice(say(quiet), is_bad=False)
    ]
    tables = (_model_table(cost, wording), *_performance_tables(total, wording))
    return ReportPage(say(digest.period), _span(performance, wording), tiles, plots, tables, notices)


def cost_page(cost: CostReport, by_hour: CostReport, wording: Wording) -> ReportPage:
    """Return the page of costs, by day and by model."""
    say = wording.say
    spent: dict[date, float] = {}
    for line in by_hour.lines:
        day = date.fromisoformat(line.name[:10])
        spent[day] = spent.get(day, 0.0) + float(line.amounts.usd)
    days = sorted(spent)
    series = {"USD": [spent[day] for day in days]}
    plot = Plot(say("money_by_day"), [_day(day) for day in days], series, Unit.USD, is_stacked=True)
    tiles = (
        Tile(say("money"), wording.amounts(cost.total)),
        _per_turn(cost, None, wording),
        Tile(say("turns"), wording.number(cost.turns)),
    )
    subtitle = say("days", cost.span.first, cost.span.last, cost.span.zone)
    return ReportPage(say("cost"), subtitle, tiles, [plot], [_model_table(cost, wording)])


def performance_page(performance: PerformanceReport, wording: Wording) -> ReportPage:
    """Return the page of performance, by day."""
    say = wording.say
    days, pages = list(performance.days), list(performance.days.values())
    labels = [_day(day) for day in days]
    latency = {
        name: [page.time(Times.REPLY).quantile(share) for page in pages]
        for name, share in {"p50": 0.5, "p95": 0.95, "p99": 0.99}.items()
    }
    answers = {say(source): [float(page.of(Count.ANSWERS).get(source, 0)) for page in pages] for source in AnswerSource}
    failures = {say(cause): [float(page.of(Count.FAILURES).get(cause, 0)) for page in pages] for cause in Cause}
    scores = {
        say(task): [mean.value if (mean := page.quality.get(task)) else None for page in pages]
        for task in (TaskName.STATE, TaskName.RESPONSE, TaskName.MESSAGE_TYPE)
    }
    plots = (
        Plot(say("latency_by_day"), labels, latency, Unit.MILLISECONDS),
        Plot(say("answers_by_day"), labels, answers, Unit.COUNT, is_stacked=True),
        Plot(say("failures_by_day"), labels, failures, Unit.COUNT, is_stacked=True),
        Plot(say("quality_by_day"), labels, scores, Unit.SCORE),
    )
    tiles = tuple(_performance_tiles(performance.total, performance.before, wording))
    tables = tuple(_performance_tables(performance.total, wording))
    return ReportPage(say("performance"), _span(performance, wording), tiles, plots, tables)


def anomaly_line(anomaly: Anomaly, wording: Wording) -> str:
    """Return one line: the figure outside its band, and the day."""
    shows: Mapping[str, Callable[[float], str]] = {
        "reply_p95_ms": wording.time,
        "failure_rate": wording.percent,
        "quality": lambda value: wording.number(value, 2),
    }
    show = shows.get(anomaly.figure, wording.usd)
    return wording.say(
        "anomaly_worse" if anomaly.is_worse else "anomaly_better",
        anomaly.day,
        wording.say(anomaly.figure),
        show(max(0.0, anomaly.band.low)),
        show(min(1.0, anomaly.band.high) if anomaly.figure in SHARES else anomaly.band.high),
        show(anomaly.value),
    )


def _performance_tiles(total: Page, before: Page, wording: Wording) -> list[Tile]:
    say = wording.say
    now, then = ({"reply_p95": found["reply_ms"]["p95"]} | found for found in (figures(total), figures(before)))

    def compared(name: str, shown: Callable[[Any], str], bad_above: float = math.inf) -> Tile:
        return Tile(say(name), shown(now[name]), say("before", shown(then[name])), is_bad=(now[name] or 0) > bad_above)

    objective = Tile(say("availability"), "–")
    if reached := availability(total):
        # With what is left of the error budget of this time.
        share, left = reached
        value = f"{wording.number(share * 100, 3)}\u00a0%"
        objective = Tile(say("availability"), value, say("budget_left", wording.percent(left)), is_bad=left < 0)
    score = Tile(say("nps"), wording.number(now["nps"]), say("scores", sum(now["ratings"].values())))
    return [
        compared("turns", wording.number),
        compared("reply_p95", wording.time, SLOW_FROM_MS),
        compared("failure_rate", wording.percent, FAILURES_ARE_BAD_FROM),
        objective,
        compared("quality", lambda score: wording.number(score, 2)),
        compared("escalated", wording.number),
        Tile(say("answered"), *_answers(total, wording)),
        *([score] if now["ratings"] else []),
    ]


def _performance_tables(total: Page, wording: Wording) -> list[Table]:
    say, found = wording.say, figures(total)
    times = [(say(name), found[f"{name}_ms"]) for name in Times] + [
        (say(task), one["ms"]) for task, one in found["tasks"].items()
    ]
    time_rows = [
        (name, wording.number(one["count"]), *(wording.time(one[share]) for share in ("p50", "p95", "p99")))
        for name, one in times
        if one["count"]
    ]
    task_rows = [
        (
            say(task),
            ", ".join(f"{name} {wording.number(number)}" for name, number in one["outcomes"].items()),
            wording.number(one["retries"]),
            wording.number(one["quality"], 2),
        )
        for task, one in found["tasks"].items()
    ]
    return [
        Table(say("times"), (say("what"), say("number"), "p50", "p95", "p99"), time_rows),
        Table(say("tasks"), (say("task"), say("outcomes"), say("retries"), say("quality")), task_rows),
        _count_table("causes", "cause", found["failures"], wording),
        _count_table("fallbacks", "reason", found["fallbacks"], wording),
        _count_table("states", "where", found["states"], wording),
    ]


def _count_table(title: str, column: str, counts: Mapping[str, int], wording: Wording) -> Table:
    rows = [(wording.say(name), wording.number(number)) for name, number in counts.items()]
    return Table(wording.say(title), (wording.say(column), wording.say("number")), rows)


def _model_table(cost: CostReport, wording: Wording) -> Table:
    say = wording.say
    columns = ("model_name", "calls", "tokens_in", "tokens_out", "cache_read", "money", "share")
    rows = [
        (
            line.name or "–",
            wording.number(line.amounts.calls),
            wording.number(line.amounts.input),
            wording.number(line.amounts.output),
            wording.number(line.amounts.cache_read),
            wording.amounts(line.amounts),
            wording.percent(None if (share := cost.share(line.amounts)) is None else float(share)),
        )
        for line in cost.lines
    ]
    return Table(say("by_model"), [say(column) for column in columns], rows)


def _per_turn(cost: CostReport, before: CostReport | None, wording: Wording) -> Tile:
    def per_turn(report: CostReport) -> str:
        return wording.usd(float(report.total.usd) / report.turns if report.turns else None)

    detail = wording.say("before", per_turn(before)) if before is not None else ""
    return Tile(wording.say("per_turn"), per_turn(cost), detail)


def _answers(page: Page, wording: Wording) -> tuple[str, str]:
    """Return the share of the model's answers, and those of the other sources."""
    answers, turns = page.of(Count.ANSWERS), page.turns
    if not turns:
        return "–", ""
    (first, most), *others = answers.items()
    details = [f"{wording.say(source)} {wording.percent(number / turns)}" for source, number in others]
    return wording.percent(most / turns), "\n".join([wording.say(first), *details])


def _span(performance: PerformanceReport, wording: Wording) -> str:
    span = performance.span
    return wording.say("days", span.first, span.last, span.zone)


def _day(day: date) -> str:
    return f"{day:%d/%m}"


# Slack shows this much of a message without a click.
DETAIL_LINES = 3


def digest_text(digest: Digest, wording: Wording) -> str:
    """Return the title, the anomalies, and the figures of the page, one a line, in Slack's markup."""
    page = digest_page(digest, wording)
    notices = [f":warning: {anomaly_line(one, wording)}" for one in digest.anomalies if one.is_worse]
    notices += [anomaly_line(one, wording) for one in digest.anomalies if not one.is_worse]
    if not digest.anomalies:
        notices = [notice.text for notice in page.notices]
    lines = [f"*{escaped(page.title)}* {escaped(page.subtitle)}", *notices]
    for tile in page.tiles:
        detail = "; ".join(tile.detail.split("\n")[:DETAIL_LINES])
        lines.append(escaped(f"• {tile.name}: {tile.value}" + (f" ({detail})" if detail else "")))
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Source: Slack, Formatting text for app surfaces: three characters have a meaning of their own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
