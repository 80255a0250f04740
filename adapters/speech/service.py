"""Calls of a speech service over HTTP, their failures as the errors of the ports, and what every recording must be."""

import wave
from datetime import timedelta
from io import BytesIO
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.http.client import HttpError, ask
from contracts.errors import TransientError
from contracts.media import Heard, MediaFault, MediaFile, MediaRefusedError, Transcriber
from observability.logs import logger
from observability.metrics import TRANSCRIPTIONS

log = logger(__name__)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
# Opus counts 48,000 samples a second, whatever was recorded. Source: RFC 7845, section 4.
OPUS_RATE = 48_000
# Of the types that are read from the bytes of a file; services read the type from the name of an upload.
EXTENSIONS = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/amr": "amr",
    "audio/aac": "aac",
    "video/mp4": "mp4",
    "video/webm": "webm",
}


class Said(BaseModel):
    """Base of what a service answers; its errors quote nothing of what a person said."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


A = TypeVar("A", bound=Said)


class SpeechUnavailableError(TransientError):
    """The service did not answer, or with what no client can use; the text names no word of the recording."""


class CheckedTranscriber:
    """Limits and counters around a recogniser, whose name is `provider`."""

    def __init__(self, inner: Transcriber, provider: str, *, longest: timedelta) -> None:
        self._inner = inner
        self._provider = provider
        self._longest = longest.total_seconds()

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        try:
            if file.mime_type not in EXTENSIONS:
                raise MediaRefusedError(MediaFault.WRONG_TYPE)
            if seconds_of(file.content) > self._longest:
                raise MediaRefusedError(MediaFault.TOO_LONG)
            heard = await self._inner.transcribe(file, language=language)
            if heard.seconds > self._longest:
                raise MediaRefusedError(MediaFault.TOO_LONG)
        except MediaRefusedError as exc:
            TRANSCRIPTIONS.labels(self._provider, exc.reason.value).inc()
            raise
        except TransientError as exc:
            TRANSCRIPTIONS.labels(self._provider, "unavailable").inc()
            log.warning("transcriber.unavailable", provider=self._provider, error=str(exc))
            raise
        TRANSCRIPTIONS.labels(self._provider, "heard").inc()
        # A service that gives no length: Opus has its own.
        return heard if heard.seconds else heard.model_copy(update={"seconds": seconds_of(file.content)})

    async def close(self) -> None:
        await self._inner.close()


def seconds_of(content: bytes) -> float:
    """Return the length of an Ogg Opus file by its last page, 0 for any other."""
    last = content.rfind(b"OggS")
    if not content.startswith(b"OggS") or b"OpusHead" not in content[:64] or len(content) < last + 14:
        return 0.0
    samples = int.from_bytes(content[last + 6 : last + 14], "little", signed=True)
    return max(0, samples) / OPUS_RATE


def silence(seconds: float = 1.0, *, rate: int = 16_000) -> MediaFile:
    """Return a recording of silence, to try a recogniser with."""
    written = BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(int(seconds * rate) * 2))
    return MediaFile(content=written.getvalue(), mime_type="audio/wav")


async def asked(
    client: httpx.AsyncClient, url: str, *, within: timedelta, max_bytes: int = MAX_ANSWER_BYTES, **given: Any
) -> bytes:
    """Post a request (`given` as httpx takes it) and return its answer.

    Raises:
        MediaRefusedError: the service cannot read the recording, or it is too large.
        SpeechUnavailableError: any other failure.
    """
    try:
        answer = await ask(client, "POST", url, within=within, max_bytes=max_bytes, **given)
    except HttpError as exc:
        raise SpeechUnavailableError(f"no answer: {exc}") from exc
    match answer.status:
        case 200:
            return answer.content
        case 400 | 415 | 422:
            raise MediaRefusedError(MediaFault.DAMAGED)
        case 413:
            raise MediaRefusedError(MediaFault.TOO_LARGE)
        case 401 | 403 | 404:
            raise SpeechUnavailableError(f"refused with {answer.status}: check its key, address and model")
    raise SpeechUnavailableError(f"answered with {answer.status}")


def read(kind: type[A], content: bytes) -> A:
    """Return an answer as its type. Raises SpeechUnavailableError: it is none, such as the page of a gateway."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as exc:
        raise SpeechUnavailableError("an answer that is not what the service documents") from exc
