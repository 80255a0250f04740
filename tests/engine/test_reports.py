"""Reports from the ledgers: sums by day, against the time before, and what left its band; on every backend."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from contracts.errors import ConfigurationError
from contracts.performance import Count, Times
from contracts.ports import Inbox, Store
from reports.baseline import Baseline, collect, compare
from reports.cost import Span
from reports.digest import Band, Period
from reports.performance import figures, performance_report
from reports.render.page import digest_text
from reports.render.words import Wording, phrases
from reports.reporting import Reporting
from tests.builders import BACKENDS, SteppingClock, inbound, memory_inbox, memory_store, open_backend, pyloto
from tests.reporting import Kind, book
from webhook.console.rendering import standalone

NAMES = ("status", "daily", "weekly", "cost", "performance")

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Inbox, Store]]:
    async with open_backend(request.param, tmp_path) as opened:
        yield opened


def reporting(store: Store, inbox: Inbox | None = None, at: datetime = NOON, ceiling: str | None = None) -> Reporting:
    zone = UTC
    return Reporting(inbox or memory_inbox(), store, SteppingClock(at), zone, Decimal(ceiling) if ceiling else None)


async def test_days_are_added_up_and_set_against_those_before(backend: tuple[Inbox, Store]) -> None:
    """By two processes, on every backend."""
    _, store = backend
    await book(store, {NOON - 2 * DAY: Kind(turns=4), NOON - DAY: Kind(turns=5, failed=1)})
    await book(store, {NOON - DAY: Kind(turns=3, reply_ms=4_000), NOON: Kind(turns=2)}, writer="another")
    span = Span(TODAY - DAY, TODAY, UTC)
    report = await performance_report(store.records, span, at=NOON)
    assert {day: page.turns for day, page in report.days.items()} == {TODAY - DAY: 8, TODAY: 2}
    assert report.before.turns == 4
    yesterday = figures(report.days[TODAY - DAY])
    assert yesterday["failures"] == {"model_unavailable": 1}
    assert yesterday["failure_rate"] == 0.125
    assert yesterday["answers"] == {"model": 7, "fallback": 1}
    assert yesterday["reply_ms"]["count"] == 7
    assert yesterday["reply_ms"]["p99"] == pytest.approx(4_000, rel=0.02)
    assert yesterday["tasks"]["state"]["retries"] == 3
    assert yesterday["engine_ms"]["p50"] == pytest.approx(10, rel=0.02)


async def test_days_begin_in_the_institution_s_zone() -> None:
    store = memory_store()
    zone = ZoneInfo("America/Sao_Paulo")
    late = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
    await book(store, {late: Kind(turns=1), late + timedelta(hours=1): Kind(turns=2)})
    report = await performance_report(store.records, Span(date(2026, 11, 19), date(2026, 11, 20), zone), at=NOON)
    assert [page.turns for page in report.days.values()] == [1, 2]


async def test_many_shards_are_all_read() -> None:
    store = memory_store()
    for writer in range(205):
        await book(store, {NOON: Kind(turns=1)}, writer=f"w{writer}")
    report = await performance_report(store.records, Span(TODAY, TODAY, UTC), at=NOON)
    assert report.total.turns == 205


async def test_the_first_five_numbers() -> None:
    inbox, store = memory_inbox(), memory_store()
    await book(
        store, {NOON - timedelta(hours=3): Kind(turns=50), NOON - timedelta(minutes=30): Kind(turns=8, failed=2)}
    )
    await inbox.append([inbound(at=NOON - timedelta(seconds=90)), inbound(at=NOON - timedelta(seconds=5))])
    view = (await reporting(store, inbox, ceiling="0.1").status()).view()
    assert view["unanswered"] == {
        "older_than_a_minute": 1,
        "oldest_seconds": 90.0,
        "waiting": 2,
        "replies_unsent": 0,
    }
    assert view["reply_ms"]["count"] == 6
    assert view["reply_ms"]["p95"] == pytest.approx(1_000, rel=0.02)
    assert view["failures"] == {"rate": 0.25, "by_cause": {"model_unavailable": 2}, "turns": 8}
    # Money is of the whole day.
    assert view["money"] == {"today_usd": "0.056", "unknown_price_calls": 0, "ceiling_usd": "0.1", "share": 0.56}
    assert view["answers"] == {"model": {"turns": 6, "share": 0.75}, "fallback": {"turns": 2, "share": 0.25}}


async def test_the_numbers_of_an_installation_that_has_done_nothing() -> None:
    view = (await reporting(memory_store()).status()).view()
    assert view["reply_ms"] == {"count": 0, "p50": None, "p95": None, "p99": None}
    assert view["failures"]["rate"] is None
    assert view["answers"] == {}
    assert view["money"]["share"] is None


async def fortnight(store: Store, last: Kind) -> None:
    usual = {NOON - number * DAY: Kind(turns=10 + number % 3) for number in range(2, 16)}
    await book(store, usual | {NOON - DAY: last})


async def test_a_day_like_the_others_is_within_its_bands() -> None:
    store = memory_store()
    await fortnight(store, Kind(turns=11))
    found = await reporting(store).digest(Period.DAILY)
    assert found.span == Span(TODAY - DAY, TODAY - DAY, UTC)
    assert found.anomalies == ()
    assert found.cost.turns == 11


@pytest.mark.parametrize(
    ("day", "figures", "is_worse"),
    [
        (Kind(turns=11, usd="0.004"), {"cost_usd", "cost_per_turn_usd"}, True),
        (Kind(turns=11, usd="0.0001"), {"cost_usd", "cost_per_turn_usd"}, False),
        (Kind(turns=11, reply_ms=9_000), {"reply_p95_ms"}, True),
        (Kind(turns=11, quality=0.5), {"quality"}, True),
        (Kind(turns=200), {"cost_usd"}, True),
    ],
)
async def test_what_leaves_its_band_is_told(day: Kind, figures: set[str], is_worse: bool) -> None:
    store = memory_store()
    await fortnight(store, day)
    found = await reporting(store).digest(Period.DAILY)
    assert {one.figure for one in found.anomalies} == figures
    assert {one.is_worse for one in found.anomalies} == {is_worse}
    assert found.anomalies[0].band.low < found.anomalies[0].band.middle < found.anomalies[0].band.high


async def test_a_day_without_turns_is_not_called_usual() -> None:
    store = memory_store()
    await fortnight(store, Kind(turns=0))
    page = await reporting(store).page("daily", language="en")
    assert page is not None
    assert [notice.text for notice in page.notices] == ["No turn in this time; there is nothing to compare."]


async def test_failures_leave_their_band_upwards() -> None:
    store = memory_store()
    await fortnight(store, Kind(turns=11, failed=3))
    assert "failure_rate" in {one.figure for one in (await reporting(store).digest(Period.DAILY)).anomalies}


def test_few_days_have_no_band() -> None:
    assert Band.of([1.0] * 6) is None
    band = Band.of([1.0] * 7)
    assert band
    assert (band.low, band.high) == (pytest.approx(0.8), pytest.approx(1.2))


async def test_a_week_is_seven_days_against_the_seven_before() -> None:
    store = memory_store()
    await book(store, {NOON - number * DAY: Kind(turns=number) for number in range(1, 15)})
    found = await reporting(store).digest(Period.WEEKLY)
    assert (found.span.first, found.span.last) == (TODAY - 7 * DAY, TODAY - DAY)
    assert found.performance.total.turns == sum(range(1, 8))
    assert found.performance.before.turns == sum(range(8, 15))
    assert found.cost.turns == sum(range(1, 8))
    assert found.cost_before.turns == sum(range(8, 15))


class Elements(HTMLParser):
    """Every element that was opened is closed, in order."""

    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.seen: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.EMPTY:
            self.opened.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("language", ["pt-BR", "en"])
async def test_every_page_is_whole_and_loads_nothing(name: str, language: str) -> None:
    store = memory_store()
    await fortnight(store, Kind(turns=11, failed=3, usd="0.01"))
    page = await reporting(store).page(name, language=language)
    assert page
    text = standalone(page, language)
    elements = Elements()
    elements.feed(text)
    assert elements.opened == []
    assert not {"link", "img", "iframe"} & set(elements.seen)
    assert not {"style", "src", "onclick", "onload"} & elements.attributes
    assert f'lang="{language}"' in text
    assert phrases("pt" if language == "pt-BR" else "en")[name] == page.title
    assert ("data-plot" in elements.attributes) is ("script" in elements.seen) is (name != "status")
    assert all(len(values) == len(plot.labels) for plot in page.plots for values in plot.series.values())


async def test_a_page_of_nothing_is_a_page_too() -> None:
    for name in NAMES:
        assert await reporting(memory_store()).page(name, language="en")
    assert await reporting(memory_store()).page("nothing", language="en") is None
    assert await reporting(memory_store()).view("nothing") is None


async def test_a_page_is_of_the_days_that_are_asked_for() -> None:
    store = memory_store()
    await book(store, {NOON - number * DAY: Kind(turns=number) for number in (3, 4, 5)})
    days = {"first": TODAY - 5 * DAY, "last": TODAY - 4 * DAY}
    page = await reporting(store).page("cost", language="en", **days)
    assert page is not None
    assert page.plots[0].labels == ["15/11", "16/11"]
    assert (await reporting(store).view("performance", **days) or {})["total"]["turns"] == 9


async def test_every_view_is_json_without_a_word_of_anybody() -> None:
    store = memory_store()
    await fortnight(store, Kind(turns=11, failed=3))
    for name in NAMES:
        text = orjson.dumps(await reporting(store).view(name)).decode()
        assert "c-1" not in text
        assert "Certo" not in text


def test_both_languages_say_the_same_things() -> None:
    assert phrases("pt").keys() == phrases("en").keys()
    for name, phrase in phrases("pt").items():
        assert phrase.count("{") == phrases("en")[name].count("{"), name


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("pt-BR", ("1.234,5", "12,3\u00a0%", "1.234,50", "0,000123", "999 ms", "1,50 s", "2,5 min", "–")),
        ("en", ("1,234.5", "12.3\u00a0%", "1,234.50", "0.000123", "999 ms", "1.50 s", "2.5 min", "–")),
    ],
)
def test_numbers_are_written_as_the_language_writes_them(language: str, expected: tuple[str, ...]) -> None:
    wording = Wording(language)
    assert (
        wording.number(1_234.5, 1),
        wording.percent(0.1234),
        wording.usd(1_234.5),
        wording.usd(0.000123),
        wording.time(999),
        wording.time(1_500),
        wording.time(150_000),
        wording.time(None),
    ) == expected


async def test_the_text_for_the_team_says_what_left_its_band_first() -> None:
    store = memory_store()
    await store.institutions.publish(pyloto(), at=NOON)
    await fortnight(store, Kind(turns=11, usd="0.01"))
    found = reporting(store)
    text = digest_text(await found.digest(Period.DAILY), await found.wording())
    title, warning, *_ = text.splitlines()
    assert title.startswith("*Relatório do dia* De 2026-11-19")
    assert warning.startswith(":warning: 2026-11-19: gasto")
    assert "• Turnos: 11 (antes: 12)" in text


async def test_a_baseline_is_kept_and_compared(tmp_path: Path) -> None:
    store, path = memory_store(), tmp_path / "before.json"
    await book(store, {NOON - 2 * DAY: Kind(turns=150, usd="0.002"), NOON: Kind(turns=20, usd="0.001", failed=2)})
    switches = {"PROMPTER_USE_CACHE": False}
    before = Span(TODAY - 2 * DAY, TODAY - 2 * DAY, UTC)
    then = await collect(store, before, switches, at=NOON)
    then.save(path)
    assert Baseline.read(path) == then
    now = await collect(store, Span(TODAY, TODAY, UTC), {"PROMPTER_USE_CACHE": True}, at=NOON)
    differences = {one.name: one for one in compare(Baseline.read(path), now)}
    cost = differences["cost_per_turn_usd"]
    assert (cost.then.value, cost.now.value, cost.change) == (0.002, 0.001, -0.5)
    assert (cost.then.behind, cost.now.behind, cost.is_thin) == (150, 18, True)
    assert differences["failure_rate"].now.value == 0.1
    assert differences["failure_rate"].change is None
    assert differences["quality"].change == 0


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 2}'])
def test_a_file_that_is_no_baseline_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"b\.json"):
        Baseline.read(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Baseline.read(tmp_path / "none.json")


async def test_latency_is_booked_where_the_reply_went_out() -> None:
    store = memory_store()
    await book(store, {NOON: Kind(turns=3)})
    page = (await performance_report(store.records, Span(TODAY, TODAY, UTC), at=NOON)).total
    assert page.time(Times.REPLY).count == 3
    assert page.of(Count.STATES) == {"AWAITING_USER": 3}
