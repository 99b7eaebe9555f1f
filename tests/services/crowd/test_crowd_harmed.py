"""A release that is bad on purpose opens, answers, says what it is, and is worth less to the people."""

from datetime import UTC, datetime

import numpy as np
import pytest

from rankloop.bundle import Bundle, Manifest, verify
from rankloop.errors import BundleError
from rankloop.simulation import Crowd
from services.crowd import HARMS, harm

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def harmed(world, tmp_path_factory) -> dict[str, Manifest]:
    folder = tmp_path_factory.mktemp("harmed")
    return {how: harm(world.bundle, folder / how, how, created_at=NOW) for how in HARMS} | {"folder": folder}


def lists(bundle: Bundle, crowd: Crowd, visits) -> list[list[str]]:
    ranked = (bundle.recommender.recommend(crowd.request(visit), 10).items for visit in visits)
    return [[bundle.catalogue.terms[code] for code in codes] for codes in ranked]


@pytest.mark.parametrize("how", HARMS)
def test_it_is_another_release_that_says_what_it_is(world, harmed, how) -> None:
    good, bad = Manifest.read(world.bundle), harmed[how]
    verify(harmed["folder"] / how, bad)
    assert bad.release_id != good.release_id
    assert bad.lineage["harmed"] == how
    assert bad.lineage["harmed_from"] == good.release_id
    assert bad.lineage["harm"] == (HARMS[how].__doc__ or "").split("\n")[0]
    assert good.lineage.items() <= bad.lineage.items()
    assert (bad.as_of, bad.numbers, bad.features) == (good.as_of, good.numbers, good.features)


def test_the_same_harm_gives_the_same_release(world, harmed, tmp_path) -> None:
    assert harm(world.bundle, tmp_path / "again", "shifted", created_at=NOW).release_id == harmed["shifted"].release_id


@pytest.mark.parametrize("how", ["reversed", "shifted"])
def test_its_lists_are_worth_less_to_the_people(world, harmed, how) -> None:
    crowd = Crowd(world.truth, rng=2)
    visits = crowd.visits(120)
    requests = [crowd.request(visit) for visit in visits]
    good, bad = Bundle.open(world.bundle), Bundle.open(harmed["folder"] / how)
    differences = world.truth.values(requests, lists(good, crowd, visits)) - world.truth.values(
        requests, lists(bad, crowd, visits)
    )
    assert differences.mean() > 3 * differences.std() / np.sqrt(len(differences))


def test_half_of_the_catalogue_is_never_shown(world, harmed) -> None:
    crowd = Crowd(world.truth, rng=2)
    visits = crowd.visits(120)
    good, bad = Bundle.open(world.bundle), Bundle.open(harmed["folder"] / "halved")
    request = crowd.request(visits[0])
    shares = [release.recommender.rules.allowed(request).sum() for release in (good, bad)]
    assert shares[1] / shares[0] == pytest.approx(0.5, abs=0.1)
    shown = [{item for row in lists(release, crowd, visits) for item in row} for release in (good, bad)]
    assert len(shown[1]) < 0.8 * len(shown[0])


def test_a_reversed_ranker_gives_the_negative_scores(world, harmed) -> None:
    good, bad = Bundle.open(world.bundle), Bundle.open(harmed["folder"] / "reversed")
    rows = np.random.default_rng(1).random((50, len(good.manifest.features)), np.float32)
    ours, theirs = good.recommender.ranker.score(rows), bad.recommender.ranker.score(rows)
    assert np.array_equal(ours, -theirs)


@pytest.mark.parametrize("how", ["reversed", "shifted"])
def test_its_trees_are_whole_for_lightgbm_too(harmed, how) -> None:
    """What is explained is what was scored: contributions sum to the score."""
    ranker = Bundle.open(harmed["folder"] / how).recommender.ranker
    rows = np.random.default_rng(1).random((5, len(ranker.names)), np.float32)
    assert ranker.contributions(rows).sum(axis=1) == pytest.approx(ranker.score(rows), abs=1e-4)
    assert sum(ranker.importance().values()) == pytest.approx(1.0)


def test_there_is_no_unknown_harm(world, tmp_path) -> None:
    with pytest.raises(BundleError, match="there is no harm 'painted'; there are reversed, shifted, halved"):
        harm(world.bundle, tmp_path / "x", "painted", created_at=NOW)
    assert not (tmp_path / "x").exists()
