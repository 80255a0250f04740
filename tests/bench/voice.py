"""What a recogniser hears, and what hearing adds: `python -m tests.bench.voice [FOLDER]`.

Sixty sentences, twenty of them with numbers, are spoken by espeak-ng (Debian's, with ffmpeg), packed as WhatsApp packs
voice notes, and heard by the Whisper model of the folder (PROSA_TRANSCRIBER=local). Without a folder only the added
latency is measured: turns of voice notes against turns of the same words in writing, with a double that hears at once.
"""

import asyncio
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory

from rich.console import Console
from text_to_num import alpha2digit

from adapters.speech.local import LocalTranscriber
from context.guardrails.sentences import folded
from context.loader import load_institution
from contracts.media import Heard, MediaFile, MediaRefusedError
from tests.engine.test_voice import opened

INSTITUTION = Path(__file__).parents[2] / "context/documents/pyloto"
SHORTHAND = re.compile(r"\b(?:vcs?|q|oq|ngm|hj|msm|tbm?|pra|ta|tô)\b")
# Below the flood rule: 40 messages in a minute.
TURNS, LIMIT_MS = 15, 300


def sentences() -> list[str]:
    plain = [one for intent in load_institution(INSTITUTION).intents for one in intent.triggers]
    plain = [one for one in plain if len(one.split()) >= 4 and not SHORTHAND.search(one)]
    chance = random.Random(7)
    forms = (
        "meu telefone é 19 9{:04d} {:04d}",
        "o número do pedido é {:03d} {:03d}",
        "a entrega é na rua das Flores, número {:d}, apartamento {:d}",
        "pode ser às {:d} horas do dia {:d}",
    )
    numbered = [
        form.format(chance.randrange(2, limits[0]), chance.randrange(2, limits[1]))
        for form, limits in zip(forms * 5, ((9_999, 9_999), (999, 999), (900, 90), (20, 28)) * 5, strict=True)
    ]
    return [*plain[:40], *numbered]


def spoken(text: str, folder: Path) -> MediaFile:
    wave, packed = folder / "one.wav", folder / "one.ogg"
    said = re.sub(r"\b(\d)(\d)(\d)(\d)\b", r"\1 \2 \3 \4", text)
    subprocess.run(["espeak-ng", "-v", "pt-br", "-s", "140", "-w", str(wave), said], check=True)
    pack = ["ffmpeg", "-y", "-loglevel", "error", "-i", str(wave), "-c:a", "libopus", "-b:a", "24k", str(packed)]
    subprocess.run(pack, check=True)
    return MediaFile(content=packed.read_bytes(), mime_type="audio/ogg")


def words(text: str) -> list[str]:
    return re.findall(r"\w+", folded(alpha2digit(text, "pt")))


def digits(text: str) -> str:
    return "".join(re.findall(r"\d", alpha2digit(text, "pt")))


def errors(expected: Sequence[str], heard: Sequence[str]) -> int:
    """Return the least number of words to insert, delete and replace (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for index, word in enumerate(expected, start=1):
        before, row[0] = row[0], index
        for column, other in enumerate(heard, start=1):
            before, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, before + (word != other))
    return row[-1]


def percentile_95(values: Sequence[float]) -> float:
    return quantiles(values, n=20)[-1]


async def recogniser(folder: Path, console: Console) -> None:
    transcriber = LocalTranscriber(folder, within=timedelta(seconds=120))
    wrong, total, right, flagged, numbers, silent, times = 0, 0, 0, 0, 0, 0, []
    with TemporaryDirectory() as scratch:
        for text in sentences():
            file = spoken(text, Path(scratch))
            began = time.perf_counter()
            try:
                heard = await transcriber.transcribe(file, language="pt")
            except MediaRefusedError:
                heard, silent = Heard(text="", seconds=0, language="pt"), silent + 1
            times.append(time.perf_counter() - began)
            wrong, total = wrong + errors(words(text), words(heard.text)), total + len(words(text))
            if expected := digits(text):
                numbers += 1
                is_right = digits(heard.text) == expected
                right += is_right
                flagged += not is_right and any(map(digits, heard.unsure))
    await transcriber.close()
    console.print(f"{len(times)} clips: {wrong / total:.1%} of the words wrong, {silent} not heard")
    console.print(f"numbers: {right} of {numbers} right, {flagged} of the {numbers - right} wrong ones said back")
    console.print(f"recogniser: {mean(times):.2f} s a clip, 95 % within {percentile_95(times):.2f} s")


async def added_latency(console: Console) -> bool:
    with TemporaryDirectory() as scratch:
        async with opened(Path(scratch)) as bed:
            times: dict[str, list[float]] = {"written": [], "spoken": []}
            for _ in range(TURNS):
                for kind, change in (
                    ("written", bed.text("qual o prazo de entrega")),
                    ("spoken", await bed.voice("qual o prazo de entrega")),
                ):
                    times[kind].append((await bed.turn(change)).ms.total)
    written, heard = (percentile_95(times[kind]) for kind in ("written", "spoken"))
    console.print(f"turns, 95 % within: {written:.0f} ms written, {heard:.0f} ms spoken, {heard - written:+.0f} ms")
    return heard - written <= LIMIT_MS


def main() -> None:
    console = Console()
    if len(sys.argv) > 1:
        asyncio.run(recogniser(Path(sys.argv[1]), console))
    if not asyncio.run(added_latency(console)):
        sys.exit(f"hearing adds more than {LIMIT_MS} ms")


if __name__ == "__main__":
    main()
