"""Calls of a speech service over HTTP, their failures as the errors of the ports, and what every recording must be.

Whisper hears text in silence: the end of subtitles it was trained on, or one phrase again and again. Thresholds as in
openai/whisper, `transcribe.py`: silence above 0.6 with a mean log probability below -1, repetition above a compression
ratio of 2.4.
"""

import math
import re
import wave
import zlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from io import BytesIO
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from adapters.http.client import HttpError, ask
from contracts.errors import TransientError
from contracts.media import HEARD_SURELY, Heard, MediaFault, MediaFile, MediaRefusedError, Transcriber
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


MOST_SILENCE, LEAST_LOG_PROBABILITY, MOST_REPETITION = 0.6, -1.0, 2.4
# A recogniser that names another language than it was asked for guesses.
OF_ANOTHER_LANGUAGE = 0.3
WORDS_OF_A_BARE_ANSWER = 3

_SUBTITLES = re.compile(
    r"amara\.?org|^(?:legendas?|legendado|subt[ií]tulos|subtitles|transcri[cç][aã]o|captions?|captioning) (?:e \w+ )?"
    r"(?:pela|por|by|de la|de|realizados?)\b|^(?:thanks|thank you) for watching|^obrigad[oa] por (?:ter )?assisti|"
    r"^gracias por ver|^(?:se )?inscreva-?se|^(?:please )?subscribe\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|^(?:zero|uma?|d(?:ois|uas)|tr[eê]s|quatro|cinco|seis|meia|sete|oito|nove|dez|onze|doze|treze|[cq]ua?torze|quinze|"
    r"dez[ea]\w+|dezoito|vinte|trinta|quarenta|cinquenta|sessenta|setenta|oitenta|noventa|cem|cento|\w+[cz]entos|mil|one|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundred|thousand|uno|dos|cuatro|siete|ocho|nueve|diez)$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"@|^arroba$|\w\.\w")
_MARKS = " \t\n.,;:!?…\"'()[]“”«»-"


class Word(NamedTuple):
    """A word; `confidence` is in [0, 1], None where the recogniser gives none."""

    text: str
    confidence: float | None


class Segment(NamedTuple):
    """A stretch of speech; `log_probability` is the mean of its tokens, `silence` the probability of no speech."""

    text: str
    log_probability: float | None = None
    silence: float = 0.0
    words: tuple[Word, ...] = ()

    @property
    def confidence(self) -> float | None:
        return None if self.log_probability is None else min(1.0, math.exp(self.log_probability))

    @property
    def is_speech(self) -> bool:
        text = self.text.strip(_MARKS)
        packed = zlib.compress(text.encode())
        unlikely = self.log_probability is not None and self.log_probability < LEAST_LOG_PROBABILITY
        return not (
            not text
            or (self.silence > MOST_SILENCE and unlikely)
            or len(text.encode()) / len(packed) > MOST_REPETITION
            or _SUBTITLES.search(text)
        )


def heard(segments: Sequence[Segment], *, seconds: float, language: str, asked: str) -> Heard:
    """Return what was said; `language` is the one that the recogniser names, `asked` the one it was asked for.

    Raises:
        MediaRefusedError: nothing was said.
    """
    spoken = [segment for segment in segments if segment.is_speech]
    text = " ".join(segment.text.strip() for segment in spoken)
    if not spoken or Segment(text).is_speech is False:
        raise MediaRefusedError(MediaFault.NO_SPEECH)
    known = [(one.confidence, len(one.text)) for one in spoken if one.confidence is not None]
    confidence = sum(sure * size for sure, size in known) / sum(size for _, size in known) if known else None
    is_foreign = bool(language) and language.partition("-")[0].lower() != asked.partition("-")[0].lower()
    if is_foreign:
        confidence = min(OF_ANOTHER_LANGUAGE, 1.0 if confidence is None else confidence)
    words = [
        Word(word.text, OF_ANOTHER_LANGUAGE if is_foreign else word.confidence)
        for segment in spoken
        for word in segment.words or [Word(part, segment.confidence) for part in segment.text.split()]
    ]
    return Heard(
        text=text,
        seconds=seconds,
        confidence=None if confidence is None else round(confidence, 3),
        unsure=tuple(dict.fromkeys(_unsure(text, words))),
        language=language or asked,
    )


def _unsure(text: str, words: Sequence[Word]) -> Iterator[str]:
    """Yield each run of numbers, of names, or around an address that has a word heard with little confidence."""
    placed, at = list[tuple[int, Word]](), 0
    for word in words:
        bare = word.text.strip()
        start = text.find(bare, at)
        if bare and start >= 0:
            placed.append((start, Word(bare, word.confidence)))
            at = start + len(bare)
    is_bare = len(placed) <= WORDS_OF_A_BARE_ANSWER
    kinds = [_kind(text, start, word, is_bare=is_bare) for start, word in placed]
    for index, kind in enumerate(kinds):
        if kind == "address":
            around = range(max(0, index - 1), min(len(kinds), index + 4))
            kinds[around.start : around.stop] = ["address"] * len(around)
    for kind, run in groupby(zip(kinds, placed, strict=True), key=lambda one: one[0]):
        found = [place for _, place in run]
        if kind and any(word.confidence is None or word.confidence < HEARD_SURELY for _, word in found):
            start, (last, word) = found[0][0], found[-1]
            yield text[start : last + len(word.text)].strip(_MARKS)


def _kind(text: str, start: int, word: Word, *, is_bare: bool) -> str:
    bare = word.text.strip(_MARKS)
    if _ADDRESS.search(bare):
        return "address"
    if _NUMBER.search(bare):
        return "number"
    opens = not is_bare and text[:start].rstrip()[-1:] in ("", ".", "!", "?", "…")
    return "name" if bare[:1].isupper() and not opens else ""
