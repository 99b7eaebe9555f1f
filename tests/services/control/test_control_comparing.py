"""Two releases compared: what is recorded of them, and what they answer, each opened in a process of its own."""

import json
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from rankloop.errors import BundleError, ControlError, DataError
from rankloop.metrics import rank_biased_overlap
from services.control.comparing import (
    Line,
    ReleaseDiff,
    compare_answers,
    compare_releases,
    features_of,
    files_of,
    importance_of,
    lineage_of,
    metrics_of,
    models_of,
    ranked_by,
)
from services.control.database import ReleaseFacts
from services.crowd import harm
from services.ranking.schemas import Answer, AnsweredItem, RecommendRequest, SearchRequest
from services.settings import Settings

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def answer(*items: str) -> Answer:
    placed = [AnsweredItem(item, item.upper(), -float(place), place, "als") for place, item in enumerate(items, 1)]
    return Answer("q", "r", "2026-01-01T00:00:00+00:00", placed)


def asked(*people: str) -> list[RecommendRequest]:
    return [RecommendRequest(person) for person in people]


def test_a_release_and_itself_do_not_differ(make_facts) -> None:
    facts = make_facts("r1")
    found = compare_releases(facts, facts, settings=Settings())
    assert (found.models.lines, found.models.refitted, found.lineage) == ([], [], [])
    assert found.files.same == len(facts.files)
    assert [row.difference for row in found.metrics] == [0.0]
    assert found.rankings is None


def test_retrievers_ranker_and_features_are_told_apart(make_facts) -> None:
    before = make_facts("r1", retrievers=("popular", "als", "bm25"), features=("a", "b"))
    after = make_facts("r2", retrievers=("bm25", "popular", "semantic"), features=("b", "c"), ranker="linear")
    models = models_of(before, after, (300, 200))
    assert (models.retrievers_added, models.retrievers_removed, models.reordered) == (["semantic"], ["als"], True)
    assert models.lines == [Line("ranker", "lambdamart", "linear"), Line("depth", 300, 200)]
    features = features_of(before, after)
    assert (features.added, features.removed, features.kept) == (["c"], ["a"], 1)


def test_what_was_fitted_anew_and_defined_otherwise_is_found_by_the_files(make_facts) -> None:
    before = make_facts(
        "r1", files={"retrievers/popular/w.npz": "1", "ranker/model.txt": "1", "features/views/v.sql": "1", "x": "1"}
    )
    after = make_facts(
        "r2", files={"retrievers/popular/w.npz": "2", "ranker/model.txt": "1", "features/views/v.sql": "2", "y": "1"}
    )
    assert models_of(before, after).refitted == ["retrievers/popular"]
    assert features_of(before, after).views_changed == ["v"]
    files = files_of(before, after)
    assert (files.added, files.removed, files.same) == (["y"], ["x"], 1)
    assert files.changed == ["features/views/v.sql", "retrievers/popular/w.npz"]


def test_importance_is_side_by_side_with_its_ranks(make_facts) -> None:
    before = make_facts("r1", importance={"a": 0.7, "b": 0.2, "c": 0.1})
    after = make_facts("r2", importance={"a": 0.1, "b": 0.6, "d": 0.3})
    rows = {row.feature: (row.before, row.after, row.rank_before, row.rank_after) for row in importance_of(before, after)}
    assert rows == {"a": (0.7, 0.1, 1, 3), "b": (0.2, 0.6, 2, 1), "c": (0.1, None, 3, None), "d": (None, 0.3, None, 2)}
    assert [row.feature for row in importance_of(before, after, most=2)] == ["a", "b"]
    assert importance_of(before, make_facts("r3")) == []


def test_a_metric_is_paired_where_the_later_release_was_to_beat_the_earlier_one(make_facts) -> None:
    row = {"metric": "ndcg@10", "slice": "all", "candidate_value": 0.5, "reference_value": 0.4, "difference": 0.1}
    rows = [row | {"reference": "r1", "lower": 0.05, "upper": 0.15}, row | {"reference": "popular", "difference": 0.3}]
    rows += [row | {"reference": "r1", "slice": "user=new", "difference": 9.0}]
    before = make_facts("r1", numbers={"ndcg@10": 0.42, "map@10": 0.3})
    after = make_facts("r2", numbers={"ndcg@10": 0.5, "mrr@10": 0.2}, verdict={"outcome": "pass", "rows": rows})
    ndcg, other, new = metrics_of(before, after)
    assert (ndcg.before, ndcg.after, ndcg.difference, ndcg.lower, ndcg.upper, ndcg.paired) == (0.4, 0.5, 0.1, 0.05, 0.15, True)
    assert (other.metric, other.before, other.after, other.difference) == ("map@10", 0.3, None, None)
    assert (new.metric, new.before, new.after, new.paired) == ("mrr@10", None, 0.2, False)
    unpaired = metrics_of(make_facts("r0", numbers={"ndcg@10": 0.42}), after)[0]
    assert (unpaired.difference, unpaired.paired) == (0.5 - 0.42, False)


