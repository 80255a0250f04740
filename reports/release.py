"""Judgement of a new revision: against fixed limits, and against the revisions that run with it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flags.experiments.statistics import Count, newcombe, wilson

# The short window finds what breaks at once, the whole watch what is a little too much for long.
WINDOW = timedelta(minutes=3)
# The others are compared by a longer time: at the last step they get no traffic any more.
BESIDE = timedelta(hours=1)
LIMIT = 0.05
# A share is over a limit when this interval of Wilson is; a limit is looked at sixty times an hour, so 95 % is too few.
LIMIT_LEVEL, DIFFERENCE_LEVEL = 0.99, 0.999
# Fewer are no sample; a difference that small is none.
FEWEST, SMALLEST_DIFFERENCE = 10, 0.02
DEEPEST_INBOX, LONGEST_WAIT_SECONDS = 1000, 60
# So many looks in a row: one late or odd point of a gauge decides nothing, a revision that is not seen fails.
DEEP_LOOKS, UNSEEN_LOOKS = 2, 3

Figures = Callable[[Mapping[str, str]], Awaitable[Mapping[str, float]]]


@dataclass(frozen=True)
class Share:
    """A share of events in PromQL: `hits` among those of the counter `events`.

    Without a `limit` only its difference to the other revisions counts. `needs` are further series without which it
    would come out too high.
    """

    name: str
    events: str
    hits: str
    limit: float | None = LIMIT
    needs: tuple[str, ...] = ()

    def queries(self, of: str, window: timedelta) -> dict[str, str]:
        span = f"[{window.total_seconds():.0f}s]"
        queries = {"hits": self.hits, "events": f"sum(increase({self.events}[]))"}
        queries |= {f"samples {one}": f"max(count_over_time({series}[]))" for one, series in enumerate(self._series())}
        return {f"{self.name} {name}": query.replace("[]", span).replace("OF", of) for name, query in queries.items()}

    def count(self, figures: Mapping[str, float]) -> Count | None:
        """Return the hits among the events; None without events, or where one of the series is late."""
        hits, events = figures.get(f"{self.name} hits", 0.0), round(figures.get(f"{self.name} events", 0.0))
        samples = [figures.get(f"{self.name} samples {one}", 0.0) for one in range(len(self._series()))]
        if events < 1 or min(samples) < WHOLE * max(samples):
            return None
        # `increase` extrapolates each series for itself.
        return Count(max(0, min(round(hits), events)), events)

    def _series(self) -> tuple[str, ...]:
        return (PROCESSES, self.events, *self.needs)


PROCESSES = "process_start_time_seconds{OF}"
# A series is whole with so many of the samples that the process has sent.
WHOLE = 0.9
TURNS = 'worker_turns_total{outcome=~"replied|silent",OF}'
FAILURES = '"model_unavailable|model_output_unusable|budget|gate|canonical_answer"'
REPLIES, QUICK = "worker_reply_seconds_count{OF}", 'worker_reply_seconds_bucket{le=~"5|5.0",OF}'
SHARES = (
    Share(
        "answers 5xx", "webhook_ack_seconds_count{OF}", 'sum(increase(webhook_ack_seconds_count{answer="5xx",OF}[]))'
    ),
    Share(
        "failed turns",
        TURNS,
        f"(sum(increase(worker_fallbacks_total{{reason=~{FAILURES},OF}}[])) or vector(0))"
        ' + (sum(increase(worker_dead_letters_total{reason=~"attempts|permanent",OF}[])) or vector(0))',
    ),
    # p95 above 5 s is a share above 5 % of replies that took longer: a proportion, with an interval of its own.
    Share("replies over 5 s", REPLIES, f"sum(increase({REPLIES}[])) - sum(increase({QUICK}[]))", needs=(QUICK,)),
    Share("hand-offs", TURNS, 'sum(increase(fsm_transitions_total{trigger="escalate",OF}[]))', limit=None),
)
REPLY_P95 = "histogram_quantile(0.95, sum by (le) (increase(worker_reply_seconds_bucket{OF}[3m])))"


@dataclass(frozen=True)
class Look:
    """Observation of one moment; a share without a sample is missing, a gauge without a value is None.

    `short` and `whole` are shares of the new revision in the last minutes and since the watch began.
    """

    at: datetime
    processes: int
    short: Mapping[str, Count]
    whole: Mapping[str, Count]
    beside: Mapping[str, Count]
    reply_p95_seconds: float | None
    inbox: float | None
    oldest_seconds: float | None

    def view(self) -> dict[str, object]:
        rates = {name: {"hits": count.hits, "of": count.people} for name, count in self.short.items()}
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "processes": self.processes,
            "last_minutes": rates,
            "beside": {name: round(count.rate, 4) for name, count in self.beside.items()},
            "reply_p95_seconds": self.reply_p95_seconds,
            "inbox": self.inbox,
            "oldest_seconds": self.oldest_seconds,
        }

    def text(self) -> str:
        shares = [f"{name} {count.hits}/{count.people}" for name, count in self.short.items()] or ["no traffic"]
        p95 = "" if self.reply_p95_seconds is None else f", p95 {self.reply_p95_seconds:.1f} s"
        inbox = "unknown" if self.inbox is None else f"{self.inbox:.0f}"
        return f"{self.at:%H:%M} {self.processes} processes, {', '.join(shares)}{p95}, inbox {inbox}"


@dataclass(frozen=True)
class Matchers:
    """Label matchers of PromQL: of the new revision, of the others, and what all of them share."""

    new: str
    others: str
    all: str = ""


async def look(figures: Figures, matchers: Matchers, *, at: datetime, since: datetime) -> Look:
    """Ask for everything of one moment."""
    whole = max(at - since, WINDOW)
    gauges = {
        # Over two minutes: a server of metrics goes on giving the last sample of a process that is gone.
        "processes": f"count(count_over_time({PROCESSES.replace('OF', matchers.new)}[2m]))",
        "p95": REPLY_P95.replace("OF", matchers.new),
        "inbox": f"max(inbox_messages_waiting{{{matchers.all}}})",
        "oldest": f"max(inbox_oldest_waiting_seconds{{{matchers.all}}})",
    }
    found = await figures(gauges)
    short = await _counts(figures, matchers.new, WINDOW)
    return Look(
        at=at,
        processes=round(found.get("processes", 0)),
        short=short,
        whole=await _counts(figures, matchers.new, whole) if whole > WINDOW else short,
        beside=await _counts(figures, matchers.others, max(whole, BESIDE)),
        reply_p95_seconds=found.get("p95"),
        inbox=found.get("inbox"),
        oldest_seconds=found.get("oldest"),
    )


async def _counts(figures: Figures, of: str, window: timedelta) -> dict[str, Count]:
    found = await figures({name: query for share in SHARES for name, query in share.queries(of, window).items()})
    counts = {share.name: share.count(found) for share in SHARES}
    return {name: count for name, count in counts.items() if count is not None}


def refusal(looks: list[Look | None]) -> str | None:
    """Return why the revision must go back, by all looks so far (None: the server of metrics did not answer)."""
    last = looks[-1]
    if len(looks) >= UNSEEN_LOOKS and all(one is None or not one.processes for one in looks[-UNSEEN_LOOKS:]):
        return f"no metrics of the revision for {UNSEEN_LOOKS} looks: it cannot be judged"
    if last is None:
        return None
    for share in SHARES:
        beside = last.beside.get(share.name)
        for count in (last.short.get(share.name), last.whole.get(share.name)):
            if count is None or count.people < FEWEST:
                continue
            if share.limit is not None and wilson(count, LIMIT_LEVEL).low > share.limit:
                found = f"{count.hits} of {count.people} ({count.rate:.1%})"
                return f"{share.name}: {found}, limit {share.limit:.0%}"
            if beside is None or beside.people < FEWEST:
                continue
            if newcombe(beside, count, DIFFERENCE_LEVEL).low > SMALLEST_DIFFERENCE:
                found = f"{count.rate:.1%} of {count.people}"
                return f"{share.name}: {found}, beside it {beside.rate:.1%} of {beside.people}"
    deep = [
        one is not None and ((one.inbox or 0) > DEEPEST_INBOX or (one.oldest_seconds or 0) > LONGEST_WAIT_SECONDS)
        for one in looks[-DEEP_LOOKS:]
    ]
    if len(deep) == DEEP_LOOKS and all(deep):
        return f"{last.inbox or 0:.0f} messages wait, the oldest for {last.oldest_seconds or 0:.0f} s"
    return None
