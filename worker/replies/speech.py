"""Replies in speech: a committed text, spoken on its way out; where that fails the text leaves."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from contracts.delivery import OutboxRow
from contracts.errors import TransientError
from contracts.media import MediaUpload, SpeechSynthesizer
from contracts.messages import Media, MessageType, OutboundMessage
from contracts.ports import Channel
from observability.logs import logger
from observability.metrics import SPOKEN

log = logger(__name__)

# What is to be read or copied: links, addresses, long numbers, lists.
_WRITTEN = re.compile(r"https?:|www\.|@|\d[\d .-]{4,}\d|\n.*\n")
_MARKUP = re.compile(r"[*_~`]+")
LONGEST_SPOKEN = 600


def to_be_spoken(message: OutboundMessage) -> OutboundMessage:
    """Mark a reply that can be understood by ear alone."""
    is_plain = message.type is MessageType.TEXT and len(message.text) <= LONGEST_SPOKEN
    return message.model_copy(update={"spoken": True}) if is_plain and not _WRITTEN.search(message.text) else message


@dataclass(frozen=True)
class SpokenReplies:
    """Recordings of replies at the platform; `language` is that of the institution."""

    synthesizer: SpeechSynthesizer
    language: Callable[[], str]

    async def of(self, row: OutboxRow, channel: Channel) -> OutboundMessage | None:
        """Return the recording of a row to be spoken; None: it leaves as text."""
        message = row.message
        if message.spoken and row.is_in_words and not row.attempts:
            SPOKEN.labels("refused").inc()
        if not message.spoken or row.is_in_words or row.attempts or not isinstance(channel, MediaUpload):
            return None
        try:
            file = await self.synthesizer.speak(_MARKUP.sub("", message.text), language=self.language())
            uploaded = await channel.upload(file, account=row.address.account)
        except TransientError as exc:
            SPOKEN.labels("failed").inc()
            log.warning("speech.failed", conversation_id=row.conversation_id, error=str(exc))
            return None
        SPOKEN.labels("spoken").inc()
        return OutboundMessage(type=MessageType.AUDIO, text=message.text, media=Media(platform_media_id=uploaded))
