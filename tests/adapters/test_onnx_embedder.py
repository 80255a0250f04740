"""The ONNX embedder: published similarities, another implementation's vectors, foreign exports, missing files."""

import base64
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from adapters.models.onnx_embedder import load_embedder
from contracts.errors import ConfigurationError
from tests.adapters.small_models import WIDTH, write_model
from tests.builders import ROOT
from tests.real_services import minilm

GOLDEN = orjson.loads((Path(__file__).parent / "golden" / "minilm.json").read_bytes())["vectors"]


def vectors(texts: list[str]) -> np.ndarray:
    return np.array([np.frombuffer(raw, dtype="<f4") for raw in minilm().vectors(texts)])


def test_similarities_are_those_of_the_model_card() -> None:
    """The example on the card of sentence-transformers/all-MiniLM-L6-v2: 0.695, 0.943, 0.257."""
    first, *others = vectors(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert [round(float(first @ other), 3) for other in others] == [0.695, 0.943, 0.257]


def test_vectors_are_those_of_the_same_model_in_numpy() -> None:
    """So what is cached under the model's name stays true."""
    golden = np.array([np.frombuffer(base64.b64decode(raw), dtype="<f4") for raw in GOLDEN.values()])
    assert len(golden) == 8
    assert np.abs(vectors(list(GOLDEN)) - golden).max() < 1e-4


@pytest.mark.parametrize(
    "inputs",
    [
        ("input_ids", "attention_mask", "token_type_ids"),
        ("input_ids", "attention_mask"),
        ("input_ids",),
    ],
)
def test_an_export_gets_the_inputs_that_it_declares(tmp_path: Path, inputs: tuple[str, ...]) -> None:
    embedder = load_embedder(str(write_model(tmp_path, inputs=inputs)))
    assert embedder.width == WIDTH
    assert embedder.name == tmp_path.name
    assert len(embedder.vectors(["oi"])[0]) == 4 * WIDTH


def test_a_text_is_cut_where_its_model_says(tmp_path: Path) -> None:
    embedder = load_embedder(str(write_model(tmp_path, most_tokens=4)))
    assert embedder.vectors(["abcd"]) == embedder.vectors(["abcxyz"])
    assert embedder.vectors(["abcd"]) != embedder.vectors(["abxd"])


def test_a_model_that_is_not_there_is_named_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigurationError, match=r"no-such-model: there is no such model; give a folder with model\.onnx"
    ):
        load_embedder("no-such-model")
    monkeypatch.setattr("adapters.models.onnx_embedder.MODELS", tmp_path)
    with pytest.raises(ConfigurationError, match="make semantic"):
        load_embedder("all-MiniLM-L6-v2")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str) -> None:
    (write_model(tmp_path) / name).unlink()
    with pytest.raises(ConfigurationError, match=f"{name} missing in"):
        load_embedder(str(tmp_path))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    whole = write_model(tmp_path) / name
    whole.write_bytes(whole.read_bytes()[:100])
    with pytest.raises(ConfigurationError, match="export it again"):
        load_embedder(str(tmp_path))


def test_an_export_with_an_input_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, inputs=("input_ids", "pixel_values"))
    with pytest.raises(ConfigurationError, match="pixel_values"):
        load_embedder(str(tmp_path))


def test_a_model_that_pools_otherwise_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path, pooling={"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False})
    with pytest.raises(ConfigurationError, match="pools otherwise"):
        load_embedder(str(tmp_path))


def test_without_the_semantic_level_none_of_its_libraries_is_loaded() -> None:
    code = (
        "import sys, prompts.caching.answers, prompts.execution.batching, webhook.app, worker.bootstrap\n"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'tokenizers', 'onnxruntime')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
