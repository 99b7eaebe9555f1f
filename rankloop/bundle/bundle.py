"""The one artifact of a release: catalogue, features, retrievers, rules, ranker."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import polars as pl

from rankloop.bundle.manifest import FORMAT, Manifest, content_id, fingerprint, verify
from rankloop.bundle.reference import Reference
from rankloop.contracts import Columns
from rankloop.errors import BundleError
from rankloop.features import Assembler, FeatureStore
from rankloop.ranking import RANKERS, Ranker
from rankloop.recommender import Recommender
from rankloop.retrieval import RETRIEVERS, Blend, Retriever
from rankloop.rules import Rules
from rankloop.vocabulary import Vocabulary

__all__ = ["Bundle", "Parts"]

_ITEMS: Final = "items.parquet"
_USERS: Final = "users.parquet"
_T = TypeVar("_T")


@dataclass(frozen=True)
class Parts:
    """What a bundle is made of; every retriever was fitted on this very catalogue.

    Attributes:
        items: contract columns, in catalogue order.
        users: contract columns.
        store: the feature views' values, the latest of each key.
        retrievers: by name, in the order of the blend.
        rules: what may be shown.
        ranker: fitted.
        depth: how many candidates the ranker sees.
    """

    items: pl.DataFrame
    users: pl.DataFrame
    store: FeatureStore
    retrievers: Mapping[str, Retriever]
    rules: Rules
    ranker: Ranker
    depth: int

    def write(self, folder: Path) -> None:
        """Writes every part under `folder`, which must be empty."""
        self.items.write_parquet(folder / _ITEMS)
        self.users.write_parquet(folder / _USERS)
        self.store.save(_made(folder / "features"))
        self.rules.save(_made(folder / "rules"))
        self.ranker.save(_made(folder / "ranker"))
        for name, retriever in self.retrievers.items():
            retriever.save(_made(folder / "retrievers" / name))

    @classmethod
    def read(cls, folder: Path, manifest: Manifest) -> "Parts":
        """Reads what `write` wrote."""
        return cls(
            items=pl.read_parquet(folder / _ITEMS),
            users=pl.read_parquet(folder / _USERS),
            store=FeatureStore.load(folder / "features"),
            retrievers={
                name: _known(RETRIEVERS, "retriever", name).load(folder / "retrievers" / name) for name in manifest.retrievers
            },
            rules=Rules.load(folder / "rules"),
            ranker=_known(RANKERS, "ranker", manifest.ranker).load(folder / "ranker"),
            depth=manifest.depth,
        )


@dataclass(frozen=True)
class Bundle:
    """A release in memory, ready to answer; nothing in it is ever pickled or mutated.

    Attributes:
        manifest: what it says of itself.
        parts: what it is made of.
        catalogue: item ids to codes.
        recommender: from a request to a ranked list.
    """

    manifest: Manifest
    parts: Parts
    catalogue: Vocabulary
    recommender: Recommender

    @classmethod
    def open(cls, folder: str | Path, *, check: bool = True, threads: int = 1, lean: bool = False) -> "Bundle":
        """Opens a bundle's folder.

        Args:
            folder: what `Bundle.write` wrote.
            check: compare every file with its SHA-256 first; only a caller that just did so may skip it.
            threads: how many retrievers are asked at the same time.
            lean: keep of the items only ids and titles, of the users only ids, and of the feature views no rows beside the
                arrays: all that answering takes, in a third less memory; such a bundle cannot be written again.

        Raises:
            BundleError: a file is missing, altered, unknown, or of another format.
        """
        root = Path(folder)
        manifest = Manifest.read(root)
        if check:
            verify(root, manifest)
        parts = Parts.read(root, manifest)
        catalogue = Vocabulary(parts.items[Columns.ITEM_ID])
        recommender = _recommender(parts, catalogue, threads)
        if lean:
            parts.store.forget_rows()
            items = parts.items.select(Columns.ITEM_ID, Columns.TITLE)
            parts = replace(parts, items=items, users=parts.users.select(Columns.USER_ID))
        return cls(manifest, parts, catalogue, recommender)

    @staticmethod
    def write(
        parts: Parts,
        folder: str | Path,
        *,
        as_of: datetime,
        created_at: datetime,
        surfaces: tuple[str, ...],
        numbers: Mapping[str, float],
        lineage: Mapping[str, Any],
        reference: Reference | None = None,
    ) -> Manifest:
        """Writes a bundle aside and renames it into place; an existing folder is replaced whole."""
        target = Path(folder)
        with _aside(target) as root:
            parts.write(root)
            if reference is not None:
                reference.write(root)
            files = {str(file.relative_to(root)): fingerprint(file) for file in sorted(root.rglob("*")) if file.is_file()}
            manifest = Manifest(
                format=FORMAT,
                release_id=content_id(as_of.isoformat(), files.items()),
                created_at=created_at.isoformat(),
                as_of=as_of.isoformat(),
                surfaces=surfaces,
                retrievers=tuple(parts.retrievers),
                ranker=parts.ranker.name,
                features=parts.ranker.names,
                depth=parts.depth,
                numbers=dict(numbers),
                lineage=dict(lineage),
                files=files,
            )
            manifest.write(root)
        return manifest


def _recommender(parts: Parts, catalogue: Vocabulary, threads: int) -> Recommender:
    retrievers = list(parts.retrievers.values())
    assembler = Assembler(parts.store, parts.items, parts.users, catalogue, retrievers)
    if assembler.names != parts.ranker.names:
        odd = sorted(set(assembler.names) ^ set(parts.ranker.names))
        raise BundleError(f"the ranker was fitted on other features than the bundle assembles: {odd}; package it again")
    return Recommender(Blend(retrievers, threads=threads), parts.rules, assembler, parts.ranker, parts.depth)


def _known(registry: Mapping[str, _T], what: str, name: str) -> _T:
    if name not in registry:
        raise BundleError(f"{what} {name!r} is not known to this version; known are {sorted(registry)}")
    return registry[name]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    aside = target.with_name(f".{target.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
