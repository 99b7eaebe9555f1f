"""BERT as an ONNX graph, from the folder of a sentence encoder: tokens in, one vector of unit length out."""

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError

__all__ = ["LONGEST", "bert_graph"]

LONGEST: Final = 256
"""Tokens of a text that are read at most."""

_OPSET: Final = 21
_IR: Final = 10
_ASKED: Final = {"model_type": "bert", "hidden_act": "gelu"}

Array = npt.NDArray[Any]


class _Shape(NamedTuple):
    """The numbers of `config.json` that make a BERT."""

    width: int
    heads: int
    layers: int
    tokens: int
    epsilon: float


def bert_graph(folder: Path) -> Any:
    """The whole encoder as an `onnx.ModelProto` with float32 weights; the same folder gives the same bytes.

    Inputs are `ids`, `(batch, tokens)` int64, and `mask`, the same shape, float32, 0 where a token only fills up; the
    output is `embedding`, `(batch, width)` float32: the mean over tokens, of length 1.

    Raises:
        ModelError: the folder holds something else than a BERT with mean pooling.

    Source: J. Devlin et al., "BERT", NAACL 2019; N. Reimers, I. Gurevych, "Sentence-BERT", EMNLP 2019 (the mean).
    """
    import onnx
    from onnx import TensorProto, helper

    shape, weights = _shape(folder), _weights(folder)
    build = _Builder(weights)
    hidden = _embeddings(build, shape)
    bias = _mask_bias(build)
    for layer in range(shape.layers):
        hidden = _layer(build, shape, f"encoder.layer.{layer}.", hidden, bias)
    _mean(build, hidden)
    sides = ["batch", "tokens"]
    graph = helper.make_graph(
        build.nodes,
        "encoder",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, sides),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, sides),
        ],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", shape.width])],
        build.constants(),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR, producer_name="rankloop")
    onnx.checker.check_model(model)
    return model


