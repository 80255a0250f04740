"""`prosa shadow`: a share of live conversations through a candidate as well, with nothing sent and nothing changed.

The candidate has an engine of its own in this process: an inbox and a store in memory, platforms that send nothing, and
a clock that stands at the moment of each live turn. Of the live store it reads conversations that have been quiet for a
while, and writes one record of counts, without a word or a name, and what it cost.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import Field

from adapters.channels.registry import PLATFORMS
from adapters.clock import SystemClock
from adapters.http.access import Access
from cli.comparing import LIMITS, Kind, verdict
from cli.groups import CommandApp
from cli.output import AsJson, console, print_json, print_table
from cli.replay import candidate as candidate_settings
from cli.replay import offline
from cli.sandboxed import sandboxed
from cli.serving import listening_for_metrics, server_of, stop_signal
from cli.settings import read_settings
from cli.warming import SilentChannel
from contracts.conversation import Conversation, TurnRecord
from contracts.delivery import Record
from contracts.errors import ConfigurationError, TransientError
from contracts.ledger import BilledCall
from contracts.listing import ConversationQuery
from contracts.messages import InboundMessage, digest
from contracts.paging import all_conversations
from contracts.settings import Settings
from contracts.turn import TurnReason
from contracts.values import ConversationId, Instant, Kept
from contracts.views import turn_view
from observability.exposition import Exposition
from observability.logs import configure_logs, logger
from observability.metrics import SHADOW_DIFFERENCES, SHADOW_TURNS
from prompts.pricing.budget import DaySpending
from prompts.pricing.prices import ZERO, usd_text
from reports.budget import BudgetSync
from reports.ledger import Ledger, kept
from worker.backends import Backend, open_backend
from worker.bootstrap import Engine, open_engine
from worker.drain import drain
from worker.engines.health import Operation, create_app

log = logger(__name__)
app = CommandApp(add_completion=False)

COLLECTION = "shadow"
# A conversation in which nothing happened for so long is compared.
QUIET = timedelta(minutes=5)
MOST_TURNS = 40
SHARE_OF_CEILING = Decimal("0.05")
# What a turn came by besides the person's messages: an agent, a timer, another process. What follows is not repeated.
_NOT_REPEATED = frozenset(
    {
        *(TurnReason.RECORDED_ONLY, TurnReason.FLOODED, TurnReason.OLD, TurnReason.TOO_OLD, TurnReason.AGENT_OWNS_IT),
        *(TurnReason.AUTOMATON, TurnReason.ASKED_FOR_ASSISTANT, TurnReason.DEAD_LETTERED, TurnReason.BY_OPERATOR),
        *(TurnReason.REOPENED, TurnReason.TIMED_OUT, TurnReason.JOINED, TurnReason.PARTED, TurnReason.BUDGET_SPENT),
    }
)


@dataclass
class PlayedClock:
    """Clock that stands at the moment of the turn that is repeated."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        return self.at


class Tally(Kept):
    """Figures of one candidate: turns compared, differences by kind, tokens of both versions, its cost by day in USD.

    Conversations that were quiet before `until` are compared, or passed over for good. `share` is that of conversations
    in [0, 1]; `blocked` are the kinds that are beyond the limits of `prosa replay`.
    """

    until: Instant
    conversations: int = 0
    turns: int = 0
    counts: dict[Kind, int] = Field(default_factory=dict)
    tokens_before: int = 0
    tokens_after: int = 0
    spent_usd: dict[str, str] = Field(default_factory=dict)
    share: float = Field(0.0, exclude_if=lambda share: not share)
    blocked: tuple[Kind, ...] = Field((), exclude_if=lambda kinds: not kinds)

    def judged(self) -> "Tally":
        shares = {kind: count / self.turns for kind, count in self.counts.items() if self.turns}
        shares[Kind.TOKENS] = self.tokens_after / self.tokens_before - 1 if self.tokens_before else 0.0
        blocked = tuple(kind for kind in Kind if shares.get(kind, 0.0) > LIMITS[kind])
        return self.model_copy(update={"blocked": blocked})


