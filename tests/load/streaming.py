"""From the model's first words to a web client's screen, through the Celery engine: `python -m tests.load.streaming`.

Real processes: the model (the sandbox, streaming as a model does), a worker that puts the text together and has the
gate read it, Redis, the webhook's stream, a client. Both ends are read from one machine's clock. The first piece of the
answer holds its first sentence, since nothing is shown before its sentence has ended.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import orjson

from cli.load import percentiles
from tests.load.installation import Installation, installed
from tests.load.processes import end_when_told

# Sentences that no document has, so that the judge reads them.
TEXT = "Oi! Recebemos a sua mensagem. Conte para nós o que você precisa, por favor. Assim podemos ajudar melhor."
STREAM = {"stream_chunk_characters": 24, "stream_interval_ms": 60}


async def first_texts(folder: Path, *, turns: int) -> dict[str, Any]:
    """Milliseconds from the model's first piece of Task 2's text to its first sentence at the client, turn by turn."""
    script = [{"task": "response", "answer": {"parts": [{"says": "echo", "from": [], "text": TEXT}]}, "times": turns}]
    async with installed("celery", folder, workers=1) as installation, httpx.AsyncClient(timeout=60) as client:
        await installation.model(script=script, **STREAM)
        seconds, whole = [], []
        for number in range(turns):
            first_shown, shown = await _watched(client, installation, f"stream-{number}")
            began = await _first_text_at(client, installation)
            seconds.append(first_shown - began)
            whole.append(shown)
    assert all(text == TEXT for text in whole), "what was shown is not what was said"
    return {
        "turns": turns,
        "model_to_client_ms": percentiles(seconds),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }


async def _watched(client: httpx.AsyncClient, installation: Installation, name: str) -> tuple[float, str]:
    """Write in a conversation that is being watched; when the first sentence came, and all that was shown."""
    async with client.stream("GET", f"{installation.url}/chat/{name}/events") as response:
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith(": connected"):
                break
        (await client.post(f"{installation.url}/chat/{name}/messages", json={"text": "Oi, bom dia"})).raise_for_status()
        first: float | None = None
        shown, event = "", ""
        async for line in lines:
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:") and event == "token":
                first = first or time.time()
                shown += orjson.loads(line.removeprefix("data:"))["text"]
            elif line.startswith("data:") and event == "reply":
                break
    assert first is not None, "the reply came without having been seen forming"
    return first, shown


async def _first_text_at(client: httpx.AsyncClient, installation: Installation) -> float:
    answer = await client.get(f"{installation.sandbox_url}/anthropic/sandbox/requests?task=response&limit=1")
    return float(answer.json()["requests"][-1]["first_text_at"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load.streaming", description=__doc__)
    parser.add_argument("--turns", type=int, default=100)
    given = parser.parse_args()
    end_when_told()
    with tempfile.TemporaryDirectory(prefix="prosa-streaming-") as folder:
        figures = asyncio.run(first_texts(Path(folder), turns=given.turns))
    print(json.dumps({"figure": "streaming"} | figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
