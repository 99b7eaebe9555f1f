"""The two formats of `user item item ...` lines, and the artificial times both get."""

import gzip
import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.contracts import Tables, validate
from rankloop.errors import SourceError
from rankloop.judgements import judged_requests
from rankloop.sources import read
from rankloop.sources.artificial import HISTORY_DAYS, START
from rankloop.splits import before, between, by_time

DAY = timedelta(days=1)


def lightgcn(folder: Path, train: str, test: str) -> Tables:
    (folder / "train.txt.gz").write_bytes(gzip.compress(train.encode()))
    (folder / "test.txt").write_text(test)
    return validate(read("lightgcn", str(folder))).tables


def sequences(folder: Path, lines: str) -> Tables:
    (folder / "Some.txt").write_text(lines)
    return validate(read("sequences", str(folder / "Some.txt"))).tables


def pairs(tables: Tables) -> set[tuple[str, str]]:
    return set(tables.outcomes.select("user_id", "item_id").rows())


def test_train_comes_before_the_last_day_and_test_is_the_last_day(tmp_path):
    tables = lightgcn(tmp_path, "0 1 2 3\n7 1\n", "0 4 5\n7 2\n")
    cut = START + HISTORY_DAYS * DAY
    assert pairs(before(tables, cut)) == {("0", "1"), ("0", "2"), ("0", "3"), ("7", "1")}
    assert pairs(between(tables, cut, cut + DAY)) == {("0", "4"), ("0", "5"), ("7", "2")}


def test_a_users_test_set_is_one_request(tmp_path):
    tables = lightgcn(tmp_path, "0 1 2 3\n7 1\n", "0 4 5\n7 2\n")
    judged = judged_requests(tables, START + HISTORY_DAYS * DAY, START + (HISTORY_DAYS + 1) * DAY)
    assert judged.items == [["4", "5"], ["2"]]
    assert [list(own) for own in judged.grades] == [[1, 1], [1]]


def test_train_is_spread_over_the_days_of_history_in_the_order_of_the_line(tmp_path):
    tables = lightgcn(tmp_path, "0 9 8 7\n", "0 1\n")
    shown = before(tables, START + HISTORY_DAYS * DAY).impressions
    assert shown["item_id"].to_list() == ["9", "8", "7"]
    assert shown["ts"].to_list() == [START + n * HISTORY_DAYS // 3 * DAY for n in range(3)]


def test_more_items_than_days_share_requests(tmp_path):
    many = range(2 * HISTORY_DAYS)
    tables = lightgcn(tmp_path, "0 " + " ".join(map(str, many)), "0 999\n")
    assert tables.impressions["request_id"].n_unique() == HISTORY_DAYS + 1
    assert tables.impressions["item_id"].to_list() == [*map(str, many), "999"]


def test_a_user_without_items_and_a_repeated_item_do_no_harm(tmp_path):
    tables = lightgcn(tmp_path, "0 1 1\n3\n4 \n\n", "0 2\n")
    assert tables.users["user_id"].to_list() == ["0"]
    assert pairs(tables) == {("0", "1"), ("0", "2")}


def test_a_user_with_two_lines_is_refused(tmp_path):
    with pytest.raises(SourceError, match="user '0' has two lines"):
        lightgcn(tmp_path, "0 1\n0 2\n", "0 3\n")


def test_the_last_item_is_the_test_and_the_second_last_the_validation(tmp_path):
    tables = sequences(tmp_path, "1 10 11 12 13\n2 10 14 15\n")
    split = by_time(tables, train_days=HISTORY_DAYS - 1, validation_days=1, test_days=1)
    assert pairs(between(tables, split.test_from, split.end)) == {("1", "13"), ("2", "15")}
    assert pairs(between(tables, split.validation_from, split.test_from)) == {("1", "12"), ("2", "14")}
    assert pairs(before(tables, split.validation_from)) == {("1", "10"), ("1", "11"), ("2", "10")}


def test_a_user_with_two_items_is_all_history(tmp_path):
    tables = sequences(tmp_path, "1 10 11 12\n2 20 21\n")
    assert {("2", "20"), ("2", "21")} <= pairs(before(tables, START + HISTORY_DAYS * DAY))


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=12), min_size=1, max_size=4))
def test_the_order_of_a_sequence_is_kept_item_by_item_repeats_included(tmp_path_factory, users):
    folder = tmp_path_factory.mktemp("sequences")
    lines = "\n".join(f"{user} {' '.join(map(str, items))}" for user, items in enumerate(users))
    tables = sequences(folder, lines)
    for user, items in enumerate(users):
        own = tables.impressions.filter(pl.col("user_id") == str(user))
        assert own["item_id"].to_list() == [str(item) for item in items]
        assert own["ts"].is_sorted()
        assert own["ts"].n_unique() == len(items)


def test_attributes_become_skills(tmp_path):
    (tmp_path / "Some_item2attributes.json").write_text(json.dumps({"10": [3, 4], "99": [5]}))
    items = sequences(tmp_path, "1 10 11 12\n").items
    assert dict(items.select("item_id", "skills").rows()) == {"10": ["3", "4"], "11": None, "12": None}


@pytest.mark.parametrize("content", ["[1, 2]", '{"10": 3}', "{"])
def test_attributes_of_another_form_are_refused(tmp_path, content):
    (tmp_path / "Some_item2attributes.json").write_text(content)
    with pytest.raises(SourceError, match=r"must be JSON of the form"):
        sequences(tmp_path, "1 10 11 12\n")


def test_a_folder_may_hold_other_texts_beside_the_sequences(tmp_path):
    (tmp_path / "SOURCE.txt").write_text("where this comes from\n")
    (tmp_path / "Some.txt").write_text("1 10 11 12\n")
    assert read("sequences", str(tmp_path))["impressions"].height == 3


def test_a_folder_of_two_sequence_files_asks_for_one(tmp_path):
    for name in ("One.txt", "Two.txt"):
        (tmp_path / name).write_text("1 10 11 12\n")
    with pytest.raises(SourceError, match=r"must hold one .txt file .* it has \['One.txt', 'Two.txt'\]"):
        read("sequences", str(tmp_path))


@pytest.mark.parametrize("source", ["contract", "job_views", "lightgcn", "sequences"])
def test_a_place_that_does_not_exist_is_named(tmp_path, source):
    with pytest.raises(SourceError, match="nowhere"):
        read(source, str(tmp_path / "nowhere"))


def test_gowalla_has_the_published_number_of_interactions(data):
    tables = validate(read("lightgcn", str(data("gowalla")))).tables
    assert (tables.users.height, tables.items.height) == (29_858, 40_981)
    cut = START + HISTORY_DAYS * DAY
    assert before(tables, cut).outcomes.height == 810_128
    assert between(tables, cut, cut + DAY).outcomes.height == 217_242


def test_amazon_beauty_has_the_published_numbers_and_every_user_has_a_test_item(data):
    tables = validate(read("sequences", str(data("amazon_beauty")))).tables
    assert (tables.users.height, tables.items.height, tables.outcomes.height) == (22_363, 12_101, 198_502)
    split = by_time(tables, train_days=30, validation_days=1, test_days=1)
    assert between(tables, split.test_from, split.end).outcomes.height == 22_363
    assert tables.items["skills"].null_count() == 0