@dataclass
class Shadow:
    """One candidate behind a live store. `budget` is in USD a day, `share` of the conversations in [0, 1]."""

    name: str
    candidate: Settings
    live: Backend
    ledger: Ledger
    spending: DaySpending
    share: float
    budget: Decimal
    counted: dict[ConversationId, datetime] = field(default_factory=dict)

    async def run_once(self, now: datetime) -> Tally:
        """Compare the conversations of the share that have come to rest since the last time; return all figures."""
        record = await self.live.store.records.get(COLLECTION, self.name, at=now)
        tally, until = Tally.model_validate(record.body) if record else Tally(until=now - QUIET), now - QUIET
        query = ConversationQuery(since=tally.until, until=until)
        heads = [
            head
            async for head in all_conversations(self.live.store.conversations, query)
            if not (head.apart or head.reminded)
            and head.turns <= MOST_TURNS
            and int(digest("shadow", head.id, size=4), 16) < self.share * 2**32
        ]
        if heads:
            clock, channels = PlayedClock(), {name: SilentChannel(platform) for name, platform in PLATFORMS.items()}
            async with (
                open_backend(self.candidate) as backend,
                open_engine(self.candidate, backend, clock=clock, channels=channels, flagged=False) as engine,
            ):
                for head in heads:
                    today = self.spending.day().isoformat()
                    if Decimal(tally.spent_usd.get(today, "0")) >= self.budget or self.spending.share >= 1:
                        break
                    before, after, cost = await self._repeated(head, engine, backend, clock)
                    tally = self._counted(tally, before, after, cost, today)
                    self.counted[head.id] = before[-1].at if before else now
        tally = tally.model_copy(update={"until": until, "share": self.share}).judged()
        body, version = tally.model_dump(mode="json"), record.version if record else 0
        await self.live.store.records.put(
            Record(collection=COLLECTION, key=self.name, version=version, body=body, updated_at=now)
        )
        return tally

    async def _repeated(
        self, head: Conversation, engine: Engine, backend: Backend, clock: PlayedClock
    ) -> tuple[list[TurnRecord], list[TurnRecord], Decimal]:
        """Repeat the turns as far as messages made them; return both versions of new ones, and the cost in USD."""
        conversations = self.live.store.conversations
        messages: dict[str, list[InboundMessage]] = {}
        for receipt in await conversations.receipts(head.id):
            messages.setdefault(receipt.turn_id, []).append(receipt.message)
        before, after, cost = list[TurnRecord](), list[TurnRecord](), ZERO
        since = self.counted.get(head.id)
        for turn in await conversations.turns(head.id):
            said = messages.get(turn.id, [])
            if not said or turn.reason in _NOT_REPEATED or any(one.media or one.is_recorded_only for one in said):
                break
            clock.at = turn.at
            await backend.inbox.append([one.model_copy(update={"conversation_id": head.id}) for one in said])
            await drain(head.id, engine.drain)
            repeated = (await backend.store.conversations.turns(head.id))[-1:]
            if not repeated or repeated[0].message_ids[:1] != turn.message_ids[:1]:
                break
            self.ledger.book_apart(BilledCall.of(repeated[0].tasks), line=turn.business_line)
            cost += Decimal(repeated[0].cost_usd or 0)
            if since is None or turn.at > since:
                before.append(turn)
                after += repeated
        self.spending.add(cost)
        return before, after, cost

    def _counted(
        self, tally: Tally, before: list[TurnRecord], after: list[TurnRecord], cost: Decimal, today: str
    ) -> Tally:
        found = verdict(map(turn_view, before), map(turn_view, after))
        SHADOW_TURNS.inc(len(after))
        for kind, count in found.counts.items():
            SHADOW_DIFFERENCES.labels(kind=kind.value).inc(count)
        spent = tally.spent_usd | {today: usd_text(Decimal(tally.spent_usd.get(today, "0")) + cost)}
        return tally.model_copy(
            update={
                "conversations": tally.conversations + bool(after),
                "turns": tally.turns + len(after),
                "counts": dict(Counter(tally.counts) + Counter(found.counts)),
                "tokens_before": tally.tokens_before + sum(sum(dict(turn.tokens).values()) for turn in before),
                "tokens_after": tally.tokens_after + sum(sum(dict(turn.tokens).values()) for turn in after),
                "spent_usd": spent,
            }
        )


