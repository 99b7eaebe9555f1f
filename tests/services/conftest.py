"""A small, real release of the known world: every part of it is fitted, nothing is made up."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.bundle import Bundle
from rankloop.contracts import Columns, Tables
from rankloop.features import FeatureStore, compute, load_views
from rankloop.ranking import LambdaMart
from rankloop.recipe import Recipe
from rankloop.retrieval import RETRIEVERS
from rankloop.testing import known_world
from rankloop.training import bundle_parts, fit_retrievers, windows

CLOSED = "logo-i3"
"""An item that closed before the release's last moment."""


@dataclass(frozen=True)
class Release:
    """A bundle on disk, and what is known of it.

    Attributes:
        folder: the bundle's.
        tables: what it was made from.
        as_of: its last moment.
    """

    folder: Path
    tables: Tables
    as_of: datetime


@pytest.fixture(scope="session")
def make_release(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Release]:
    """Makes a release from a known world of a seed."""

    def made(seed: int) -> Release:
        tables = closed_early(known_world(days=20, rng=seed))
        recipe = Recipe(retrievers=tuple(RETRIEVERS), depth=40)
        views = load_views()
        store = FeatureStore(views, compute(views, tables))
        fits = fit_retrievers(tables, recipe, print)
        judged = windows(tables, store, fits, recipe, print)
        ranker = LambdaMart().fit(judged.training, judged.validation, rng=np.random.default_rng(seed))
        folder, as_of = tmp_path_factory.mktemp("release") / "bundle", last_moment(tables)
        Bundle.write(
            bundle_parts(tables, store, fits, ranker, recipe),
            folder,
            as_of=as_of,
            created_at=datetime(2026, 2, 1, tzinfo=UTC),
            surfaces=("job_feed", "job_search"),
            numbers={"ndcg@10": 0.5},
            lineage={"data": f"known world {seed}"},
        )
        return Release(folder, tables, as_of)

    return made


@pytest.fixture(scope="session")
def release(make_release: Callable[[int], Release]) -> Release:
    """The release most tests share."""
    return make_release(0)


@pytest.fixture(scope="session")
def bundle(release: Release) -> Bundle:
    """The same, opened."""
    return Bundle.open(release.folder)


def closed_early(tables: Tables) -> Tables:
    """The world, but one item closes a day before its end."""
    closing = last_moment(tables) - timedelta(days=1)
    column = pl.when(pl.col(Columns.ITEM_ID) == CLOSED).then(pl.lit(closing)).otherwise(pl.col(Columns.CLOSED_AT))
    items = tables.items.with_columns(column.cast(tables.items.schema[Columns.CLOSED_AT]).alias(Columns.CLOSED_AT))
    return replace(tables, items=items)


def last_moment(tables: Tables) -> datetime:
    """The newest event."""
    last = tables.outcomes[Columns.TS].max()
    assert isinstance(last, datetime)
    return last
