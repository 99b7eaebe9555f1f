"""A candidate against the popular baseline, the logged order and a champion, on a world whose answers are known."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from rankloop.bundle import Bundle
from rankloop.errors import BundleError
from rankloop.evaluation import CANDIDATE, LOGGED, POPULAR, Champion, Evaluation, Inputs, evaluate, pack
from rankloop.gate import Measured, decide
from rankloop.request import Request


def quiet(text: str, **facts: object) -> None:
    """Says nothing."""


def mean(evaluated: Evaluation, system: str, metric: str) -> float:
    return float(np.nanmean(np.asarray(evaluated.measured[system].array(metric))))


@pytest.fixture(scope="module")
def packed(candidate_inputs: Inputs, written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed") / "bundle"
    pack(candidate_inputs, written, folder, lineage={"data_version": "x"}, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    return folder


def test_a_ranker_that_knows_the_trades_beats_what_cannot(evaluated: Evaluation) -> None:
    assert mean(evaluated, CANDIDATE, "ndcg@10") > mean(evaluated, POPULAR, "ndcg@10") + 0.1
    assert mean(evaluated, CANDIDATE, "ndcg@10") > mean(evaluated, LOGGED, "ndcg@10") + 0.1
    assert evaluated.verdict.outcome == "pass"


def test_every_system_is_measured_on_the_same_requests(evaluated: Evaluation) -> None:
    systems = list(evaluated.measured.values())
    assert {system.name for system in systems} == {CANDIDATE, POPULAR, LOGGED}
    assert all(systems[0].same_requests(other) for other in systems)


def test_only_the_sample_is_ranked_over_the_catalogue(evaluated: Evaluation) -> None:
    values = np.asarray(evaluated.measured[CANDIDATE].array("catalogue_ndcg@10"))
    assert np.flatnonzero(~np.isnan(values)).tolist() == evaluated.window.sample.tolist()
    assert len(evaluated.window.sample) == 80


def test_the_same_candidate_is_measured_the_same_twice(candidate_inputs: Inputs, evaluated: Evaluation) -> None:
    again = evaluate(candidate_inputs, None, quiet)
    assert again.verdict == evaluated.verdict
    for name, system in evaluated.measured.items():
        for metric, values in system.values.items():
            np.testing.assert_array_equal(np.asarray(again.measured[name].array(metric)), np.asarray(values))


def test_the_record_is_enough_to_replay_the_decision(written: Path, evaluated: Evaluation) -> None:
    systems = {name: Measured.read(written / "measured" / f"{name}.parquet") for name in (CANDIDATE, POPULAR)}
    verdict = evaluated.verdict
    again = decide(systems[CANDIDATE], baseline=systems[POPULAR], policy=verdict.policy, seed=verdict.seed)
    assert again == verdict


def test_the_recorded_lists_are_those_that_were_judged(written: Path, evaluated: Evaluation) -> None:
    lists = pl.read_parquet(written / "lists.parquet")
    assert lists.height == len(evaluated.window.lists.requests)
    assert (lists["item_ids"].list.len() == lists["grades"].list.len()).all()
    assert lists["grades"].list.max().min() > 0


def test_a_bundle_opened_again_ranks_as_the_candidate_did(packed: Path, candidate_inputs: Inputs) -> None:
    bundle, candidate = Bundle.open(packed), candidate_inputs.candidate()
    as_of = datetime.fromisoformat(bundle.manifest.as_of)
    for user in candidate_inputs.tables.users["user_id"][:9]:
        request = Request(user, "job_feed", as_of)
        ours, theirs = bundle.recommender.recommend(request, 10), candidate.recommend(request, 10)
        assert ours.items.tolist() == theirs.items.tolist()
        np.testing.assert_array_equal(ours.scores, theirs.scores)
        assert ours.sources == theirs.sources


def test_packing_twice_gives_the_same_release(packed: Path, candidate_inputs: Inputs, written: Path, tmp_path: Path) -> None:
    later = datetime(2026, 2, 2, tzinfo=UTC)
    again = pack(candidate_inputs, written, tmp_path / "bundle", lineage={"data_version": "x"}, created_at=later)
    first = Bundle.open(packed).manifest
    assert again.release_id == first.release_id
    assert again.files == first.files
    assert again.created_at != first.created_at


def test_a_champion_measured_on_its_own_data_is_as_good_as_its_twin(packed: Path, candidate_inputs: Inputs) -> None:
    champion = Champion.open(packed, quiet)
    result = evaluate(candidate_inputs, champion, quiet)
    ours, theirs = (np.asarray(result.measured[name].array("ndcg@10")) for name in (CANDIDATE, champion.release_id))
    np.testing.assert_allclose(ours, theirs)
    assert result.verdict.outcome == "pass", "it loses nothing, and still beats the popular baseline"


def test_a_champion_this_version_cannot_open_holds_a_candidate_back(
    packed: Path, candidate_inputs: Inputs, tmp_path: Path
) -> None:
    broken = tmp_path / "bundle"
    broken.mkdir()
    (broken / "manifest.json").write_bytes((packed / "manifest.json").read_bytes())
    said: list[str] = []
    champion = Champion.open(broken, said.append)
    assert champion.bundle is None
    assert "cannot be measured by this version" in said[0]
    verdict = evaluate(candidate_inputs, champion, quiet).verdict
    assert verdict.outcome == "not enough evidence"
    assert champion.release_id in verdict.reasons[0]


def test_a_champion_without_a_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no bundle"):
        Champion.open(tmp_path, quiet)


def test_the_bundle_carries_the_numbers_it_was_released_with(packed: Path, written: Path) -> None:
    recorded = json.loads((written / "evaluation.json").read_text())["systems"][CANDIDATE]
    manifest = Bundle.open(packed).manifest
    assert manifest.numbers["ndcg@10"] == recorded["ndcg@10"]["mean"]
    assert manifest.lineage["data_version"] == "x"
    assert manifest.lineage["features"]
