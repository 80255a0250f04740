"""Redis cache, trace collector and Prometheus, all unavailable at the same time: no message notices."""

import socket
from pathlib import Path

import httpx

from cli.runtime import open_runtime
from cli.settings import read_settings
from observability.metrics import REGISTRY
from tests.playing import play_all

SAYS = ["Oi, bom dia", "Como funciona a entrega de documentos?", "Quanto custa?"]


async def test_nothing_is_lost_and_no_turn_reaches_its_limit(tmp_path: Path) -> None:
    with socket.socket() as one, socket.socket() as other:
        # Bound and not listening: every connection is refused, and no other process takes the port.
        ports = []
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
        given = {
            "PROSA_DATA_DIR": str(tmp_path),
            "PORT": "0",
            "PROMPTER_USE_CACHE": "true",
            "REDIS_CACHE_URL": f"redis://127.0.0.1:{ports[0]}/0",
            "PROMPTER_USE_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports[1]}",
        }
        before = REGISTRY.get_sample_value("prompter_cache_away_total") or 0
        settings = read_settings(given, env_file=None)
        async with open_runtime(settings) as runtime:
            turns = [turn for prefix in "ab" for turn in await play_all(runtime, [SAYS] * 2, prefix=prefix)]
            transport = httpx.ASGITransport(runtime.webhook)
            # Nobody has scraped until now.
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                assert "worker_turns_total" in (await http.get("/metrics")).text
            depth = await runtime.backend.inbox.depth()
            unsent = await runtime.backend.store.outbox.unsent_count()
    assert (len(turns), depth, unsent) == (len(SAYS) * 4, 0, 0)
    assert not any(turn.fallback for turn in turns)
    assert all(turn.replies for turn in turns)
    assert max(turn.ms.total for turn in turns) < settings.turn_budget.total_seconds() * 1000
    assert (REGISTRY.get_sample_value("prompter_cache_away_total") or 0) > before
    # Answers are found in the process's own memory.
    assert any(task.cache == "exact" for turn in turns for task in turn.tasks)
