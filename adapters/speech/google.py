"""Speech of Google Cloud: Speech-to-Text v2, `recognize`, which takes a minute of audio at most.

Source: https://cloud.google.com/speech-to-text/v2/docs/reference/rest/v2/projects.locations.recognizers/recognize
"""

import math
from base64 import b64encode
from datetime import timedelta

from pydantic import Field

from adapters.google.token import GoogleToken
from adapters.http.client import open_client
from adapters.speech.service import Said, Segment, Word, asked, heard, read, seconds_of
from contracts.media import Heard, MediaFault, MediaFile, MediaRefusedError

LONGEST = timedelta(seconds=60)
REGIONS = {"pt": "pt-BR", "en": "en-US", "es": "es-419"}


class _Word(Said):
    word: str
    confidence: float | None = None


class _Alternative(Said):
    transcript: str = ""
    confidence: float | None = None
    words: tuple[_Word, ...] = ()


class _Result(Said):
    alternatives: tuple[_Alternative, ...] = ()
    language: str = Field("", alias="languageCode")
    end: str = Field("0s", alias="resultEndOffset")


class _Recognition(Said):
    results: tuple[_Result, ...] = ()


class GoogleTranscriber:
    """Recogniser of a project in a location, `global` or one that has the model; `url` is for another address."""

    def __init__(
        self, project: str, *, location: str, model: str, token: GoogleToken, within: timedelta, url: str | None = None
    ) -> None:
        prefix = "" if location == "global" else f"{location}-"
        base = (url or f"https://{prefix}speech.googleapis.com").rstrip("/")
        self._url = f"{base}/v2/projects/{project}/locations/{location}/recognizers/_:recognize"
        self._client = open_client(within=within)
        self._model = model
        self._token = token
        self._within = within

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        if seconds_of(file.content) > LONGEST.total_seconds():
            raise MediaRefusedError(MediaFault.TOO_LONG)
        config = {
            "autoDecodingConfig": {},
            "model": self._model,
            "languageCodes": [REGIONS.get(language, language)],
            "features": {"enableWordConfidence": True, "enableAutomaticPunctuation": True},
        }
        content = await asked(
            self._client,
            self._url,
            within=self._within,
            headers={"Authorization": f"Bearer {await self._token.current()}"},
            json={"config": config, "content": b64encode(file.content).decode()},
        )
        results = [one for one in read(_Recognition, content).results if one.alternatives]
        seconds = max((float(one.end.rstrip("s") or 0) for one in results), default=0.0)
        segments = []
        for said in (one.alternatives[0] for one in results):
            # Google leaves a confidence out, or gives 0, where it has none.
            log_probability = math.log(said.confidence) if said.confidence else None
            words = tuple(Word(one.word, one.confidence or said.confidence or None) for one in said.words)
            segments.append(Segment(said.transcript, log_probability, words=words))
        return heard(segments, seconds=seconds, language=results[0].language if results else "", asked=language)

    async def close(self) -> None:
        await self._client.aclose()
