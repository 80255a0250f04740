"""How fast the webhook answers while a burst is being worked on: `python -m tests.bench.acknowledgement`.

The whole of `prosa run` with its sandbox in one process on SQLite; the burst comes in one POST, the probes follow at a
steady rate and are timed from the moment they were meant to leave.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import httpx

from sandbox.whatsapp_webhooks import envelope, inbound_text, signed
from tests.bench.engine import console, percentile
from tests.load.installation import PHONE_NUMBER_ID, SECRET, installed

BURST = 300
PROBES = 200
PROBES_A_SECOND = 40


async def measure(folder: Path) -> list[float]:
    """Milliseconds from the intended moment to the answer, for each probe."""
    async with installed("embedded", folder) as installation, httpx.AsyncClient(timeout=30) as client:
        url = f"{installation.url}/webhooks/whatsapp"

        async def post(*people: str) -> None:
            changes = [inbound_text(person, "qual o horário?", phone_number_id=PHONE_NUMBER_ID) for person in people]
            body, headers = signed(envelope(*changes), SECRET)
            (await client.post(url, content=body, headers=headers)).raise_for_status()

        async def probe(number: int, intended: float) -> float:
            await asyncio.sleep(intended - time.perf_counter())
            await post(f"5511800{number:05d}")
            return (time.perf_counter() - intended) * 1000

        await post("5511700000000")
        await post(*(f"5511900{number:05d}" for number in range(BURST)))
        begin = time.perf_counter()
        return await asyncio.gather(*(probe(n, begin + n / PROBES_A_SECOND) for n in range(PROBES)))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="prosa-bench-") as folder:
        times = asyncio.run(measure(Path(folder)))
    console.print(f"Acknowledgements while {BURST} messages of one POST are worked on, {PROBES_A_SECOND} a second:")
    console.print(
        f"  p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms, "
        f"p99 {percentile(times, 0.99):.0f} ms, slowest {max(times):.0f} ms"
    )


if __name__ == "__main__":
    main()