@asynccontextmanager
async def open_shadow(settings: Settings, folder: Path, *, share: float, budget: Decimal) -> AsyncIterator[Shadow]:
    """Open a candidate behind the live store; what it costs counts in the live ledger and against the day's ceiling."""
    clock, writer = SystemClock(), f"shadow-{uuid4().hex[:8]}"
    apart = {"engine": "embedded", "store": "sqlite::memory:", "media": "off", "budget_day_usd": None}
    async with (
        sandboxed(offline(candidate_settings(folder, settings)).model_copy(update=apart)) as (candidate, _),
        open_backend(settings) as live,
    ):
        spending = DaySpending(settings.budget_day_usd, today=lambda: clock.now().astimezone(settings.zone).date())
        ledger = Ledger(live.store.records, writer=writer, clock=clock)
        async with kept(ledger, BudgetSync(live.store.records, spending, writer=writer, clock=clock)):
            yield Shadow(folder.name, candidate, live, ledger, spending, share, budget)


@app.command()
async def shadow(
    folder: Annotated[Path, typer.Argument(help="The candidate: institution/, prompts/ or .env.")],
    share: Annotated[float, typer.Option(min=0, max=1, help="Of the conversations.")] = 0.05,
    budget_usd: Annotated[
        float | None, typer.Option(min=0, help="USD a day; default: a twentieth of PROSA_BUDGET_DAY_USD.")
    ] = None,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 60,
    once: Annotated[bool, typer.Option("--once", help="Look once, print the figures, end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a share of live conversations through a candidate too, unsent, and count what differs, by kind."""
    settings = read_settings()
    configure_logs(level="WARNING", project=settings.google_cloud_project, lasting=not once)
    budget = settings.budget_day_usd * SHARE_OF_CEILING if settings.budget_day_usd else None
    budget = Decimal(str(budget_usd)) if budget_usd is not None else budget
    if budget is None:
        raise ConfigurationError("say --budget-usd, or set PROSA_BUDGET_DAY_USD, of which a twentieth is taken")
    stop, tally = asyncio.create_task(stop_signal()), Tally(until=SystemClock().now())
    async with open_shadow(settings, folder, share=share, budget=budget) as opened, _metrics(settings, opened.live):
        while True:
            try:
                tally = await opened.run_once(SystemClock().now())
            except TransientError as exc:
                if once:
                    raise
                log.warning("shadow.late", error=type(exc).__name__)
            if once or (await asyncio.wait({stop}, timeout=every))[0]:
                break
    if as_json:
        print_json(tally.model_dump(mode="json"))
        return
    counts = tally.counts
    rows = [(kind, counts[kind], f"{counts[kind] / tally.turns:.1%}") for kind in Kind if kind in counts]
    print_table(("kind", "turns", "share"), rows, empty="No turn differs.")
    spent = ", ".join(f"{day} USD {usd}" for day, usd in tally.spent_usd.items()) or "nothing"
    console.print(f"{tally.turns} turns of {tally.conversations} conversations; spent: {spent}")
    console.print(f"tokens: {tally.tokens_before} before, {tally.tokens_after} after")
    console.print(f"beyond the limits of prosa replay: {', '.join(tally.blocked) or 'none'}")


@asynccontextmanager
async def _metrics(settings: Settings, live: Backend) -> AsyncIterator[None]:
    """Answer `/metrics` where PROSA_METRICS_PORT is set."""
    if (listener := listening_for_metrics(settings)) is None:
        yield
        return
    exposition = Exposition(live.inbox, live.store, SystemClock())
    operation = Operation(live.store.ping, exposition.text, Access(settings.console_keys, settings.console_proxy))
    async with server_of(create_app(*operation.routes())).running(listener):
        yield
