"""Reading of the files of a turn: recordings as words, pictures and documents for the model to see."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from contracts.calls import TurnCost
from contracts.conversation import CallRecord, TaskRecord
from contracts.delivery import Record
from contracts.errors import ChannelUnavailableError, ConversationConflictError, TransientError
from contracts.ledger import BilledCall
from contracts.media import (
    ContentKind,
    MediaFault,
    MediaFile,
    MediaLimits,
    MediaRefusedError,
    MediaSource,
    ReadContent,
    Transcriber,
)
from contracts.messages import InboundKind, InboundMessage
from contracts.ports import Channel, Clock, Store
from contracts.turn import Turn
from contracts.values import ConversationId, MessageId
from observability.metrics import MEDIA_READ
from observability.tracing import span
from prompts.pricing.budget import Meter
from prompts.pricing.prices import usd_text

# Collection of the records of what was heard.
HEARD = "media"
# A turn that fails after its recordings were heard is tried again within this time.
KEPT_FOR = timedelta(hours=1)
TASK = "transcription"
# A container of video may have sound alone.
HEARD_TYPES = ("audio/", "video/")
# What each kind of message may have, by the beginnings of its type.
TYPES = {
    InboundKind.AUDIO: HEARD_TYPES,
    InboundKind.VIDEO: HEARD_TYPES,
    InboundKind.IMAGE: ("image/",),
    InboundKind.DOCUMENT: ("image/", "application/pdf", "text/plain", *HEARD_TYPES),
}
# Of the sparsest voice codec in use, for a bound of the length of a recording: Opus at 6 kbit/s (RFC 6716).
LEAST_BYTES_PER_SECOND = 750
MOST_SECONDS = 1_800


@dataclass(frozen=True)
class MediaPolicy:
    """Limits of reading: of each file, of the files of a turn, and tries at a turn whose file does not come.

    At most `at_once` files are fetched at a time in a process. `usd_per_minute` is the price of a transcription, None:
    unknown.
    """

    limits: MediaLimits
    per_turn: int = 5
    attempts: int = 2
    at_once: int = 32
    usd_per_minute: Decimal | None = None

    def price(self, seconds: float) -> Decimal | None:
        return None if self.usd_per_minute is None else self.usd_per_minute * Decimal(f"{seconds / 60:.6f}")


@dataclass(frozen=True)
class Reading:
    """What was read, by message; the files that a model is shown; and the transcriptions, as tasks of the turn."""

    contents: Mapping[MessageId, ReadContent]
    files: tuple[MediaFile, ...] = ()
    tasks: tuple[TaskRecord, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """Outcome of one file; `error` is what may be over when the turn is tried again."""

    content: ReadContent
    file: MediaFile | None = None
    task: TaskRecord | None = None
    error: TransientError | None = None


class MediaReader:
    """Fetches and reads files for turns. Bytes are in memory for the length of a turn and kept nowhere.

    What was heard is kept until the turn is committed, so that it is not paid twice: as a record of the conversation,
    which goes with it. Without a `transcriber` recordings are not heard. `monotonic` gives seconds.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        meter: Meter,
        policy: MediaPolicy,
        *,
        monotonic: Callable[[], float],
        transcriber: Transcriber | None = None,
    ) -> None:
        self._store, self._clock, self._meter = store, clock, meter
        self._policy, self._monotonic, self._transcriber = policy, monotonic, transcriber
        self._at_once = asyncio.Semaphore(policy.at_once)

    async def read(self, turn: Turn, channel: Channel, *, version: int, language: str, cost: TurnCost) -> Reading:
        """Read the files of the messages to answer, side by side. `version` is that of the conversation's head.

        Raises:
            TransientError: a file may come later, and the turn has tries left; what was heard is kept.
            ConversationConflictError: the conversation was written, or erased, while the files were read.
        """
        messages = [one for one in turn.answerable if one.media and one.media.reference and one.kind in TYPES]
        if not messages or not isinstance(channel, MediaSource):
            return Reading({})
        record = await self._store.records.get(HEARD, turn.conversation_id, at=self._clock.now())
        heard = {MessageId(id): ReadContent.model_validate(one) for id, one in (record.body if record else {}).items()}
        newest = {message.id for message in messages[-self._policy.per_turn :]}
        unread = [message for message in messages if message.id not in heard]
        opened = [message for message in unread if message.id in newest]
        with span("media.read"):
            outcomes = await asyncio.gather(*(self._read(message, channel, language, cost) for message in opened))
        read = {message.id: _refused(message, MediaFault.TOO_MANY) for message in unread}
        read |= {message.id: one for message, one in zip(opened, outcomes, strict=True)}
        fresh = {id: one.content for id, one in read.items() if one.task is not None}
        if fresh:
            await self._keep(turn.conversation_id, heard | fresh, record, version)
        is_last = max(entry.attempts for entry in turn.entries) >= self._policy.attempts
        errors = [one.error for one in outcomes if one.error is not None]
        if errors and not is_last:
            raise errors[0]
        contents = heard | {id: one.content for id, one in read.items()}
        for content in contents.values():
            MEDIA_READ.labels(kind=content.kind.value, outcome=content.refused or "read").inc()
        return Reading(
            contents,
            tuple(one.file for one in outcomes if one.file is not None),
            tuple(one.task for one in outcomes if one.task is not None),
        )

    async def _read(self, message: InboundMessage, source: MediaSource, language: str, cost: TurnCost) -> _Outcome:
        assert message.media is not None  # noqa: S101 - only such messages are read
        try:
            if self._transcriber is None and TYPES[message.kind] == HEARD_TYPES:
                raise MediaRefusedError(MediaFault.TURNED_OFF)
            # The recogniser has a time limit of its own.
            async with self._at_once, asyncio.timeout(self._policy.limits.within.total_seconds()):
                file = await source.fetch(message.media, account=message.address.account, limits=self._policy.limits)
            if not file.mime_type.startswith(TYPES[message.kind]):
                raise MediaRefusedError(MediaFault.WRONG_TYPE)
            if file.mime_type.startswith(HEARD_TYPES):
                return await self._hear(file, language, cost)
            return _Outcome(ReadContent(kind=ContentKind.SEEN), file)
        except MediaRefusedError as exc:
            return _refused(message, exc.reason)
        except TransientError as exc:
            return _refused(message, MediaFault.UNAVAILABLE, exc)
        except TimeoutError:
            return _refused(message, MediaFault.UNAVAILABLE, ChannelUnavailableError("a file was not read in time"))

    async def _hear(self, file: MediaFile, language: str, cost: TurnCost) -> _Outcome:
        """Transcribe a recording for which the ceilings leave room, and book its price."""
        longest = self._policy.price(min(len(file.content) / LEAST_BYTES_PER_SECOND, MOST_SECONDS))
        if self._transcriber is None or (longest and not self._meter.leaves(longest, cost)):
            raise MediaRefusedError(MediaFault.TURNED_OFF)
        began = self._monotonic()
        heard = await self._transcriber.transcribe(file, language=language)
        price = self._policy.price(heard.seconds)
        call = CallRecord(model=TASK, cost_usd=None if price is None else usd_text(price))
        self._meter.charge(BilledCall(TASK, "", call), cost)
        took = round((self._monotonic() - began) * 1000, 2)
        task = TaskRecord(
            task=TASK, model=TASK, template="", started_ms=0, ended_ms=took, cost_usd=call.cost_usd, bill=(call,)
        )
        content = ReadContent(
            kind=ContentKind.HEARD,
            text=heard.text,
            confidence=heard.confidence,
            unsure=heard.unsure,
            seconds=heard.seconds,
        )
        return _Outcome(content, task=task)

    async def _keep(
        self,
        conversation_id: ConversationId,
        contents: Mapping[MessageId, ReadContent],
        record: Record | None,
        version: int,
    ) -> None:
        """Keep what was heard, unless the conversation was erased or written in between."""
        now, records = self._clock.now(), self._store.records
        await records.put(
            Record(
                collection=HEARD,
                key=conversation_id,
                version=record.version if record else 0,
                body={id: content.model_dump(mode="json") for id, content in contents.items()},
                owner=conversation_id,
                expires_at=now + KEPT_FOR,
                updated_at=now,
            )
        )
        head = await self._store.conversations.load(conversation_id)
        if (head.version if head else 0) != version:
            await records.drop(HEARD, conversation_id)
            raise ConversationConflictError(conversation_id)


def _refused(message: InboundMessage, reason: MediaFault, error: TransientError | None = None) -> _Outcome:
    kind = ContentKind.HEARD if TYPES[message.kind] == HEARD_TYPES else ContentKind.SEEN
    return _Outcome(ReadContent(kind=kind, refused=reason), error=error)