class _Builder:
    """Nodes and constants in the order in which they were asked for."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self.weights, self.nodes = weights, list[Any]()
        self._constants: dict[str, Array] = {}

    def weight(self, name: str) -> Array:
        """A weight of the folder, float32."""
        if name not in self.weights:
            raise ModelError(f"the encoder's weights lack {name!r}; give a sentence encoder of the BERT family")
        return self.weights[name].astype(np.float32)

    def constant(self, name: str, value: npt.ArrayLike, kind: Any = np.float32) -> str:
        """A constant under a name of its own; named twice it is the same."""
        self._constants.setdefault(name, np.ascontiguousarray(value, kind).reshape(np.shape(value)))
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of integers."""
        return self.constant("integers." + ".".join(map(str, values)), values, np.int64)

    def node(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        """One operation with one output, which gives the output its name."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def linear(self, x: str, weight: Array, bias: Array, name: str) -> str:
        """`x W^T + b`, as PyTorch keeps its weights."""
        product = self.node("MatMul", x, self.constant(f"{name}.weight", weight.T), name=f"{name}.product")
        return self.node("Add", product, self.constant(f"{name}.bias", bias), name=name)

    def dense(self, x: str, key: str) -> str:
        """The linear layer of a name in the folder."""
        return self.linear(x, self.weight(f"{key}.weight"), self.weight(f"{key}.bias"), key)

    def norm(self, x: str, key: str, epsilon: float) -> str:
        """Layer normalisation over the last axis."""
        scale, shift = (self.constant(f"{key}.{part}", self.weight(f"{key}.{part}")) for part in ("weight", "bias"))
        return self.node("LayerNormalization", x, scale, shift, name=key, axis=-1, epsilon=epsilon)

    def constants(self) -> list[Any]:
        """The constants as tensors."""
        from onnx import numpy_helper

        return [numpy_helper.from_array(value, name) for name, value in self._constants.items()]


def _embeddings(build: _Builder, shape: _Shape) -> str:
    """Words and places; every text is the first of its pair, so that type is added to the places."""
    words = build.constant("words", build.weight("embeddings.word_embeddings.weight"))
    first = build.weight("embeddings.token_type_embeddings.weight")[0]
    places = build.constant("places", build.weight("embeddings.position_embeddings.weight")[: shape.tokens] + first)
    length = build.node("Gather", build.node("Shape", "ids", name="shape"), build.integers(1), name="length")
    place = build.node("Slice", places, build.integers(0), length, build.integers(0), name="place")
    both = build.node("Add", build.node("Gather", words, "ids", name="word"), place, name="embeddings")
    return build.norm(both, "embeddings.LayerNorm", shape.epsilon)


def _mask_bias(build: _Builder) -> str:
    """`(batch, 1, 1, tokens)`: 0 where there is a token, far below every product where there is none."""
    wide = build.node("Unsqueeze", "mask", build.integers(1, 2), name="mask.wide")
    less = build.node("Sub", wide, build.constant("one", np.float32(1)), name="mask.less")
    return build.node("Mul", less, build.constant("far", np.float32(1e9)), name="mask.bias")


def _layer(build: _Builder, shape: _Shape, key: str, x: str, bias: str) -> str:
    attended = build.dense(_attention(build, shape, f"{key}attention.self.", x, bias), f"{key}attention.output.dense")
    x = build.norm(build.node("Add", x, attended, name=f"{key}attended"), f"{key}attention.output.LayerNorm", shape.epsilon)
    inner = build.node("Gelu", build.dense(x, f"{key}intermediate.dense"), name=f"{key}gelu")
    out = build.node("Add", x, build.dense(inner, f"{key}output.dense"), name=f"{key}out")
    return build.norm(out, f"{key}output.LayerNorm", shape.epsilon)


def _attention(build: _Builder, shape: _Shape, key: str, x: str, bias: str) -> str:
    """All heads; query, key and value come of one product, the query divided beforehand by the root of a head's width."""
    width, root = shape.width // shape.heads, np.sqrt(np.float32(shape.width // shape.heads))
    parts = [[build.weight(f"{key}{part}.{side}") for part in ("query", "key", "value")] for side in ("weight", "bias")]
    weight, shift = (np.concatenate([own[0] / root, *own[1:]]).astype(np.float32) for own in parts)
    three = build.linear(x, weight, shift, f"{key}three")
    apart = build.node("Reshape", three, build.integers(0, 0, 3, shape.heads, width), name=f"{key}apart")
    # (3, batch, heads, tokens, width)
    heads = build.node("Transpose", apart, name=f"{key}heads", perm=[2, 0, 3, 1, 4])
    q, k, v = (
        build.node("Gather", heads, build.constant(f"place.{place}", place, np.int64), name=f"{key}{part}", axis=0)
        for place, part in enumerate("qkv")
    )
    across = build.node("Transpose", k, name=f"{key}across", perm=[0, 1, 3, 2])
    logits = build.node("Add", build.node("MatMul", q, across, name=f"{key}products"), bias, name=f"{key}logits")
    mixed = build.node("MatMul", build.node("Softmax", logits, name=f"{key}softmax", axis=-1), v, name=f"{key}mixed")
    # (batch, tokens, heads, width)
    back = build.node("Transpose", mixed, name=f"{key}back", perm=[0, 2, 1, 3])
    return build.node("Reshape", back, build.integers(0, 0, shape.width), name=f"{key}joined")


def _mean(build: _Builder, x: str) -> None:
    """The sum over tokens made of length 1, which is the mean made of length 1."""
    real = build.node("Mul", x, build.node("Unsqueeze", "mask", build.integers(2), name="mask.deep"), name="real")
    total = build.node("ReduceSum", real, build.integers(1), name="total", keepdims=0)
    build.node("LpNormalization", total, name="embedding", axis=-1, p=2)


def _shape(folder: Path) -> _Shape:
    config = _json(folder / "config.json")
    wrong = {name: config.get(name) for name, asked in _ASKED.items() if config.get(name) != asked}
    wrong |= {} if config.get("position_embedding_type", "absolute") == "absolute" else {"position_embedding_type": "relative"}
    pooling = _json(file) if (file := folder / "1_Pooling" / "config.json").is_file() else {"pooling_mode_mean_tokens": True}
    modes = sorted(name for name, value in pooling.items() if name.startswith("pooling_mode_") and value is True)
    if wrong or modes != ["pooling_mode_mean_tokens"]:
        raise ModelError(f"{folder}: {wrong or modes} is not read; give an encoder of the BERT family with mean pooling")
    return _Shape(
        config["hidden_size"],
        config["num_attention_heads"],
        config["num_hidden_layers"],
        min(LONGEST, config["max_position_embeddings"]),
        config["layer_norm_eps"],
    )


def _weights(folder: Path) -> dict[str, Array]:
    from safetensors.numpy import load_file

    if not (file := folder / "model.safetensors").is_file():
        raise ModelError(f"{file} is missing; give the folder of a sentence encoder saved as safetensors")
    return {name.removeprefix("bert."): value for name, value in load_file(file).items()}


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise ModelError(f"{file} is missing; give the folder of a sentence encoder, with its config.json")
    read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return read
