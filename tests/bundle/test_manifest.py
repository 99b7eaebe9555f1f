"""What a bundle says of itself, and the check that it is still true."""

import json
from pathlib import Path

import pytest

from rankloop.bundle.manifest import FORMAT, Manifest, content_id, fingerprint, verify
from rankloop.errors import BundleError

AS_OF = "2026-03-04T00:00:00+00:00"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "ranker").mkdir()
    (tmp_path / "ranker" / "model.txt").write_text("tree")
    (tmp_path / "items.parquet").write_bytes(b"items")
    files = {path: fingerprint(tmp_path / path) for path in ("ranker/model.txt", "items.parquet")}
    manifest = Manifest(FORMAT, content_id(AS_OF, files.items()), AS_OF, AS_OF, (), (), "x", (), 10, {}, {}, files)
    manifest.write(tmp_path)
    return tmp_path


def test_an_untouched_bundle_is_true(bundle: Path) -> None:
    verify(bundle, Manifest.read(bundle))


def test_one_altered_byte_is_found(bundle: Path) -> None:
    (bundle / "ranker" / "model.txt").write_text("trees")
    with pytest.raises(BundleError, match=r"ranker/model.txt was altered"):
        verify(bundle, Manifest.read(bundle))


def test_a_missing_file_is_named(bundle: Path) -> None:
    (bundle / "items.parquet").unlink()
    with pytest.raises(BundleError, match=r"items.parquet is missing"):
        verify(bundle, Manifest.read(bundle))


def test_a_file_that_was_slipped_in_is_named(bundle: Path) -> None:
    (bundle / "ranker" / "extra.pkl").write_bytes(b"")
    with pytest.raises(BundleError, match=r"ranker/extra.pkl is not in its manifest"):
        verify(bundle, Manifest.read(bundle))


def test_a_link_out_of_the_bundle_is_refused(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "items.parquet"
    outside.write_bytes(b"items")
    (bundle / "items.parquet").unlink()
    (bundle / "items.parquet").symlink_to(outside)
    with pytest.raises(BundleError, match="outside the bundle"):
        verify(bundle, Manifest.read(bundle))


@pytest.mark.parametrize(("change", "words"), [({"format": 99}, "format 99"), ({"extra": 1}, "unknown field")])
def test_another_format_is_refused(bundle: Path, change: dict[str, int], words: str) -> None:
    file = bundle / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BundleError, match=words):
        Manifest.read(bundle)


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        Manifest.read(tmp_path)


def test_the_id_names_the_content_and_not_the_order_or_the_clock() -> None:
    files = [("a", "1"), ("b", "2")]
    assert content_id(AS_OF, files) == content_id(AS_OF, reversed(files))
    assert content_id(AS_OF, files) != content_id(AS_OF, [("a", "1"), ("b", "3")])
    assert content_id(AS_OF, files).startswith("r20260304-")
