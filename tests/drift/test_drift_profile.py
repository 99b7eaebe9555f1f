from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest

from rankloop.drift import Column, Profile, profile
from rankloop.errors import DataError

COLUMNS = [
    Column("budget", "numeric", "items"),
    Column("country", "category", "users"),
    Column("skills", "list", "items"),
    Column("title", "text", "items"),
    Column("meaning", "embedding", "items"),
]


def rows(count: int, seed: int = 0) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    words = np.array(["senior", "paint", "wall,", "java", "Java", "remote"])
    return pl.DataFrame(
        {
            "user": draw.integers(0, max(count // 10, 1), count),
            "budget": np.where(draw.uniform(size=count) < 0.2, 0.0, draw.lognormal(3, 1, count)),
            "country": draw.choice(["de", "at", "ch", ""], count, p=[0.6, 0.2, 0.1, 0.1]),
            "skills": [draw.choice(["sql", "go", "css"], draw.integers(0, 4)).tolist() for _ in range(count)],
            "title": [" ".join(draw.choice(words, 3)) for _ in range(count)],
            "meaning": draw.normal(size=(count, 8)).astype(np.float32).tolist(),
        }
    )


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return rows(4_000)


@pytest.fixture(scope="module")
def reference(frame: pl.DataFrame) -> Profile:
    return profile(frame, COLUMNS)


def of(seen: Profile, name: str):
    at = next(at for at, own in enumerate(seen.bins.columns) if own.column.name == name)
    return seen.bins.columns[at], seen.columns[at]


def test_every_row_is_counted_once(frame: pl.DataFrame, reference: Profile) -> None:
    assert reference.rows == frame.height
    for own, found in zip(reference.bins.columns, reference.columns, strict=True):
        for part, counts in zip(own.parts, found.parts, strict=True):
            assert len(counts) == part.size == len(part.shown)
            if part.take not in ("elements", "words"):
                assert sum(counts) == found.filled - found.odd


def test_numbers_are_counted_where_numpy_counts_them(frame: pl.DataFrame, reference: Profile) -> None:
    own, found = of(reference, "budget")
    edges = np.array(own.parts[0].edges)
    expected = np.bincount(np.searchsorted(edges, frame["budget"].to_numpy(), side="left"), minlength=len(edges) + 1)
    assert found.parts[0] == tuple(expected.tolist())


def test_a_heavy_value_has_a_bin_of_its_own(frame: pl.DataFrame, reference: Profile) -> None:
    own, found = of(reference, "budget")
    assert found.parts[0][own.parts[0].edges.index(0.0)] == (frame["budget"] == 0).sum()


def test_labels_are_counted_and_an_empty_one_too(frame: pl.DataFrame, reference: Profile) -> None:
    own, found = of(reference, "country")
    counted = dict(zip(own.parts[0].shown, found.parts[0], strict=True))
    assert counted == {
        "de": (frame["country"] == "de").sum(),
        "at": (frame["country"] == "at").sum(),
        "ch": (frame["country"] == "ch").sum(),
        "(empty)": (frame["country"] == "").sum(),
        "(other)": 0,
    }


def test_elements_and_lengths_of_lists_are_counted(frame: pl.DataFrame, reference: Profile) -> None:
    own, found = of(reference, "skills")
    elements = dict(zip(own.parts[0].shown, found.parts[0], strict=True))
    assert elements["sql"] == (frame["skills"].explode() == "sql").sum()
    assert sum(elements.values()) == frame["skills"].list.len().sum()
    assert found.parts[1][:4] == tuple((frame["skills"].list.len() == length).sum() for length in range(4))


def test_a_word_is_the_same_in_capitals_and_before_a_comma(reference: Profile) -> None:
    own, found = of(reference, "title")
    assert own.parts[0].labels == ("java", "paint", "remote", "senior", "wall")
    assert sum(found.parts[0]) == 3 * 4_000
    assert found.parts[0][-1] == 0
    assert found.parts[0][0] > 1.5 * found.parts[0][1]


def test_a_window_of_the_same_rows_is_the_same_profile(frame: pl.DataFrame, reference: Profile) -> None:
    assert profile(frame, bins=reference.bins) == reference


def test_one_thread_and_two_give_the_same_profile(frame: pl.DataFrame, reference: Profile, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=500)
    assert profile(tmp_path / "a.parquet", COLUMNS, threads=1) == profile(tmp_path / "a.parquet", COLUMNS, threads=2)


def test_rows_may_come_from_anywhere(frame: pl.DataFrame, reference: Profile, tmp_path: Path) -> None:
    frame[:1500].write_parquet(tmp_path / "a.parquet")
    frame[1500:].write_parquet(tmp_path / "b.parquet")
    connection = duckdb.connect()
    arrow = frame.to_arrow()
    relations = [
        tmp_path / "*.parquet",
        [tmp_path / "a.parquet", tmp_path / "b.parquet"],
        arrow,
        connection.from_arrow(arrow).filter("true"),
    ]
    for relation in relations:
        seen = profile(relation, bins=reference.bins)
        assert [column.parts for column in seen.columns] == [column.parts for column in reference.columns]


def test_a_profile_is_read_back_as_it_was_written(reference: Profile, tmp_path: Path) -> None:
    assert Profile.read(reference.write(tmp_path / "reference" / "profile.json")) == reference


def test_what_is_no_profile_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{}")
    with pytest.raises(DataError, match=r"profile\.json is no profile"):
        Profile.read(tmp_path / "profile.json")


def test_nan_infinity_and_missing_values_are_told_apart() -> None:
    values = [1.0, 2.0, float("nan"), float("inf"), None, float("-inf")]
    _, found = of(profile(pl.DataFrame({"x": values}), [Column("x", "numeric")]), "x")
    assert (found.filled, found.odd, sum(found.parts[0])) == (5, 3, 2)


def test_a_column_of_another_type_counts_as_missing_where_it_cannot_be_read(reference: Profile, frame: pl.DataFrame) -> None:
    texts = frame.with_columns(budget=pl.lit("a lot"))
    _, found = of(profile(texts, bins=reference.bins), "budget")
    assert (found.there, found.filled) == (True, 0)


def test_a_column_that_is_not_there_is_said_to_be_so(reference: Profile, frame: pl.DataFrame) -> None:
    seen = profile(frame.drop("budget", "meaning"), bins=reference.bins)
    assert [column.there for column in seen.columns] == [False, True, True, True, False]


def test_vectors_of_another_length_are_odd(reference: Profile, frame: pl.DataFrame) -> None:
    _, found = of(profile(frame.with_columns(meaning=pl.lit([1.0, 2.0])), bins=reference.bins), "meaning")
    assert found.odd == found.filled == frame.height


def test_new_labels_are_named_with_their_share(reference: Profile, frame: pl.DataFrame) -> None:
    moved = frame.with_columns(country=pl.when(pl.col("country") == "at").then(pl.lit("fr")).otherwise("country"))
    _, found = of(profile(moved, bins=reference.bins), "country")
    assert found.newcomers == {"fr": pytest.approx((frame["country"] == "at").mean())}


def test_no_rows_are_a_profile_too(reference: Profile, frame: pl.DataFrame) -> None:
    seen = profile(frame[:0], bins=reference.bins)
    assert (seen.rows, seen.worth) == (0, 0.0)
    assert all(sum(counts) == 0 for column in seen.columns for counts in column.parts)


def test_rows_are_worth_as_many_as_the_people_that_made_them(frame: pl.DataFrame) -> None:
    repeated = pl.concat([frame.with_row_index("who")] * 5)
    seen = profile(repeated, COLUMNS, unit="who")
    assert (seen.rows, seen.worth) == (5 * frame.height, frame.height)


@pytest.mark.parametrize(
    ("relation", "columns", "unit", "rule"),
    [
        (pl.DataFrame({"x": [1]}), [], None, "at least one is"),
        (pl.DataFrame({"x": [1]}), [Column("x", "numeric"), Column("x", "category")], None, "each once"),
        (pl.DataFrame({"x": [1]}), [Column("x", "numeric")], "who", "no column 'who'"),
        ("/nowhere/*.parquet", [Column("x", "numeric")], None, "cannot be counted"),
        (3, [Column("x", "numeric")], None, "rows are a int"),
    ],
)
def test_what_cannot_be_counted_is_refused(relation: object, columns: list[Column], unit: str | None, rule: str) -> None:
    with pytest.raises(DataError, match=rule):
        profile(relation, columns, unit=unit)


def test_quotes_in_names_and_labels_are_only_letters() -> None:
    frame = pl.DataFrame({'a "b': ["it's", "it's", '"'], "words": ["it's a;", "'", "DROP"]})
    seen = profile(frame, [Column('a "b', "category"), Column("words", "text")])
    assert of(seen, 'a "b')[1].parts == ((2, 1, 0),)


def test_a_column_named_as_what_the_query_needs_is_read_all_the_same() -> None:
    frame = pl.DataFrame({"seen": [1.0, 2.0], "each": [["a"], ["b"]], "row_number": [5.0, 5.0]})
    seen = profile(frame, [Column("seen", "numeric"), Column("each", "list"), Column("row_number", "numeric")])
    assert [column.filled for column in seen.columns] == [2, 2, 2]
