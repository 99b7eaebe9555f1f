"""The sentence encoder in PyTorch, as its own libraries compute it: what the ONNX session is compared with."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

__all__ = ["torch_encoder"]

Vector = npt.NDArray[np.float32]


def torch_encoder(folder: Path, tokenizer: Any) -> Callable[[str], Vector] | None:
    """A function from a text to its vector, on one thread; None where PyTorch is not installed."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    functional = torch.nn.functional
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = {name: torch.from_numpy(value) for name, value in load_file(folder / "model.safetensors").items()}
    heads, width, eps = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]

    tables = ("word", "position", "token_type")

    def dense(x: Any, key: str) -> Any:
        return functional.linear(x, weights[f"{key}.weight"], weights[f"{key}.bias"])

    def norm(x: Any, key: str) -> Any:
        return functional.layer_norm(x, (width,), weights[f"{key}.weight"], weights[f"{key}.bias"], eps)

    def layer(x: Any, key: str) -> Any:
        q, k, v = (
            dense(x, f"{key}attention.self.{part}").view(-1, heads, width // heads).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(q[None], k[None], v[None])[0].transpose(0, 1).reshape(-1, width)
        x = norm(x + dense(mixed, f"{key}attention.output.dense"), f"{key}attention.output.LayerNorm")
        inner = functional.gelu(dense(x, f"{key}intermediate.dense"))
        return norm(x + dense(inner, f"{key}output.dense"), f"{key}output.LayerNorm")

    def encode(text: str) -> Vector:
        ids = tokenizer.encode(text).ids
        with torch.inference_mode():
            words, places, kinds = (weights[f"embeddings.{name}_embeddings.weight"] for name in tables)
            x = norm(words[ids] + places[: len(ids)] + kinds[0], "embeddings.LayerNorm")
            for place in range(config["num_hidden_layers"]):
                x = layer(x, f"encoder.layer.{place}.")
            vector: Vector = functional.normalize(x.mean(0), dim=0).numpy()
        return vector

    return encode
