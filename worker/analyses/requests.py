"""Requests for analyses, and their results: by the HTTP side, a command, or the worker itself."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from contracts.analysis import COLLECTION, Analysis, AnalysisContext, AnalysisKind, AnalysisStatus, Filed, family
from contracts.errors import ConversationMovedError, StoreUnavailableError
from contracts.paging import all_records
from contracts.ports import Clock, Records, Store, WakeUps
from contracts.settings import Settings
from contracts.values import ConversationId
from observability.logs import logger
from observability.metrics import ANALYSES

log = logger(__name__)

REQUEST_ATTEMPTS = 5
# Left to the worker that the queue wakes, before the sweep looks by itself.
WOKEN = timedelta(seconds=5)


@dataclass(frozen=True)
class AnalysisRequests:
    """Satisfies the `Analyses` port. `label` gives a kind's template, `institution_version` what is in force.

    Without a queue no worker is woken, and the sweep finds what was asked for.
    """

    store: Store
    clock: Clock
    model: str
    label: Callable[[AnalysisKind], str]
    institution_version: Callable[[], Awaitable[str]]
    queue: WakeUps | None = None

    async def request(self, conversation_id: ConversationId, kind: AnalysisKind) -> Analysis | None:
        head = await self.store.conversations.load(conversation_id)
        if head is None or head.turns == 0:
            return None
        if head.moved_to is not None:
            raise ConversationMovedError(f"{conversation_id} is in {head.moved_to} now")
        context = AnalysisContext(
            kind=kind,
            conversation_id=head.id,
            conversation_version=head.version,
            template=self.label(kind),
            model=self.model,
            institution_version=await self.institution_version(),
        )
        for _ in range(REQUEST_ATTEMPTS):
            at = self.clock.now()
            record = await self.store.records.get(COLLECTION, context.id, at=at)
            known = Filed.of(record).analysis if record else None
            if known is not None and known.status is not AnalysisStatus.FAILED:
                ANALYSES.labels(kind=kind.value, outcome="known").inc()
                return known
            asked = Analysis(context=context, requested_at=at)
            due_at = at + WOKEN if self.queue else at
            if await self.store.records.put(
                Filed.new(asked, version=record.version if record else 0, due_at=due_at).record
            ):
                ANALYSES.labels(kind=kind.value, outcome="asked").inc()
                log.info("analysis.asked", analysis_id=asked.id, conversation_id=conversation_id, kind=kind.value)
                if self.queue is not None:
                    await self.queue.analyse(asked.id)
                return asked
            # Either another caller asked in this moment, or what has expired is still in the way.
            await self.store.records.prune(at=at)
        raise StoreUnavailableError("the analysis kept changing")

    async def find(self, analysis_id: str) -> Analysis | None:
        record = await self.store.records.get(COLLECTION, analysis_id, at=self.clock.now())
        return Filed.of(record).analysis if record else None

    async def newest(self, conversation_id: ConversationId, kind: AnalysisKind) -> Analysis | None:
        mine = family(conversation_id, kind)
        found = await self.store.records.page(COLLECTION, at=self.clock.now(), after=mine, limit=1)
        return Filed.of(found[0]).analysis if found and found[0].key.startswith(mine) else None


def desk_without_engine(settings: Settings, store: Store, clock: Clock, queue: WakeUps) -> AnalysisRequests:
    """The desk of a process that thinks about nothing: the templates are read when they are first asked for."""

    @cache
    def label(kind: AnalysisKind) -> str:
        from prompts.templating.registry import PromptRegistry, versions_for

        versions = versions_for(
            PromptRegistry.read(own=settings.templates),
            choice=settings.use_templates,
            structured=settings.use_structured_templates,
        )
        return versions.for_everybody(kind.value).label

    async def institution_version() -> str:
        institution = await store.institutions.current()
        return institution.version if institution else ""

    return AnalysisRequests(
        store=store,
        clock=clock,
        model=settings.model_analysis,
        label=label,
        institution_version=institution_version,
        queue=queue,
    )


async def analyses_of(conversation_id: ConversationId, records: Records, *, at: datetime) -> list[Analysis]:
    """Everything that was asked about one conversation and has not expired."""
    found = all_records(records, COLLECTION, at=at, prefix=family(conversation_id))
    return [Filed.of(record).analysis async for record in found]
