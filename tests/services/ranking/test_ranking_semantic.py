"""A release with the semantic retriever: complete in its folder, and answered from with nothing but its packages."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rankloop.bundle import Bundle
from rankloop.request import Request
from rankloop.testing import group_of, tiny_encoder
from tests.services.conftest import Release


@pytest.fixture(scope="module")
def meant(make_release: Callable[..., Release], tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release whose encoder is the tiny one; its folder is gone when the release is opened."""
    folder = tiny_encoder(tmp_path_factory.mktemp("tiny"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rankloop.retrieval.semantic.packaged", lambda: folder)
        release = make_release(0, ("popular", "bm25", "semantic"))
    for file in folder.iterdir():
        file.unlink()
    return release


def test_encoder_index_and_ranker_are_released_as_one(meant: Release) -> None:
    bundle = Bundle.open(meant.folder)
    assert "semantic_score" in bundle.manifest.features
    assert "retrievers/semantic/encoder/model.onnx" in bundle.manifest.files
    # no item holds both words, and "chord rehearsal" is close to all that are about pianos
    asked = Request("stranger", "job_search", meant.as_of + timedelta(hours=1), "chord rehearsal")
    found = bundle.recommender.recommend(asked, 5)
    assert {group_of(id_) for id_ in bundle.catalogue.decode(found.items)} == {"piano"}
    assert "semantic" in bundle.recommender.candidates(asked).sources


def test_a_release_is_opened_without_what_prepares_an_encoder(meant: Release) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['onnx', 'safetensors']));"
        "from rankloop.bundle import Bundle; Bundle.open(sys.argv[1])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])}
    subprocess.run([sys.executable, "-c", code, str(meant.folder)], check=True, env=environment)
