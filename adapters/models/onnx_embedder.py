"""Sentence embeddings of a BERT-like encoder in ONNX Runtime: all-MiniLM-L6-v2 by default.

Pooling and normalisation as in Reimers & Gurevych, Sentence-BERT, EMNLP 2019.
"""

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
from tokenizers import Tokenizer

from contracts.errors import ConfigurationError

# Models of `make semantic`, in the environment that Python runs in.
MODELS = Path(sys.prefix, "share", "prosa", "embedders")
KNOWN = ("all-MiniLM-L6-v2",)
FILES = ("model.onnx", "tokenizer.json")
MOST_TOKENS = 256


def load_embedder(model: str) -> "OnnxEmbedder":
    """Read a model, by its name or by the folder of its files; takes some tenths of a second.

    Raises:
        ConfigurationError: it is missing, unreadable, or no encoder with the mean of its tokens; the text says the next
            step.
    """
    folder = MODELS / model if model in KNOWN else Path(model)
    if not folder.is_dir():
        step = "make semantic" if model in KNOWN else f"give a folder with {' and '.join(FILES)}, or {KNOWN[0]}"
        raise ConfigurationError(f"PROSA_EMBEDDER={model}: there is no such model; {step}")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(f"PROSA_EMBEDDER={model}: {', '.join(missing)} missing in {folder}")
    pooling = _json(folder / "1_Pooling" / "config.json")
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise ConfigurationError(f"PROSA_EMBEDDER={model}: it pools otherwise than by the mean; use another model")
    try:
        return OnnxEmbedder(folder.name, _session(folder), _tokenizer(folder))
    # Neither library has a public class for what it raises where a file is broken.
    except Exception as exc:
        raise ConfigurationError(f"PROSA_EMBEDDER={model}: cannot read {folder}, export it again: {exc}") from exc


class OnnxEmbedder:
    """Encoder in a thread of its own: the runtime releases Python's lock."""

    def __init__(self, name: str, session: onnxruntime.InferenceSession, tokenizer: Tokenizer) -> None:
        output = session.get_outputs()[0]
        if len(output.shape) != 3:
            raise ValueError(f"its first output is {output.name}, not a vector for each token")
        self.name = name
        self._session = session
        self._tokenizer = tokenizer
        self._inputs = [given.name for given in session.get_inputs()]
        self._output = output.name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedder")
        self.width = len(self._vector("")) // 4

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.vectors, list(texts))

    def vectors(self, texts: list[str]) -> list[bytes]:
        """Do as `embed`, in the thread of the caller."""
        # One by one: padded to one length, ten texts of one length take three quarters of the time, but nine short ones
        # with a long one ten times as long.
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> bytes:
        ids = np.array([self._tokenizer.encode(text).ids])
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (tokens,) = self._session.run([self._output], {name: known[name] for name in self._inputs})
        mean = tokens[0].mean(axis=0)
        unit: bytes = (mean / np.linalg.norm(mean)).astype("<f4").tobytes()
        return unit

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _session(folder: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # Products this small are slower in several threads, and much slower on a busy processor.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])


def _tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    most = _json(folder / "sentence_bert_config.json").get("max_seq_length", MOST_TOKENS)
    tokenizer.enable_truncation(max_length=most)
    tokenizer.no_padding()
    return tokenizer


def _json(path: Path) -> dict[str, Any]:
    return orjson.loads(path.read_bytes()) if path.is_file() else {}
