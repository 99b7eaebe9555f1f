"""The reference of a release: made once, where the release is packed."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Final

import numpy as np
import polars as pl

from rankloop.bundle.reference import Reference
from rankloop.contracts import Columns, Tables
from rankloop.drift import profile
from rankloop.drift.slices import count_slices
from rankloop.recommender import Recommender
from rankloop.text import Encoder
from rankloop.watch.judging import Usual, usual_of
from rankloop.watch.lists import made_lists, requests_of, shown_lists
from rankloop.watch.relations import LISTS, SHOWN, UNITS, charted, columns_of, raw_rows
from rankloop.watch.sampling import stratified
from rankloop.watch.slicing import labels_of
from rankloop.watch.vectors import VECTORS, WordVectors, encoder_of, vectors_of, words_of

__all__ = ["REQUESTS", "make_reference"]

REQUESTS: Final = 1_000
"""Requests whose lists are made, a surface."""

_SHARED: Final = ("items", "users", "outcomes")
_FEW: Final = 2_000
"""Rows of a table in the windows, below which all its rows until their end are the reference."""

_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


def make_reference(tables: Tables, release: Recommender, since: datetime, tested_from: datetime, until: datetime) -> Reference:
    """Counts what a release learned from.

    Items, users and outcomes are those of all its training and test windows, or of all time where those are few; requests and
    lists those of the test window, the newest. Lists are what the release itself would have shown there: what people were shown
    then was another release's choice, and would differ from what this one shows for that reason alone.

    Args:
        tables: the contract tables it was made of.
        release: as it would serve, with the features of every moment.
        since: where its training window begins.
        tested_from: where its test window begins.
        until: where that ends.
    """
    profiles, samples, hours, slices = {}, {}, {}, {}
    usual: dict[str, dict[str, Usual]] = {}
    raw = _raw(tables, since, tested_from, until)
    words = {} if encoder_of(release.assembler.retrievers, {}) else words_of(raw["items"])
    encoder = encoder_of(release.assembler.retrievers, words)
    for name, relation, rows in chain(_named(raw, encoder), _lists(tables, release, since, tested_from, until)):
        columns = columns_of(relation, rows, release.assembler.names)
        profiles[name] = profile(rows, columns, unit=UNITS.get(relation) if rows.height else None)
        usual[name] = usual_of(profiles[name], rows, UNITS.get(relation))
        slices[name] = count_slices(rows, labels_of(rows, tables), profiles[name].bins, unit=UNITS.get(relation))
        samples[name] = charted(relation, stratified(rows))
        if relation not in (LISTS, SHOWN, *VECTORS.values()) and rows.height:
            first: datetime = rows[Columns.TS].min()  # type: ignore[assignment]
            hours[name] = (until - first).total_seconds() / 3600
    return Reference(since, until, profiles, samples, hours, usual, words, slices)


def _raw(tables: Tables, since: datetime, tested_from: datetime, until: datetime) -> dict[str, pl.DataFrame]:
    """The rows of the tables, and of the requests of each surface, by the name of their profile."""
    shared, all_time = (raw_rows(tables, "", start, until) for start in (since, _BEGINNING))
    found = {name: shared[name] if shared[name].height >= _FEW else all_time[name] for name in _SHARED}
    for surface in _surfaces(tables):
        found[f"requests-{surface}"] = raw_rows(tables, surface, tested_from, until)["requests"]
    return found


def _named(raw: Mapping[str, pl.DataFrame], encoder: Encoder | WordVectors | None) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Each profile's name, its relation and its rows: of the tables, and of the vectors of their texts."""
    for name, rows in raw.items():
        relation, _, surface = name.partition("-")
        yield name, relation, rows
        # words were fitted on every other row: their own texts lie nearer than others do
        unseen = rows[1::2] if relation == "items" and isinstance(encoder, WordVectors) else rows
        for own, found in vectors_of({relation: unseen}, encoder).items():
            if found.height:
                yield f"{own}-{surface}" if surface else own, own, found


def _lists(
    tables: Tables, release: Recommender, since: datetime, tested_from: datetime, until: datetime
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """The same of what was shown, and of what the release would have shown."""
    for place, surface in enumerate(_surfaces(tables)):
        asked = requests_of(tables, surface, tested_from, until, most=REQUESTS, rng=np.random.default_rng([17, place]))
        yield f"{LISTS}-{surface}", LISTS, made_lists(release, asked)
        draw = np.random.default_rng([19, place])
        yield f"{SHOWN}-{surface}", SHOWN, shown_lists(release, tables, surface, since, until, most=REQUESTS, rng=draw)


def _surfaces(tables: Tables) -> list[str]:
    return tables.impressions[Columns.SURFACE].unique().sort().to_list()
