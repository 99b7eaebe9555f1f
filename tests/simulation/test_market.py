"""The history of a tiny marketplace, as a whole."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from rankloop.contracts import Columns, Tables, validate
from rankloop.errors import DataError
from rankloop.simulation import Marketplace, Scale

SCALE = Scale.tiny()


@pytest.fixture(scope="module")
def market() -> Marketplace:
    return Marketplace(SCALE, rng=11)


@pytest.fixture(scope="module")
def tables(market: Marketplace) -> Tables:
    return market.history()


def fingerprint(tables: Tables) -> str:
    return hashlib.sha256(b"".join(frame.write_csv().encode() for _, frame in flat(tables))).hexdigest()


def flat(tables: Tables) -> list[tuple[str, pl.DataFrame]]:
    """The tables with their lists as text, so that they fit into CSV."""
    skills = pl.col(Columns.SKILLS).list.join("|")
    return [
        (name, frame.drop(Columns.FEATURES, strict=False).with_columns(skills if Columns.SKILLS in frame.columns else []))
        for name, frame in tables
    ]


def with_jobs(tables: Tables) -> pl.DataFrame:
    return tables.impressions.join(tables.items, on=Columns.ITEM_ID, validate="m:1")


def test_the_same_seed_gives_the_same_tables(tables: Tables) -> None:
    again = Marketplace(SCALE, rng=11).history()
    for name, frame in tables:
        assert_frame_equal(frame, getattr(again, name))


def test_another_seed_gives_other_tables(tables: Tables) -> None:
    assert fingerprint(Marketplace(SCALE, rng=12).history()) != fingerprint(tables)


@pytest.mark.parametrize(("hash_seed", "threads"), [("1", "1"), ("2", "4")])
def test_the_same_seed_gives_the_same_bytes_in_any_process(tables: Tables, hash_seed: str, threads: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_market as t\n"
        "from rankloop.simulation import Marketplace\nprint(t.fingerprint(Marketplace(t.SCALE, rng=11).history()))"
    )
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()} | dict.fromkeys(names, threads)
    done = subprocess.run([sys.executable, "-c", code, os.path.dirname(__file__)], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == fingerprint(tables), done.stderr


def test_a_generator_gives_the_seed() -> None:
    drawn = int(np.random.default_rng(5).integers(2**62))
    one = Marketplace(SCALE, rng=np.random.default_rng(5)).history()
    assert_frame_equal(one.impressions, Marketplace(SCALE, rng=drawn).history().impressions)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(DataError, match="must not be negative"):
        Marketplace(SCALE, rng=-1)


def test_every_row_is_good(tables: Tables) -> None:
    validated = validate(dict(tables))
    assert {name: frame.height for name, frame in validated.quarantine.items() if frame.height} == {}
    assert validated.tables.rows() == tables.rows()


def test_progress_is_told_day_by_day() -> None:
    seen: list[tuple[int, int]] = []
    Marketplace(SCALE, rng=1).history(progress=lambda done, days: seen.append((done, days)))
    assert seen == [(day, SCALE.days) for day in range(1, SCALE.days + 1)]


def test_the_target_of_impressions_is_met(tables: Tables) -> None:
    assert tables.impressions.height == SCALE.impressions


@pytest.mark.parametrize("impressions", [1, 40])
def test_a_marketplace_may_be_nearly_empty(impressions: int) -> None:
    scale = Scale(users=1, users_per_day=1, items=1, items_per_day=1, clients=1, days=40, impressions=impressions)
    tables = Marketplace(scale, rng=2).history()
    assert validate(dict(tables)).tables.rows() == tables.rows()


def test_positions_count_from_one_without_gaps(tables: Tables) -> None:
    lists = tables.impressions.group_by(Columns.REQUEST_ID).agg(Columns.POSITION)
    expected = list(range(1, SCALE.list_length + 1))
    assert all(sorted(positions) == expected for positions in lists[Columns.POSITION].to_list())


def test_tables_are_in_order_of_time(tables: Tables) -> None:
    assert tables.items[Columns.CREATED_AT].is_sorted()
    assert tables.users[Columns.CREATED_AT].is_sorted()
    assert tables.impressions[Columns.TS].is_sorted()
    assert tables.outcomes[Columns.TS].is_sorted()


def test_a_query_is_there_exactly_on_search(tables: Tables) -> None:
    searched = tables.impressions[Columns.SURFACE] == "job_search"
    assert (tables.impressions[Columns.QUERY].is_not_null() == searched).all()
    assert searched.mean() == pytest.approx(SCALE.search_share, abs=0.1)


def test_a_closed_job_is_never_shown(tables: Tables) -> None:
    shown = with_jobs(tables)
    assert shown.filter(pl.col(Columns.CLOSED_AT) <= pl.col(Columns.TS)).is_empty()
    assert shown.filter(pl.col(Columns.CLOSED_AT).is_not_null()).height > 0


def test_a_job_is_never_shown_before_it_is_posted(tables: Tables) -> None:
    assert with_jobs(tables).filter(pl.col(Columns.CREATED_AT) >= pl.col(Columns.TS)).is_empty()


def test_a_job_applied_for_is_not_shown_from_the_next_day_on(tables: Tables) -> None:
    applied = tables.outcomes.filter(pl.col(Columns.KIND) == "apply").select(Columns.USER_ID, Columns.ITEM_ID, applied=Columns.TS)
    later = tables.impressions.join(applied, on=[Columns.USER_ID, Columns.ITEM_ID])
    assert applied.height > 10
    assert later.filter(pl.col(Columns.TS).dt.date() > pl.col("applied").dt.date()).is_empty()


def test_nobody_applies_twice_for_a_job(tables: Tables) -> None:
    applied = tables.outcomes.filter(pl.col(Columns.KIND) == "apply")
    assert not applied.select(Columns.USER_ID, Columns.ITEM_ID).is_duplicated().any()


def test_nothing_happens_after_the_end_of_history(tables: Tables) -> None:
    end = SCALE.start + timedelta(days=SCALE.days)
    assert tables.outcomes[Columns.TS].max() < end  # type: ignore[operator]
    assert tables.items[Columns.CLOSED_AT].max() < end  # type: ignore[operator]


def test_new_items_and_users_come_every_day(tables: Tables) -> None:
    days = {SCALE.start.date() + timedelta(days=day) for day in range(SCALE.days)}
    assert days <= set(tables.items[Columns.CREATED_AT].dt.date())
    assert days <= set(tables.users[Columns.CREATED_AT].dt.date())


def test_numbers_are_of_a_sensible_size(tables: Tables) -> None:
    assert tables.items[Columns.BUDGET].is_between(5, 500_000).all()
    assert tables.items[Columns.DURATION_DAYS].is_between(1, 180).all()
    assert tables.users[Columns.HOURLY_RATE].is_between(3, 500).all()
    assert tables.items[Columns.SKILLS].list.len().is_between(3, 6).all()
    assert tables.users[Columns.SKILLS].list.len().is_between(5, 12).all()


def test_a_title_names_no_unfilled_part(tables: Tables) -> None:
    for column in (tables.items[Columns.TITLE], tables.items[Columns.DESCRIPTION], tables.users[Columns.HEADLINE]):
        assert not column.str.contains(r"[{}]").any()
