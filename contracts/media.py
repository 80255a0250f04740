"""Files that people send: what is read in them, why one cannot be read, and the ports that fetch, hear and speak."""

from datetime import timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

from pydantic import Field

from contracts.errors import PermanentError
from contracts.values import Kept, Text, Value


class MediaFault(StrEnum):
    """Reason why a file is not read. Values are stored, shown to the model and counted: they stay."""

    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"
    WRONG_TYPE = "wrong_type"
    EMPTY = "empty"
    DAMAGED = "damaged"
    PROTECTED = "protected"
    NO_SPEECH = "no_speech"
    FORBIDDEN_ADDRESS = "forbidden_address"
    UNAVAILABLE = "unavailable"
    TURNED_OFF = "turned_off"


class MediaRefusedError(PermanentError):
    """The file will not be read, now or later, for `reason`."""

    def __init__(self, reason: MediaFault) -> None:
        super().__init__(f"the file is not read: {reason}")
        self.reason = reason


class InboundMedia(Kept):
    """A file held by the platform; `reference` is its id there or its address, never the bytes.

    `message` is the platform's id of the message that has it as its file number `position`, where an address that has
    expired is asked for again by its message.
    """

    reference: str
    mime_type: str = ""
    filename: Text = ""
    sha256: str = ""
    message: str = Field("", exclude_if=lambda message: not message)
    position: int = Field(0, exclude_if=lambda position: not position)


class MediaFile(Value):
    """A whole file in memory. `mime_type` is read from its bytes, never taken from a header or a name.

    `tokens` bounds what a model counts for it; 0 for a file that no model reads.
    """

    content: bytes = Field(repr=False)
    mime_type: str
    filename: Text = Field("", repr=False)
    tokens: int = 0


class MediaLimits(Value):
    """Limits of one fetch: bytes, after any decoding, and the time for all of its requests."""

    max_bytes: int
    within: timedelta


class Heard(Value):
    """Words of a recording. `confidence` is in [0, 1], None where the recogniser gives none.

    `unsure` are the numbers and names among the words that were heard with little confidence, as `text` has them.
    `language` is a BCP 47 tag.
    """

    text: Text = Field(repr=False)
    seconds: float
    confidence: float | None = Field(None, ge=0, le=1)
    unsure: tuple[Text, ...] = Field((), repr=False)
    language: str


class ContentKind(StrEnum):
    HEARD = "heard"
    SEEN = "seen"


# Below this the words of a recording, or one of its words, may well be others.
HEARD_SURELY = 0.6


class ReadContent(Kept):
    """Text of the file of a message, or the reason that there is none.

    `text` are the words heard, or a model's description of what is seen: the first are the person's, the second vouch
    for nothing. `seconds` is the length of a recording.
    """

    kind: ContentKind
    text: Text = ""
    confidence: float | None = None
    unsure: tuple[Text, ...] = ()
    seconds: float | None = None
    refused: MediaFault | None = None

    @property
    def is_heard(self) -> bool:
        return self.kind is ContentKind.HEARD and self.refused is None

    @property
    def is_doubtful(self) -> bool:
        """Whether it is speech that was heard with little confidence, or with none that the recogniser gives."""
        return self.is_heard and (self.confidence is None or self.confidence < HEARD_SURELY)


@runtime_checkable
class MediaSource(Protocol):
    """A channel whose platform keeps the files that people send."""

    async def fetch(self, media: InboundMedia, *, account: str, limits: MediaLimits) -> MediaFile:
        """Fetch a file that `account` received. An address that has expired is asked for again once.

        Raises:
            MediaRefusedError: it is gone, empty, too large, of a type that cannot be read, or not at the platform.
            TransientError: the platform did not give it in time; it may later.
        """


@runtime_checkable
class MediaUpload(Protocol):
    """A channel whose platform takes files for messages to come."""

    async def upload(self, file: MediaFile, *, account: str) -> str:
        """Return the platform's id of the file. Raises TransientError: the platform does not take it."""
        ...


class Transcriber(Protocol):
    """Speech to text."""

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        """Return the words of a recording, which are likely in `language` (BCP 47).

        Raises:
            MediaRefusedError: there is no speech in it, it is too long, or of a codec that cannot be read.
            TransientError: the recogniser is unavailable.
        """

    async def close(self) -> None: ...


class SpeechSynthesizer(Protocol):
    """Text to speech."""

    async def speak(self, text: str, *, language: str) -> MediaFile:
        """Return a recording of the text, spoken in `language` (BCP 47).

        Raises:
            TransientError: the synthesizer is unavailable, or refuses the text.
        """

    async def close(self) -> None: ...
