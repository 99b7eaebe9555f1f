"""A sentence encoder of a few kilobytes that knows what the words of the known world have to do with each other."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rankloop.testing.world import TRADES

__all__ = ["tiny_encoder"]

_WIDTH: Final = 32
_INNER: Final = 64
_LAYERS: Final = 2
_TOKENS: Final = 300
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

Floats = npt.NDArray[np.float32]


def tiny_encoder(folder: Path, *, rng: int | np.random.Generator = 0) -> Path:
    """Writes the folder of a BERT with mean pooling, and gives it back.

    Words of one trade of `known_world` point roughly in one direction, so that "poster" is near "logo" and far from
    "tax"; every other word says nothing. It is no language model: its layers pass on what they get.

    Args:
        folder: made where it is missing.
        rng: draws the weights; the same seed gives the same bytes.
    """
    from safetensors.numpy import save_file

    draw = np.random.default_rng(rng)
    words = [*_SPECIAL, *(word for own in TRADES.values() for word in own)]
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": _WIDTH,
        "num_attention_heads": 4,
        "num_hidden_layers": _LAYERS,
        "max_position_embeddings": _TOKENS,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(words)), encoding="utf-8")
    save_file(_weights(len(words), draw), folder / "model.safetensors")
    return folder


def _weights(words: int, draw: np.random.Generator) -> dict[str, Floats]:
    def zeros(*shape: int) -> Floats:
        return np.zeros(shape, np.float32)

    trades = 4 * np.eye(len(TRADES), _WIDTH).repeat([len(own) for own in TRADES.values()], axis=0)
    known = (trades + draw.standard_normal(trades.shape) / 2).astype(np.float32)
    weights = {
        "embeddings.word_embeddings.weight": np.concatenate([zeros(words - len(known), _WIDTH), known]),
        "embeddings.position_embeddings.weight": zeros(_TOKENS, _WIDTH),
        "embeddings.token_type_embeddings.weight": zeros(2, _WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(_LAYERS):
        key = f"encoder.layer.{layer}."
        square = [f"{key}attention.self.{part}" for part in ("query", "key", "value")] + [f"{key}attention.output.dense"]
        wide = {f"{key}intermediate.dense": (_INNER, _WIDTH), f"{key}output.dense": (_WIDTH, _INNER)}
        for name, shape in {**dict.fromkeys(square, (_WIDTH, _WIDTH)), **wide}.items():
            weights |= {f"{name}.weight": zeros(*shape), f"{name}.bias": zeros(shape[0])}
        norms += [f"{key}attention.output.LayerNorm", f"{key}output.LayerNorm"]
    for name in norms:
        weights |= {f"{name}.weight": 1 + zeros(_WIDTH), f"{name}.bias": zeros(_WIDTH)}
    return weights


def _tokenizer(words: list[str]) -> dict[str, Any]:
    """What the library `tokenizers` writes for WordPiece without pieces."""
    ids = {word: place for place, word in enumerate(words)}
    special = [{"id": ids[word], "content": word, "special": True} for word in _SPECIAL]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    first, last = ({"SpecialToken": {"id": word, "type_id": 0}} for word in ("[CLS]", "[SEP]"))
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [own | flags for own in special],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, text, last],
            "pair": [first, text, last, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {word: {"id": word, "ids": [ids[word]], "tokens": [word]} for word in ("[CLS]", "[SEP]")},
        },
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }
