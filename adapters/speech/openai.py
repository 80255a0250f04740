"""Speech by OpenAI's audio API, which Whisper servers speak too: speaches, LocalAI, vLLM.

Source: https://platform.openai.com/docs/api-reference/audio
"""

from datetime import timedelta

from adapters.channels.sending import bearer
from adapters.http.client import open_client
from adapters.speech.service import EXTENSIONS, Said, Segment, SpeechUnavailableError, Word, asked, heard, read
from contracts.media import Heard, MediaFile, MediaRefusedError

OPENAI_URL = "https://api.openai.com/v1"
# Names that `verbose_json` gives to the languages of Prosa's texts; another keeps its name.
LANGUAGES = {"portuguese": "pt", "english": "en", "spanish": "es"}
MAX_SPEECH_BYTES = 16 * 1024 * 1024
# A word may lie across the border of its segment by this much.
SLACK_SECONDS = 0.2


class _Word(Said):
    word: str
    start: float = 0
    probability: float | None = None


class _Segment(Said):
    text: str
    start: float = 0
    end: float = 0
    avg_logprob: float | None = None
    no_speech_prob: float = 0
    words: tuple[_Word, ...] | None = None


class _Transcription(Said):
    """A `verbose_json`. OpenAI has the words outside the segments and without probability, other servers in them."""

    text: str
    language: str | None = None
    duration: float = 0
    segments: tuple[_Segment, ...] | None = None
    words: tuple[_Word, ...] | None = None


class OpenAiTranscriber:
    """Recogniser behind `{url}/audio/transcriptions`. Its model must give `verbose_json`, as Whisper's do."""

    def __init__(self, url: str, *, key: str, model: str, within: timedelta) -> None:
        self._url = f"{url.rstrip('/')}/audio/transcriptions"
        self._client = open_client(within=within, headers=bearer(key, "PROSA_TRANSCRIBER_KEY"))
        self._model = model
        self._within = within

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        spoken = language.partition("-")[0].lower()
        form = {
            "model": self._model,
            "language": spoken,
            "response_format": "verbose_json",
            "temperature": "0",
            "timestamp_granularities[]": ["segment", "word"],
        }
        name = f"voice.{EXTENSIONS[file.mime_type]}"
        files = {"file": (name, file.content, file.mime_type)}
        content = await asked(self._client, self._url, within=self._within, data=form, files=files)
        answer = read(_Transcription, content)
        segments = []
        for one in answer.segments or [_Segment(text=answer.text)]:
            # Its own words, else those of the answer that begin within it, as sure as it is.
            outside = [each for each in answer.words or () if one.start - SLACK_SECONDS <= each.start < one.end]
            segment = Segment(one.text, one.avg_logprob, one.no_speech_prob)
            words = tuple(
                Word(each.word, segment.confidence if each.probability is None else each.probability)
                for each in one.words or outside
            )
            segments.append(segment._replace(words=words))
        named = LANGUAGES.get((answer.language or "").lower(), answer.language or spoken)
        return heard(segments, seconds=answer.duration, language=named, asked=spoken)

    async def close(self) -> None:
        await self._client.aclose()


class OpenAiSynthesizer:
    """Speech of `{url}/audio/speech`, as Ogg Opus: what WhatsApp shows as a voice note."""

    def __init__(self, url: str, *, key: str, model: str, voice: str, within: timedelta) -> None:
        self._url = f"{url.rstrip('/')}/audio/speech"
        self._client = open_client(within=within, headers=bearer(key, "PROSA_SPEECH_KEY"))
        self._asked = {"model": model, "voice": voice, "response_format": "opus"}
        self._within = within

    async def speak(self, text: str, *, language: str) -> MediaFile:
        try:
            content = await asked(
                self._client,
                self._url,
                within=self._within,
                max_bytes=MAX_SPEECH_BYTES,
                json={**self._asked, "input": text},
            )
        except MediaRefusedError as exc:
            raise SpeechUnavailableError("the synthesizer refuses the text") from exc
        if not content.startswith(b"OggS"):
            raise SpeechUnavailableError("the synthesizer gives no Ogg Opus")
        return MediaFile(content=content, mime_type="audio/ogg", filename="voice.ogg")

    async def close(self) -> None:
        await self._client.aclose()
