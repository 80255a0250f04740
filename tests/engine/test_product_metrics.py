"""The `prompter_*` metrics with the labels that were asked for, on a real `/metrics` after traffic."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.runtime import open_runtime
from cli.settings import read_settings
from prompts.execution.batching import GroupedEmbedder
from tests.playing import play
from tests.prompts_cache.hashed_embedder import HashedEmbedder

ASKED = {
    "prompter_executions_total": {"usage_type", "model", "status"},
    "prompter_execution_duration_seconds_count": {"usage_type", "model"},
    "prompter_token_usage_sum": {"usage_type", "model", "token_type"},
    "prompter_cost_per_execution_usd_sum": {"usage_type", "model"},
    "prompter_cache_hits_total": {"usage_type", "cache_level"},
    "prompter_cache_misses_total": {"usage_type"},
    "prompter_cache_hit_rate": set(),
    "prompter_cache_size": {"cache_level"},
    "prompter_quality_score_sum": {"usage_type"},
    "prompter_validation_failures_total": {"usage_type", "validation_type"},
    "prompter_template_usage_total": {"template_name", "version"},
    "prompter_template_render_duration_seconds_count": {"usage_type", "template_name", "version"},
    "prompter_batch_size_count": {"usage_type"},
    "prompter_batch_wait_time_ms_sum": {"usage_type"},
    "prompter_retry_attempts_total": {"usage_type", "attempt"},
    "prompter_fallback_model_usage_total": {"usage_type", "original_model", "fallback_model"},
}


@pytest.mark.parametrize("fallback", [None, "claude-sonnet-5-5"])
async def test_every_metric_has_the_labels_that_were_asked_for(tmp_path: Path, fallback: str | None) -> None:
    given = {"PROSA_DATA_DIR": str(tmp_path), "PORT": "0", "PROMPTER_USE_CACHE": "true"}
    given |= {"PROSA_MODEL_FALLBACK": fallback} if fallback else {}
    async with open_runtime(read_settings(given, env_file=None)) as runtime:
        for name in ("ana", "bia"):
            await play(runtime, name, ["Como funciona a entrega de documentos?"])
        grouped = GroupedEmbedder(HashedEmbedder())
        await grouped.embed(["oi", "bom dia"])
        await grouped.close()
        transport = httpx.ASGITransport(runtime.webhook)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            text = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    for name, labels in ASKED.items():
        found = [sample for sample in samples if sample.name == name]
        assert found, name
        assert all(labels <= sample.labels.keys() for sample in found), name
    by_name = {name: [one for one in samples if one.name == name and one.value] for name in ASKED}
    assert {one.labels["usage_type"] for one in by_name["prompter_executions_total"]} >= {"state", "response"}
    assert {one.labels["status"] for one in by_name["prompter_executions_total"]} >= {"ok", "cached"}
    assert {one.labels["token_type"] for one in by_name["prompter_token_usage_sum"]} >= {"input", "output"}
    used = by_name["prompter_template_usage_total"]
    assert ("generate_response", "1") in {(one.labels["template_name"], one.labels["version"]) for one in used}
    fallbacks = [one for one in samples if one.name == "prompter_fallback_model_usage_total"]
    assert any(one.labels["fallback_model"] == (fallback or "none") for one in fallbacks)
