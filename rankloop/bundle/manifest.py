"""What a bundle says of itself, and the check that it is still true."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from rankloop.errors import BundleError
from rankloop.files import write_aside

__all__ = ["FORMAT", "MANIFEST", "Manifest", "content_id", "fingerprint", "verify"]

FORMAT: Final = 2
"""The layout of a bundle's folder; a reader refuses any other."""

MANIFEST: Final = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first file to read of a bundle.

    Attributes:
        format: the layout, `FORMAT`.
        release_id: names the content: the same files give the same id.
        created_at: when it was packed, ISO 8601, UTC; not part of the id.
        as_of: the newest moment the models and features know, ISO 8601, UTC.
        surfaces: the product places it was trained for.
        retrievers: their names, in the order of the blend.
        ranker: its class's name.
        features: the ranker's features, in column order.
        depth: how many candidates the ranker sees.
        numbers: the offline metrics it was released with.
        lineage: fingerprints of what it was made from (data, feature recipe, code) and of the run.
        files: path within the folder to SHA-256, in hexadecimal.
    """

    format: int
    release_id: str
    created_at: str
    as_of: str
    surfaces: tuple[str, ...]
    retrievers: tuple[str, ...]
    ranker: str
    features: tuple[str, ...]
    depth: int
    numbers: dict[str, float]
    lineage: dict[str, Any]
    files: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Reads and checks the manifest alone, not the files it names."""
        file = folder / MANIFEST
        if not file.is_file():
            raise BundleError(f"{folder} is no bundle: {MANIFEST} is missing; give the folder that `package` wrote")
        try:
            manifest = msgspec.json.decode(file.read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            raise BundleError(f"{file} cannot be read: {error}; package the release again") from error
        if manifest.format != FORMAT:
            raise BundleError(f"{file} has format {manifest.format}, this version reads {FORMAT}; package it again")
        return manifest

    def write(self, folder: Path) -> None:
        """Writes the manifest; it is the last file of a bundle to appear."""
        write_aside(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(self, order="sorted"), indent=2).decode())


def fingerprint(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_id(as_of: str, fingerprints: Iterable[tuple[str, str]]) -> str:
    """The release's id: the day it knows up to, and eight digits of what its files hold.

    Example:
        >>> content_id("2026-03-04T00:00:00+00:00", [("ranker/model.txt", "ab" * 32)])
        'r20260304-a67b2c06'
    """
    digest = hashlib.sha256("".join(f"{path}:{sha}\n" for path, sha in sorted(fingerprints)).encode()).hexdigest()
    return f"r{as_of[:10].replace('-', '')}-{digest[:8]}"


def verify(folder: Path, manifest: Manifest) -> None:
    """Compares every file with its fingerprint.

    Raises:
        BundleError: a file is missing, altered, not in the manifest, or outside the folder.
    """
    root = folder.resolve()
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} - {MANIFEST}
    for path in sorted(there ^ set(manifest.files)):
        state = "is not in its manifest" if path in there else "is missing"
        raise BundleError(f"bundle {manifest.release_id}: {path} {state}; fetch or package the release again")
    for path, expected in manifest.files.items():
        file = (folder / path).resolve()
        if not file.is_relative_to(root):
            raise BundleError(f"bundle {manifest.release_id}: {path} lies outside the bundle; do not trust this copy")
        if fingerprint(file) != expected:
            raise BundleError(f"bundle {manifest.release_id}: {path} was altered; fetch or package the release again")
