"""The real model: its published similarities, any grouping of texts, and what is said when it is not there."""

import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from adapters.embedders.bert import _gelu, load_embedder
from contracts.errors import ConfigurationError
from tests.prompts_cache.hashed_embedder import HashedEmbedder
from tests.real_services import minilm


def vectors(texts: list[str]) -> np.ndarray:
    return np.array([np.frombuffer(raw, dtype="<f4") for raw in minilm().vectors(texts)])


def test_similarities_are_those_of_the_model_card() -> None:
    """The example on the card of sentence-transformers/all-MiniLM-L6-v2: 0.695, 0.943, 0.257."""
    first, *others = vectors(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert [round(float(first @ other), 3) for other in others] == [0.695, 0.943, 0.257]


async def test_what_every_embedder_guarantees() -> None:
    for embedder in (HashedEmbedder(), minilm()):
        texts = ["Olá 👋", "", "Qual é o horário?", "x " * 2_000, "Olá 👋"]
        raws = await embedder.embed(texts)
        assert {len(raw) for raw in raws} == {4 * embedder.width}
        found = np.array([np.frombuffer(raw, dtype="<f4") for raw in raws])
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
        # Not to the last bit: which rows of a matrix are summed together, and in which order, is the library's matter.
        assert np.abs(found[0] - found[4]).max() < 1e-5
        assert await embedder.embed([]) == []


def test_a_text_s_vector_does_not_depend_on_its_neighbours() -> None:
    texts = ["oi", "Vocês entregam em Campinas no sábado?", "a " * 400]
    together = vectors(texts)
    alone = np.concatenate([vectors([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_gelu_is_the_exact_one() -> None:
    from math import erf, sqrt

    x = np.linspace(-8, 8, 4_001, dtype=np.float32)
    exact = [value * 0.5 * (1 + erf(value / sqrt(2))) for value in x.tolist()]
    assert np.abs(_gelu(x) - np.array(exact, dtype=np.float32)).max() < 1e-6


def test_a_model_that_is_not_there_is_named_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="neither a folder nor a known model"):
        load_embedder("no-such-model")
    with pytest.raises(ConfigurationError, match=r"model\.safetensors missing"):
        load_embedder(str(tmp_path))
    monkeypatch.setattr("adapters.embedders.bert.PACKAGES", {"all-MiniLM-L6-v2": "no_such_package"})
    with pytest.raises(ConfigurationError, match="make semantic"):
        load_embedder("all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    ("config", "head", "said"),
    [
        ({"model_type": "gpt2"}, {}, "gpt2"),
        ({"model_type": "bert"}, {}, "no float32 array embeddings.word_embeddings.weight"),
    ],
)
def test_a_model_of_another_kind_is_refused(tmp_path: Path, config: dict, head: dict, said: str) -> None:  # type: ignore[type-arg]
    sizes = {"layer_norm_eps": 1e-12, "num_attention_heads": 2, "num_hidden_layers": 0}
    (tmp_path / "config.json").write_bytes(orjson.dumps(config | sizes))
    (tmp_path / "tokenizer.json").write_text("{}")
    raw = orjson.dumps(head)
    (tmp_path / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    with pytest.raises(ConfigurationError, match=said):
        load_embedder(str(tmp_path))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(
        orjson.dumps({"layer_norm_eps": 1e-12, "num_attention_heads": 2, "num_hidden_layers": 0})
    )
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff\xff\0\0\0\0\0\0{}")
    with pytest.raises(ConfigurationError, match="not a whole safetensors file"):
        load_embedder(str(tmp_path))


def test_who_does_not_use_the_semantic_level_does_not_load_numpy() -> None:
    import subprocess

    code = (
        "import sys, prompts.cache, prompts.batching, webhook.app, worker.bootstrap\n"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'tokenizers', 'threadpoolctl')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
