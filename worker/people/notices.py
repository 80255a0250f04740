"""Telling the team: hand-offs by Slack and e-mail, chosen events by signed webhook.

A notice is a record of the commit that brings it about, so that a crash loses none. A worker claims it by
compare-and-set, sends it and drops it; a hand-off is due again while it waits for an agent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from contracts.analysis import AnalysisKind
from contracts.backoff import Backoff
from contracts.conversation import Conversation, Owner, State, Trigger
from contracts.delivery import Record, TurnCommit
from contracts.errors import TransientError, family_of
from contracts.institution import Institution
from contracts.links import unlinked
from contracts.messages import DeliveryState, digest
from contracts.notices import COLLECTION, KEPT_FOR, Notice, NoticeEvent, NoticeMessage, NoticeTarget, handoff_brief
from contracts.paging import thread_of
from contracts.ports import Clock, Faults, Store
from contracts.settings import Settings
from contracts.turn import TurnReason
from observability.logs import logger
from observability.metrics import BACKGROUND_ERRORS, NOTICE_SECONDS, NOTICES
from worker.analyses.requests import analyses_of

log = logger(__name__)

LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 20
# A claim outlasts the time that any receiver has for its answer.
LEASE = timedelta(seconds=30)
BACKOFF = Backoff(timedelta(seconds=2), timedelta(minutes=10))
# The last attempt comes about an hour after the first.
ATTEMPTS = 14
LONGEST_REPEAT = timedelta(hours=24)
LAST_LINES = 6

Send = Callable[[NoticeMessage], Awaitable[None]]
"""Sends a notice to one receiver. Raises `TransientError` when it was not taken."""


@dataclass(frozen=True)
class Notices:
    """Events of commits for the receivers that are set up; `chosen` are those of the webhook."""

    targets: frozenset[NoticeTarget] = frozenset()
    chosen: frozenset[NoticeEvent] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Notices":
        given = {
            NoticeTarget.SLACK: settings.notify_slack_url,
            NoticeTarget.EMAIL: settings.notify_email,
            NoticeTarget.WEBHOOK: settings.notify_url,
            NoticeTarget.HELP_DESK: any(one.is_help_desk for one in settings.channels),
        }
        targets = frozenset(target for target, address in given.items() if address)
        return cls(targets, frozenset(map(NoticeEvent, settings.notify_event_names)))

    def noted(self, commit: TurnCommit, *, forms: Sequence[dict[str, Any]] = ()) -> TurnCommit:
        """Return the commit with the notices of its events, and of the `forms` that it completes."""
        events = [*_events(commit), *((NoticeEvent.FORM, form) for form in forms)]
        records = [record for event, data in events for record in self.records(commit, event, data)]
        return commit.model_copy(update={"records": (*commit.records, *records)}) if records else commit

    def records(self, commit: TurnCommit, event: NoticeEvent, data: dict[str, Any]) -> Iterator[Record]:
        """Yield the notices of an event, for a commit that brings it about."""
        head = commit.conversation
        at = commit.turn.at if commit.turn else head.updated_at
        assert at is not None  # noqa: S101 - a commit with events has a turn
        for target in sorted(self.targets):
            # A line that calls the webhook with its form is asked for by that line.
            is_chosen = event in self.chosen or event is NoticeEvent.FORM
            is_wanted = is_chosen if target is NoticeTarget.WEBHOOK else event is NoticeEvent.HAND_OFF
            if is_wanted:
                notice = Notice(event=event, target=target, conversation_id=head.id, data=data, at=at)
                yield notice.record(f"{head.id}/v{head.version}")


NO_NOTICES = Notices()


def _events(commit: TurnCommit) -> Iterator[tuple[NoticeEvent, dict[str, Any]]]:
    for move in commit.transitions:
        if move.dest is State.ESCALATING is not move.source and move.trigger is not Trigger.TAKE:
            yield NoticeEvent.HAND_OFF, {"reason": move.metadata.get("reason", "")}
        if move.trigger is Trigger.HAND_BACK:
            yield NoticeEvent.HAND_BACK, {"reason": move.metadata.get("reason"), "by": move.metadata.get("agent")}
    if commit.turn is not None and commit.turn.reason == TurnReason.OPTED_OUT:
        yield NoticeEvent.OPT_OUT, {}
    replies = [row for row in commit.outbox if row.state is DeliveryState.PENDING]
    if replies:
        said = [{"text": row.message.text, "type": row.message.type, "author": row.author} for row in replies]
        yield NoticeEvent.REPLY, {"messages": said}


@dataclass(frozen=True)
class NoticeDelivery:
    """Sending of due notices. `again` is the time after which a hand-off without an agent is announced again."""

    store: Store
    institution: Callable[[], Institution]
    clock: Clock
    faults: Faults
    chance: Callable[[], float]
    receivers: Mapping[NoticeTarget, Send] = field(default_factory=dict)
    again: timedelta = timedelta(minutes=10)
    public_url: str = ""

    async def run(self) -> None:
        """Send what is due until cancelled; an unavailable store is asked again later."""
        while self.receivers:
            sent = 0
            try:
                sent = await self.send_due()
            except TransientError as exc:
                log.warning("notice.unavailable", error=type(exc).__name__)
            except Exception as exc:
                BACKGROUND_ERRORS.labels(job="notice", family="defect").inc()
                log.error("notice.defect", exc_info=exc)
            if sent < AT_ONCE:
                await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def send_due(self) -> int:
        """Send the notices that are due, each once, at most `AT_ONCE`; return how many."""
        due = await self.store.records.due(COLLECTION, at=self.clock.now(), limit=AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for record in due:
                group.create_task(self._send(record))
        return len(due)

    async def _send(self, record: Record) -> None:
        notice, at = Notice.model_validate(record.body), self.clock.now()
        send = self.receivers.get(notice.target)
        head = await thread_of(notice.conversation_id, self.store.conversations)
        # The first time it is sent always, again while that hand-off waits.
        waits = head.owner is Owner.NOBODY and head.handoff is not None and head.handoff.at <= notice.at
        if send is None or not head.version or head.moved_to is not None or (notice.number > 1 and not waits):
            await self.store.records.drop(record.collection, record.key)
            return
        counted = notice.model_copy(update={"attempts": notice.attempts + 1})
        claimed = await self._put(record, counted, due_at=at + LEASE)
        if claimed is None:
            return
        await self.faults.reach("notice.claimed")
        try:
            await send(await self._message(record.key, notice, head))
        except TransientError as exc:
            await self._failed(claimed, counted, exc)
            return
        await self.faults.reach("notice.accepted")
        NOTICES.labels(event=notice.event.value, target=notice.target.value, outcome="accepted").inc()
        if notice.number == 1:
            NOTICE_SECONDS.labels(target=notice.target.value).observe((self.clock.now() - notice.at).total_seconds())
        log.info("notice.accepted", conversation_id=head.id, kind=notice.event.value, target=notice.target.value)
        if notice.event is NoticeEvent.HAND_OFF and self.again:
            pause = min(self.again * 2 ** (notice.number - 1), LONGEST_REPEAT)
            repeated = notice.model_copy(update={"number": notice.number + 1})
            await self._put(claimed, repeated, due_at=self.clock.now() + pause)
        else:
            await self.store.records.drop(claimed.collection, claimed.key)

    async def _failed(self, claimed: Record, notice: Notice, error: TransientError) -> None:
        is_last = notice.attempts >= ATTEMPTS
        outcome = "given_up" if is_last else "refused"
        NOTICES.labels(event=notice.event.value, target=notice.target.value, outcome=outcome).inc()
        (log.error if is_last else log.warning)(
            f"notice.{outcome}",
            conversation_id=notice.conversation_id,
            kind=notice.event.value,
            target=notice.target.value,
            attempt=notice.attempts,
            error=type(error).__name__,
            family=family_of(error),
        )
        if is_last:
            await self.store.records.drop(claimed.collection, claimed.key)
            return
        pause = max(error.retry_after or timedelta(0), BACKOFF.pause(notice.attempts, self.chance))
        await self._put(claimed, notice, due_at=self.clock.now() + pause)

    async def _put(self, record: Record, notice: Notice, *, due_at: datetime) -> Record | None:
        at = self.clock.now()
        changes = {"body": notice.model_dump(mode="json"), "due_at": due_at, "updated_at": at}
        return await self.store.records.put(record.model_copy(update={**changes, "expires_at": at + KEPT_FOR}))

    async def _message(self, key: str, notice: Notice, head: Conversation) -> NoticeMessage:
        content = {
            "id": digest(key, str(notice.number)),
            "event": notice.event.value,
            "number": notice.number,
            "at": notice.at.isoformat(),
            "conversation": head.id,
            "channel": head.address.channel.value if head.address else None,
            "owner": head.owner.value,
            "agent": head.agent,
            "url": f"{self.public_url.rstrip('/')}/console/conversations/{head.id}" if self.public_url else None,
            **notice.data,
        }
        subject = text = ""
        if notice.event is NoticeEvent.HAND_OFF:
            content |= unlinked(await self._facts(head), self.institution())
            subject, text = handoff_words(content, self.institution())
        return NoticeMessage(
            id=content["id"], subject=subject, text=text, content=content, at=self.clock.now(), address=head.address
        )

    async def _facts(self, head: Conversation) -> dict[str, Any]:
        """Return what an agent needs at first sight, with the model's summary where there is one already."""
        at = self.clock.now()
        kind = AnalysisKind.HANDOFF_SUMMARY
        analyses = await analyses_of(head.id, self.store.records, at=at)
        summaries = (one.result for one in analyses if one.context.kind is kind and one.result)
        return {
            "person": head.known_name,
            **handoff_brief(head, self.institution()),
            "last_messages": [f"{said.author or said.speaker}: {said.text}" for said in head.window[-LAST_LINES:]],
            "model_summary": next(summaries, None),
            "waiting_minutes": int((at - head.handoff.at).total_seconds() // 60) if head.handoff else 0,
        }


def handoff_words(content: Mapping[str, Any], institution: Institution) -> tuple[str, str]:
    """Return subject and text of a hand-off, in the language of the institution where it is Portuguese, or English."""
    is_portuguese = institution.language.startswith("pt")
    says = PORTUGUESE if is_portuguese else ENGLISH
    who = content["person"] or content["conversation"]
    subject = says["again" if content["number"] > 1 else "waits"].format(who=who, minutes=content["waiting_minutes"])
    wants = (content["model_summary"] or {}).get("wants") or content["summary"]
    lines = [
        subject,
        f"{says['channel']}: {content['channel']}; {says['reason']}: {content.get('reason', '')}",
        *([f"{says['summary']}: {wants}"] if wants else []),
        *(f"{name}: {value}" for name, value in content["facts"].items()),
        *([f"{says['question']}: {content['open_question']}"] if content["open_question"] else []),
        *([content["url"]] if content["url"] else []),
    ]
    return f"[{institution.name}] {subject}", "\n".join(lines)


ENGLISH = {
    "waits": "{who} waits for an agent",
    "again": "{who} has been waiting for an agent for {minutes} minutes",
    "channel": "Channel",
    "reason": "reason",
    "summary": "Summary",
    "question": "Open question",
}
PORTUGUESE = {
    "waits": "{who} espera por uma pessoa da equipe",
    "again": "{who} espera há {minutes} minutos por uma pessoa da equipe",
    "channel": "Canal",
    "reason": "motivo",
    "summary": "Resumo",
    "question": "Pergunta em aberto",
}