def test_lineage_is_compared_to_its_leaves(make_facts) -> None:
    before = make_facts("r1", lineage={"data": "x", "recipe": {"depth": 300, "seed": 7}})
    after = make_facts("r2", lineage={"data": "y", "recipe": {"depth": 200, "seed": 7}, "harmed": "reversed"})
    assert lineage_of(before, after) == [
        Line("data", "x", "y"),
        Line("recipe.depth", 300, 200),
        Line("harmed", None, "reversed"),
    ]


def test_the_same_answers_are_alike_in_everything() -> None:
    rows = [answer("a", "b"), answer("c", "d")]
    found = compare_answers(asked("u1", "u2"), rows, rows)
    assert (found.same, found.items.both, found.items.before, found.items.after) == (2, 4, 0, 0)
    assert {name: mean.mean for name, mean in found.metrics.items()} == {"overlap@10": 1.0, "rbo": 1.0, "kendall_tau": 1.0}


def test_lists_are_compared_one_by_one_and_the_worst_come_first() -> None:
    before = [answer("a", "b"), answer("a", "b"), answer("a", "c"), answer()]
    after = [answer("a", "b"), answer("x", "y"), answer("a", "z"), answer()]
    found = compare_answers([*asked("u1", "u2", "u2"), SearchRequest("logo")], before, after, worst=2)
    assert found.metrics["overlap@10"].mean == (1 + 0 + 0.5) / 3
    assert found.metrics["overlap@10"].people == 2
    expected = [1.0, 0.0, float(rank_biased_overlap([["a", "c"]], [["a", "z"]])[0])]
    assert found.metrics["rbo"].mean == pytest.approx(np.mean(expected))
    assert (found.same, found.empty_before, found.empty_after) == (2, 1, 1)
    assert [one.rbo for one in found.worst] == [0.0, expected[2]]
    assert [item.item_id for item in found.worst[0].after] == ["x", "y"]
    assert (found.items.both, found.items.before, found.items.after) == (2, 1, 3)
    assert [(item.item_id, item.title, item.lists) for item in found.items.most_before] == [("c", "C", 1)]


def test_each_request_needs_both_answers() -> None:
    with pytest.raises(DataError, match="1 requests have 1 and 0 answers"):
        compare_answers(asked("u1"), [answer("a")], [])
    with pytest.raises(DataError, match="0 requests have 0 and 0 answers"):
        compare_answers([], [], [])


def test_two_bundles_answer_in_processes_of_their_own(release, tmp_path) -> None:
    harm(release.folder, tmp_path / "bad", "reversed", created_at=NOW)
    before, after = (ReleaseFacts.of_bundle(folder, bento="") for folder in (release.folder, tmp_path / "bad"))
    people = release.tables.users["user_id"].to_list()[:12]
    requests = [*asked(*people), SearchRequest("logo design", people[0])]
    found = compare_releases(before, after, requests=requests, settings=Settings(home=tmp_path))
    rankings = found.rankings
    assert rankings is not None
    assert (rankings.requests, rankings.empty_before, rankings.empty_after) == (13, 0, 0)
    assert rankings.metrics["overlap@10"].mean < 1
    assert found.models.refitted == ["ranker"]
    assert Line("harmed", None, "reversed") in found.lineage
    assert not (tmp_path / "spool").exists()
    again = json.loads(msgspec.json.encode(found))
    assert msgspec.convert(again, ReleaseDiff).rankings == rankings


def test_a_bundle_answers_as_its_engine_would(release, bundle, tmp_path) -> None:
    from services.ranking.engine import Engine

    people = release.tables.users["user_id"].to_list()[:3]
    settings = Settings(home=tmp_path, budget_ms=1e9)
    expected = [Engine(bundle, settings).recommend(one, 10, "job_feed", request_id="x").answer.items for one in people]
    assert [one.items for one in ranked_by(release.folder, asked(*people), settings)] == expected


def test_a_bundle_that_is_gone_or_altered_is_refused_in_words(make_facts, release, tmp_path) -> None:
    facts = make_facts("r1", bundle=str(tmp_path / "gone"))
    with pytest.raises(ControlError, match=r"the bundle of r1 is not at .* any more"):
        compare_releases(facts, facts, requests=asked("u1"), settings=Settings())
    harm(release.folder, tmp_path / "bad", "reversed", created_at=NOW)
    (tmp_path / "bad" / "ranker" / "model.txt").write_text("tree")
    with pytest.raises(BundleError, match=r"ranker/model\.txt was altered"):
        ranked_by(tmp_path / "bad", asked("u1"), Settings())


def test_a_request_the_service_would_refuse_is_refused_here_too(release) -> None:
    with pytest.raises(BundleError, match="k is 100000"):
        ranked_by(release.folder, [RecommendRequest("u1", 100_000)], Settings())
