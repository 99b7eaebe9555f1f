"""Builds the Bento of a release: its bundle, the code that answers from it, and the packages they need.

Also a program, for whoever may not import services: `python -m services.ranking.bento build BUNDLE --store STORE`.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import services
from rankloop.bundle import Manifest, verify
from rankloop.errors import BundleError, RankloopError
from rankloop.retrieval import RETRIEVERS
from services.ranking.opening import BUNDLE

__all__ = ["NAME", "PACKAGES", "BuiltBento", "build_bento", "main", "packages_of"]

NAME: Final = "rankloop-ranking"
"""The Bento's name; its version is the release's id."""

PACKAGES: Final = (
    "bentoml",
    "duckdb",
    "lightgbm",
    "litestar",
    "lmdb",
    "msgspec",
    "numba",
    "numpy",
    "polars",
    "prometheus-client",
    "pyarrow",
    "pydantic-settings",
    "PyStemmer",
    "redis",
    "scipy",
    "uvicorn",
    "xxhash",
)
"""What every serving process imports, beside what these bring; the Bento asks for the versions installed here."""

_CODE: Final = (
    "rankloop",
    "monitoring",
    *(f"services/{part}.py" for part in ("__init__", "auth", "http", "openapi", "settings", "strict")),
    *(f"services/{part}" for part in ("events", "online", "ranking")),
)


@dataclass(frozen=True)
class BuiltBento:
    """A Bento in the store.

    Attributes:
        tag: `name:version`.
        path: its folder, absolute.
        release_id: the release in it.
        seconds: how long it took; 0 where it was there already.
        bytes: its size.
    """

    tag: str
    path: str
    release_id: str
    seconds: float
    bytes: int


def build_bento(bundle: Path, store: Path) -> BuiltBento:
    """Builds a Bento without asking the network for anything; the same bundle and code give the same Bento.

    BentoML runs in a process of its own: it settles its home folder when it is imported, and imports the service
    from the Bento's sources, not from here.

    Args:
        bundle: the bundle's folder.
        store: the Bento store, made where it is missing.

    Raises:
        BundleError: the bundle is not intact, or BentoML refuses it.
    """
    began = time.monotonic()
    manifest = Manifest.read(bundle)
    verify(bundle, manifest)
    code = _code_version()
    folder = store.resolve() / "bentos" / NAME / manifest.release_id
    if _is_current(folder, code):
        return _built(folder, manifest.release_id, 0.0)
    store.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store, prefix=".build-") as context:
        sources = Path(context)
        _gather(bundle, sources)
        (sources / "bentofile.yaml").write_text(json.dumps(_bentofile(manifest, code), indent=2))  # JSON is YAML
        shutil.rmtree(folder, ignore_errors=True)
        _run_bentoml(sources, store, manifest.release_id)
    return _built(folder, manifest.release_id, time.monotonic() - began)


def packages_of(manifest: Manifest) -> list[str]:
    """What a process that serves a release imports: `PACKAGES`, and what its retrievers add."""
    known = (RETRIEVERS[name] for name in manifest.retrievers if name in RETRIEVERS)
    return sorted({*PACKAGES, *(package for own in known for package in own.packages)}, key=str.lower)


def main(arguments: list[str] | None = None) -> int:
    """Builds, and prints the Bento as one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m services.ranking.bento", description="Build the Bento of a release.")
    build = parser.add_subparsers(required=True, dest="verb").add_parser("build", help="build a Bento from a bundle")
    build.add_argument("bundle", type=Path, help="the bundle's folder")
    build.add_argument("--store", type=Path, required=True, help="the Bento store")
    asked = parser.parse_args(arguments)
    try:
        built = build_bento(asked.bundle, asked.store)
    except RankloopError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(asdict(built)))
    return 0


def _bentofile(manifest: Manifest, code: str) -> dict[str, Any]:
    lineage = {f"lineage.{name}": str(value) for name, value in manifest.lineage.items() if isinstance(value, str)}
    return {
        "service": "services.ranking.bento_service:RankloopRanking",
        "name": NAME,
        "description": f"Release {manifest.release_id}: knows what happened up to {manifest.as_of}.",
        "labels": {"release_id": manifest.release_id, "as_of": manifest.as_of, "code": code, **lineage},
        "include": [f"{BUNDLE}/**", *(f"{path}/**" for path in ("rankloop", "monitoring", "services"))],
        "python": {"packages": [f"{name}=={version(name)}" for name in packages_of(manifest)], "lock_packages": False},
        "envs": [{"name": "BENTOML_DO_NOT_TRACK", "value": "True"}],
    }


def _run_bentoml(sources: Path, store: Path, release_id: str) -> None:
    # named by -f, or BentoML refuses a file below a hidden folder, which the home folder is
    named = ["-f", str(sources / "bentofile.yaml"), "--version", release_id, "--output", "tag"]
    command = [sys.executable, "-m", "bentoml", "build", *named, str(sources)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # the sources stand alone
    environment |= {"BENTOML_HOME": str(store.resolve()), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"BentoML could not build {release_id} (exit {done.returncode}): {done.stderr.strip()[-800:]}")


def _gather(bundle: Path, sources: Path) -> None:
    shutil.copytree(bundle, sources / BUNDLE, copy_function=_linked)
    for file in _code_files():
        target = sources / file.relative_to(_root())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk: copy instead
        shutil.copy(source, target)


def _root() -> Path:
    return Path(str(services.__file__)).resolve().parents[1]


def _code_files() -> Iterator[Path]:
    for part in _CODE:
        path = _root() / part
        files = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def _code_version() -> str:
    digest = hashlib.sha256()
    for file in _code_files():
        digest.update(str(file.relative_to(_root())).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _is_current(folder: Path, code: str) -> bool:
    """Whether the store holds this release with this very code, intact."""
    record, bundle = folder / "bento.yaml", folder / "src" / BUNDLE
    if not record.is_file() or code not in record.read_text():
        return False
    try:
        verify(bundle, Manifest.read(bundle))
    except BundleError:
        return False
    return True


def _built(folder: Path, release_id: str, seconds: float) -> BuiltBento:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return BuiltBento(f"{NAME}:{release_id}", str(folder), release_id, round(seconds, 2), size)


if __name__ == "__main__":
    sys.exit(main())
