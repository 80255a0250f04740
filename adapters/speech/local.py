"""Whisper on this machine, by faster-whisper: no recording leaves it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from pathlib import Path

from av.error import FFmpegError
from faster_whisper import WhisperModel  # type: ignore[import-untyped]

from adapters.speech.service import Segment, SpeechUnavailableError, Word, heard
from contracts.errors import ConfigurationError
from contracts.media import Heard, MediaFault, MediaFile, MediaRefusedError

FILES = ("model.bin", "config.json", "tokenizer.json")


class LocalTranscriber:
    """Whisper model of a folder, in a thread of its own: CTranslate2 releases Python's lock.

    One recording is heard at a time; the wait for the others counts for `within`.
    """

    def __init__(self, folder: Path, *, within: timedelta) -> None:
        """Read the model; takes a second or some.

        Raises:
            ConfigurationError: the folder has no model that can be read.
        """
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise ConfigurationError(
                f"PROSA_TRANSCRIBER_MODEL={folder}: {', '.join(missing)} missing; give the folder of a Whisper model "
                "converted for CTranslate2"
            )
        try:
            self._model = WhisperModel(str(folder), device="auto", compute_type="int8", local_files_only=True)
        except (RuntimeError, ValueError) as exc:
            raise ConfigurationError(f"PROSA_TRANSCRIBER_MODEL={folder}: it cannot be read, convert it again") from exc
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transcriber")
        self._within = within

    async def transcribe(self, file: MediaFile, *, language: str) -> Heard:
        spoken = language.partition("-")[0].lower()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                segments, seconds = await loop.run_in_executor(self._thread, self._segments, file.content, spoken)
        except TimeoutError as exc:
            raise SpeechUnavailableError("the recogniser of this machine took too long") from exc
        return heard(segments, seconds=seconds, language=spoken, asked=spoken)

    def _segments(self, content: bytes, language: str) -> tuple[list[Segment], float]:
        try:
            found, about = self._model.transcribe(
                BytesIO(content),
                language=language,
                beam_size=5,
                condition_on_previous_text=False,
                word_timestamps=True,
                vad_filter=True,
            )
            segments = [
                Segment(
                    one.text,
                    one.avg_logprob,
                    one.no_speech_prob,
                    tuple(Word(word.word, float(word.probability)) for word in one.words or ()),
                )
                for one in found
            ]
        except FFmpegError as exc:
            raise MediaRefusedError(MediaFault.DAMAGED) from exc
        return segments, float(about.duration)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
