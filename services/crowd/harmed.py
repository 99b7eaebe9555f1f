"""A release that is bad on purpose, out of a good one: what a canary has to find and take back."""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec
import numpy as np
import polars as pl

from components.bento import build_bento
from rankloop.bundle import Manifest, verify
from rankloop.bundle.manifest import content_id, fingerprint
from rankloop.contracts import Columns
from rankloop.errors import BundleError

__all__ = ["HARMS", "altered", "harm", "harmed_bento"]

_LEAVES: Final = re.compile(r"^(leaf_value|internal_value)=(.*)$", re.MULTILINE)
_SIZES: Final = re.compile(r"^tree_sizes=(.*)$", re.MULTILINE)
_SPLITS: Final = re.compile(r"^split_feature=(.*)$", re.MULTILINE)


def _reversed(folder: Path) -> None:
    """Negates every leaf, as a loss whose sign is wrong would have it: the worst candidates come first."""
    _rewrite(folder, lambda text, _: _LEAVES.sub(lambda line: f"{line[1]}={' '.join(map(_negated, line[2].split()))}", text))


def _shifted(folder: Path) -> None:
    """Lets every split read the next column, as a feature that was added to one side only would have it."""

    def moved(text: str, width: int) -> str:
        def columns(line: re.Match[str]) -> str:
            return f"split_feature={' '.join(str((int(column) + 1) % width) for column in line[1].split())}"

        return _SPLITS.sub(columns, text)

    _rewrite(folder, moved)


def _halved(folder: Path) -> None:
    """Closes half of the jobs before they open, as a join that lost rows would have it: they are never shown."""
    file = folder / "rules" / "openings.npz"
    with np.load(file, allow_pickle=False) as stored:
        opened, closed = stored["opened"], stored["closed"]
    ids = pl.read_parquet(folder / "items.parquet", columns=[Columns.ITEM_ID])[Columns.ITEM_ID].to_list()
    lost = np.array([crc32(item.encode()) % 2 == 0 for item in ids])
    np.savez(file, opened=opened, closed=np.where(lost, opened, closed))


HARMS: Final[dict[str, Callable[[Path], None]]] = {"reversed": _reversed, "shifted": _shifted, "halved": _halved}
"""What can be done to a release, by name; each docstring names the bug that would do it."""


def harm(bundle: Path, folder: Path, how: str, *, created_at: datetime) -> Manifest:
    """Makes a bad bundle of a good one: it opens, answers and passes every check of its files, but its lists are bad.

    It is named as what it is: its lineage says which release it was and what was done to it. Its offline numbers are
    the good release's, as they would be where a bug comes in after the evaluation.

    Args:
        bundle: the good bundle's folder.
        folder: where the bad one goes; replaced where it exists.
        how: one of `HARMS`.
        created_at: the present moment, UTC.

    Raises:
        BundleError: the bundle is not intact, there is no such harm, or its ranker has no trees to harm.
    """
    if how not in HARMS:
        raise BundleError(f"there is no harm {how!r}; there are {', '.join(HARMS)}")
    done = (HARMS[how].__doc__ or how).split("\n", 1)[0]
    told = {"harmed": how, "harmed_from": Manifest.read(bundle).release_id, "harm": done}
    return altered(bundle, folder, HARMS[how], created_at=created_at, lineage=told)


def altered(
    bundle: Path,
    folder: Path,
    change: Callable[[Path], None],
    *,
    created_at: datetime,
    lineage: Mapping[str, str],
    as_of: str = "",
) -> Manifest:
    """Makes a release of its own out of another one: its files are changed, and its manifest vouches for them.

    Args:
        bundle: the other one's folder.
        folder: where the new one goes; replaced where it exists.
        change: changes files of a folder.
        created_at: the present moment, UTC.
        lineage: what else it says of where it comes from.
        as_of: the newest moment it says it knows, ISO 8601; empty: as the other one.

    Raises:
        BundleError: the bundle is not intact, or cannot be changed so.
    """
    good = Manifest.read(bundle)
    verify(bundle, good)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(bundle, folder)
    change(folder)
    files, known = {path: fingerprint(folder / path) for path in good.files}, as_of or good.as_of
    new = msgspec.structs.replace(
        good,
        release_id=content_id(known, files.items()),
        as_of=known,
        created_at=created_at.isoformat(),
        lineage={**good.lineage, **lineage},
        files=files,
    )
    new.write(folder)
    verify(folder, new)
    return new


def harmed_bento(bundle: Path, store: Path, how: str, *, created_at: datetime) -> dict[str, Any]:
    """A bad release's Bento in a store.

    Args:
        bundle: the good bundle's folder.
        store: the Bento store.
        how: one of `HARMS`.
        created_at: the present moment, UTC.

    Returns:
        `tag`, `path`, `release_id`, `seconds`, `bytes`, as for any Bento.

    Raises:
        BundleError: as `harm`, or BentoML refuses it.
    """
    with tempfile.TemporaryDirectory(prefix="harmed-") as aside:
        folder = Path(aside) / "bundle"
        harm(bundle, folder, how, created_at=created_at)
        return build_bento(folder, store)


def _negated(number: str) -> str:
    return number[1:] if number.startswith("-") else f"-{number}"


def _rewrite(folder: Path, change: Callable[[str, int], str]) -> None:
    """Changes the trees' text, and the record that vouches for it."""
    model, record = folder / "ranker" / "model.txt", folder / "ranker" / "ranker.json"
    if not model.is_file():
        raise BundleError(f"{folder} has no trees to harm; give a release whose ranker is lambdamart, or the harm 'halved'")
    facts = json.loads(record.read_text("utf-8"))
    text = _tree_by_tree(model.read_text("utf-8"), lambda tree: change(tree, len(facts["names"])))
    model.write_text(text, "utf-8")
    record.write_text(json.dumps({**facts, "sha256": hashlib.sha256(text.encode()).hexdigest()}, indent=2) + "\n", "utf-8")


def _tree_by_tree(text: str, change: Callable[[str], str]) -> str:
    """Changes each tree, and the lengths in the head by which LightGBM finds them."""
    sizes = _SIZES.search(text)
    if sizes is None:
        raise BundleError("the trees' text says nothing of their lengths, so it is not LightGBM's; package the release again")
    head, at, trees = text[: text.index("Tree=0\n")], text.index("Tree=0\n"), []
    for size in map(int, sizes[1].split()):
        trees.append(change(text[at : at + size]))
        at += size
    lengths = f"tree_sizes={' '.join(str(len(tree)) for tree in trees)}"
    return _SIZES.sub(lengths, head, count=1) + "".join(trees) + text[at:]
