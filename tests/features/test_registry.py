"""Headers of feature views: what they say, and what they may not."""

from pathlib import Path

import pytest

from rankloop.errors import DataError
from rankloop.features import KEYS, Feature, FeatureView, fingerprint, load_views

GOOD = """-- Clicks of a job.
-- key: item_id
-- feature: clicks_so_far | clicks on it | count | default 0
-- and a remark
SELECT item_id, max(ts) AS valid_from, count(*) AS clicks_so_far FROM outcomes GROUP BY item_id
"""


def test_a_header_names_keys_features_units_and_defaults() -> None:
    view = FeatureView.parse("clicks", GOOD)
    assert view.summary == "Clicks of a job."
    assert view.keys == ("item_id",)
    assert view.features == (Feature("clicks_so_far", "clicks on it", "count", 0.0),)
    assert view.columns == ("item_id", "valid_from", "clicks_so_far")


def test_a_view_may_have_several_keys() -> None:
    assert FeatureView.parse("pair", GOOD.replace("key: item_id", "key: user_id , item_id")).keys == ("user_id", "item_id")


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("clicks", "key: item_id", "key: session_id", r"clicks\.sql: key 'session_id' is unknown; a view is keyed by some of"),
        ("clicks", "-- key: item_id\n", "", r"clicks\.sql: the header has no `-- key: \.\.\.` line"),
        ("clicks", "-- feature: clicks_so_far", "-- clicks_so_far", r"clicks\.sql: the header has no `-- feature: "),
        (
            "clicks",
            "clicks_so_far | clicks on it | count",
            "ClicksSoFar | x | count",
            r"clicks\.sql: feature 'ClicksSoFar' is not snake_case",
        ),
        ("clicks", "| clicks on it | count | default 0", "| clicks on it", r"feature 'clicks_so_far': a feature line reads"),
        ("clicks", "default 0", "default none", r"'default none' is no default; write `default 0`"),
        ("clicks", "default 0", "0", r"'0' is no default"),
        ("clicks", "clicks_so_far | clicks", "item_id | clicks", r"clicks\.sql: column 'item_id' is named twice in the header"),
        ("clicks", "-- Clicks of a job.\n", "", r"clicks\.sql: the first line says in one comment what the view holds"),
        ("Clicks", "", "", r"Clicks\.sql: a view's name is snake_case"),
        ("clicks", GOOD, "", r"clicks\.sql: the first line"),
    ],
)
def test_a_bad_header_is_refused_by_file_and_column(name: str, old: str, new: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        FeatureView.parse(name, GOOD.replace(old, new))


def test_a_feature_in_two_views_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text(GOOD)
    (tmp_path / "two.sql").write_text(GOOD)
    with pytest.raises(DataError, match=r"feature 'clicks_so_far' is in one\.sql and in two\.sql; names are unique"):
        load_views(tmp_path)


def test_a_folder_without_views_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no feature view; a view is a file named <view>\.sql"):
        load_views(tmp_path)


def test_a_view_from_a_folder_comes_with_its_text(tmp_path: Path) -> None:
    (tmp_path / "clicks.sql").write_text(GOOD)
    assert load_views(tmp_path)[0].sql == GOOD


def test_the_fingerprint_follows_text_and_name_and_not_order() -> None:
    one, two = FeatureView.parse("one", GOOD), FeatureView.parse("two", GOOD)
    assert fingerprint([one, two]) == fingerprint([two, one])
    assert fingerprint([one]) != fingerprint([two])
    assert fingerprint([one]) != fingerprint([FeatureView.parse("one", GOOD + "\n")])


def test_rankloops_own_views_are_many_documented_and_without_position() -> None:
    views = load_views()
    features = [feature for view in views for feature in view.features]
    assert len(features) >= 35
    assert all(feature.meaning and feature.unit for feature in features)
    assert not [feature.name for feature in features if "position" in feature.name]
    assert {key for view in views for key in view.keys} <= set(KEYS)


def test_only_counts_have_a_default() -> None:
    for view in load_views():
        for feature in view.features:
            assert (feature.default is None) or (feature.default == 0 and feature.unit == "count"), feature.name
