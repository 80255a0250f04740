"""What every embedder guarantees, on each of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from adapters.models.onnx_embedder import load_embedder
from contracts.ports import Embedder
from prompts.execution.batching import GroupedEmbedder
from tests.adapters.small_models import write_model
from tests.prompts_cache.hashed_embedder import HashedEmbedder
from tests.real_services import need_minilm

TEXTS = ["Olá 👋", "", "Vocês entregam em Campinas no sábado?", "a " * 2_000, "What are your opening hours?"]


@pytest.fixture(params=["hashed", "all-MiniLM-L6-v2", "a folder", "grouped"])
async def embedder(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Embedder]:
    embedder: Embedder
    match request.param:
        case "hashed":
            embedder = HashedEmbedder()
        case "all-MiniLM-L6-v2":
            need_minilm()
            embedder = load_embedder(request.param)
        case "a folder":
            embedder = load_embedder(str(write_model(tmp_path)))
        case _:
            embedder = GroupedEmbedder(load_embedder(str(write_model(tmp_path))))
    yield embedder
    await embedder.close()


async def vectors(embedder: Embedder, texts: list[str]) -> np.ndarray:
    return np.array([np.frombuffer(raw, dtype="<f4") for raw in await embedder.embed(texts)])


async def test_one_vector_of_unit_length_for_each_text(embedder: Embedder) -> None:
    found = await vectors(embedder, TEXTS)
    assert found.shape == (len(TEXTS), embedder.width)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


async def test_the_same_text_has_the_same_vector(embedder: Embedder) -> None:
    first, second = await vectors(embedder, [TEXTS[2], TEXTS[2]])
    assert np.abs(first - second).max() < 1e-5
    assert np.abs(first - (await vectors(embedder, [TEXTS[2]]))[0]).max() < 1e-5


async def test_a_vector_does_not_depend_on_its_neighbours(embedder: Embedder) -> None:
    together = await vectors(embedder, TEXTS)
    alone = np.concatenate([await vectors(embedder, [text]) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-5


async def test_different_texts_have_different_vectors(embedder: Embedder) -> None:
    first, second = await vectors(embedder, [TEXTS[2], TEXTS[4]])
    assert float(first @ second) < 0.99


async def test_no_texts_have_no_vectors(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


async def test_it_has_a_name_for_what_is_kept_by_it(embedder: Embedder) -> None:
    assert embedder.name
