"""The encoder's benchmark: it names the data it lacks, takes turns fairly, and its PyTorch is the same model."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import encoder
from benchmarks._torch_bert import torch_encoder
from rankloop.testing import tiny_encoder
from rankloop.text import Encoder, export


def test_data_that_are_not_there_are_skipped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_encoder(tmp_path / "tiny")
    monkeypatch.setattr(encoder, "packaged", lambda: source)
    monkeypatch.setattr(encoder, "DATA", tmp_path)
    result = encoder.run(quick=True)
    assert result.figures["scifact"] == "skipped: scifact is not there"
    assert result.figures["items"] > 0


def test_the_first_round_of_every_way_only_warms_up() -> None:
    calls: list[str] = []
    took = encoder._in_turn({"a": [(calls.append, "a1"), (calls.append, "a2")], "b": [(calls.append, "b")]}, rounds=2)
    assert calls == ["a1", "a2", "b"] * 3
    assert set(took) == {"a", "b"}


def test_the_model_in_pytorch_is_the_model_in_onnx(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    source = tiny_encoder(tmp_path / "tiny")
    export(source, tmp_path / "float32")
    floats = Encoder(tmp_path / "float32")
    eager = torch_encoder(source, floats._tokenizer)
    for text in ("a logo", "tax and audit, for a garden"):
        np.testing.assert_allclose(eager(text), floats.encode([text])[0], atol=1e-5)
