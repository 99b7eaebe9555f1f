"""The sizes, the weekly season, and the times of day."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rankloop.contracts import Columns
from rankloop.errors import DataError
from rankloop.simulation import Marketplace, Scale

FOUR_WEEKS = Scale(
    users=300, users_per_day=3, items=150, items_per_day=20, clients=60, days=28, impressions=30_000, list_length=5
)


@pytest.mark.parametrize("scale", [Scale.tiny(), Scale.demo(), Scale.million()])
def test_requests_of_all_days_make_the_target(scale: Scale) -> None:
    requests = scale.requests_by_day()
    assert len(requests) == scale.days
    assert requests.sum() == round(scale.impressions / scale.list_length)


def test_weekends_are_quiet() -> None:
    weekday = (FOUR_WEEKS.start.weekday() + np.arange(FOUR_WEEKS.days)) % 7
    for counts, most in ((FOUR_WEEKS.requests_by_day(), 0.7), (FOUR_WEEKS.posts_by_day(), 0.5)):
        assert counts[weekday >= 5].mean() < most * counts[weekday < 5].mean()


def test_the_log_shows_the_week() -> None:
    tables = Marketplace(FOUR_WEEKS, rng=1).history()
    per_day = tables.impressions.group_by(tables.impressions[Columns.TS].dt.date().alias("day")).len().sort("day")["len"]
    assert per_day.to_list() == (FOUR_WEEKS.requests_by_day() * FOUR_WEEKS.list_length).tolist()


def test_people_come_in_their_own_daytime() -> None:
    tables = Marketplace(FOUR_WEEKS, rng=1).history()
    users = tables.users.select(Columns.USER_ID, Columns.UTC_OFFSET_HOURS)
    seen = tables.impressions.unique(Columns.REQUEST_ID).join(users, on=Columns.USER_ID)
    hours = seen[Columns.TS].dt.epoch("s").to_numpy() / 3600 + seen[Columns.UTC_OFFSET_HOURS].to_numpy()
    night = (hours % 24 >= 1) & (hours % 24 < 5)
    assert night.mean() < 0.05


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"users": 0}, "users = 0"),
        ({"days": 0}, "days = 0"),
        ({"search_share": 1.5}, "search_share = 1.5"),
        ({"start": datetime(2025, 3, 3)}, "a midnight in UTC"),
        ({"start": datetime(2025, 3, 3, tzinfo=UTC) + timedelta(hours=1)}, "a midnight in UTC"),
    ],
)
def test_a_size_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    values = {name: getattr(FOUR_WEEKS, name) for name in Scale.__dataclass_fields__}
    with pytest.raises(DataError, match=said):
        Scale(**(values | change))
