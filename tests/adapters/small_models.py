"""Embedding models of a few numbers, in the files of a real export."""

from pathlib import Path

import numpy as np
import onnx
import orjson
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WIDTH, WORDS = 8, 400


def write_model(
    folder: Path,
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    most_tokens: int | None = None,
    pooling: dict[str, bool] | None = None,
) -> Path:
    """Write a model that looks each token up and adds what its further inputs hold."""
    table = np.random.default_rng(0).standard_normal((WORDS, WIDTH)).astype(np.float32)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["x0"])]
    axes = numpy_helper.from_array(np.array([2], dtype=np.int64), "axes")
    for number, name in enumerate(inputs[1:]):
        nodes += [
            helper.make_node("Unsqueeze", [name, "axes"], [f"wide{number}"]),
            helper.make_node("Cast", [f"wide{number}"], [f"float{number}"], to=TensorProto.FLOAT),
            helper.make_node("Add", [f"x{number}", f"float{number}"], [f"x{number + 1}"]),
        ]
    last = f"x{len(inputs) - 1}"
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["texts", "tokens", WIDTH])],
        [numpy_helper.from_array(table, "table"), axes],
    )
    opset = helper.make_opsetid("", 17)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=helper.find_min_ir_version_for([opset]))
    onnx.save_model(made, folder / "model.onnx")
    _write_tokenizer(folder)
    if most_tokens is not None:
        (folder / "sentence_bert_config.json").write_bytes(orjson.dumps({"max_seq_length": most_tokens}))
    if pooling is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_bytes(orjson.dumps(pooling))
    return folder


def _write_tokenizer(folder: Path) -> None:
    """One token for each character, with one before each text, as BERT's has."""
    vocabulary = {"[UNK]": 0, "[CLS]": 1} | {chr(code): code for code in range(2, WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 1)])
    # As published tokenizers do: a fixed length, which a text must not be padded to.
    tokenizer.enable_padding(length=128, pad_id=0, pad_token="[UNK]")
    tokenizer.save(str(folder / "tokenizer.json"))
