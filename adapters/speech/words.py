"""Words of a recogniser: what was said at all, how sure it is, and which numbers and names are not.

Whisper hears text in silence: the end of subtitles it was trained on, or one phrase again and again. Thresholds as in
openai/whisper, `transcribe.py`: silence above 0.6 with a mean log probability below -1, repetition above a compression
ratio of 2.4.
"""

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from contracts.media import HEARD_SURELY, Heard, MediaFault, MediaRefusedError

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
    placed = list(_placed(text, words))
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


def _placed(text: str, words: Sequence[Word]) -> Iterator[tuple[int, Word]]:
    at = 0
    for word in words:
        bare = word.text.strip()
        found = text.find(bare, at)
        if bare and found >= 0:
            yield found, Word(bare, word.confidence)
            at = found + len(bare)


def _kind(text: str, start: int, word: Word, *, is_bare: bool) -> str:
    bare = word.text.strip(_MARKS)
    if _ADDRESS.search(bare):
        return "address"
    if _NUMBER.search(bare):
        return "number"
    opens = not is_bare and text[:start].rstrip()[-1:] in ("", ".", "!", "?", "…")
    return "name" if bare[:1].isupper() and not opens else ""
