"""A list for a person is counted once, by what became of it and how long it took from the edge; no caller names a series."""

import time
from collections.abc import Iterator

import pytest
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from monitoring.metrics import SERIES
from rankloop.bundle import Bundle
from rankloop.errors import ModelError
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

PERSON = {"user_id": "logo-u5", "k": 4}
OUTCOMES = ("whole", "fallback", "empty", "failed")


class Counted:
    """A client, and what the application's series say."""

    def __init__(self, client: TestClient, engine: Engine) -> None:
        self.client, self.engine = client, engine

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        text = self.client.get("/metrics").text
        own = [sample for family in text_string_to_metric_families(text) for sample in family.samples if sample.name == name]
        return {tuple(sample.labels.values()): sample.value for sample in own}

    def answers(self) -> dict[tuple[str, ...], float]:
        return {labels: count for labels, count in self.samples("rankloop_answers_total").items() if count}


@pytest.fixture
def counted(bundle: Bundle) -> Iterator[Counted]:
    settings = Settings(budget_ms=60_000)
    engine = Engine(bundle, settings)
    with TestClient(build_app(engine, settings), raise_server_exceptions=False) as client:
        yield Counted(client, engine)


def test_each_list_is_counted_once_by_its_surface_and_what_became_of_it(counted: Counted) -> None:
    counted.client.post("/v1/recommend", json=PERSON)
    counted.client.post("/v1/recommend", json={"user_id": "nobody"})
    counted.client.post("/v1/search", json={"query": "boiler leak"})
    counted.client.post("/v1/rank", json={"user_id": "logo-u5", "item_ids": ["logo-i1"]})
    counted.client.get("/v1/items/logo-i1/similar")
    assert counted.answers() == {
        ("whole", "job_feed"): 2,
        ("fallback", "job_feed"): 1,
        ("whole", "job_search"): 1,
        ("whole", "similar"): 1,
    }
    assert counted.samples("rankloop_answer_duration_seconds_count") == {("job_feed",): 3, ("job_search",): 1, ("similar",): 1}


def test_the_time_of_an_answer_begins_at_the_edge(counted: Counted) -> None:
    counted.client.post("/v1/recommend", json=PERSON, headers={"X-Request-Start": f"t={time.time_ns() // 1000 - 2_000_000}"})
    assert counted.samples("rankloop_answer_duration_seconds_sum")[("job_feed",)] >= 2


def test_scores_are_those_of_lists_that_the_ranker_ordered(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    items = counted.client.post("/v1/recommend", json=PERSON).json()["items"]
    mean = sum(item["score"] for item in items) / len(items)
    assert counted.samples("rankloop_scores_count") == {("job_feed",): 1}
    below = {float(bound): count for (bound, _), count in counted.samples("rankloop_scores_bucket").items()}
    assert below == {bound: float(mean <= bound) for bound in (*SERIES["rankloop_scores"].buckets, float("inf"))}
    monkeypatch.setattr(type(counted.engine._bundle.recommender), "rank", _broken)
    assert counted.client.post("/v1/recommend", json=PERSON).json()["fallback"]
    assert counted.samples("rankloop_scores_count") == {("job_feed",): 1}


def test_an_error_of_ours_and_a_hopeless_wait_are_failures(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    counted.engine._settings = Settings(budget_ms=100)
    assert counted.client.post("/v1/recommend", json=PERSON, headers={"X-Request-Start": "t=1"}).status_code == 503
    assert counted.answers()[("failed", "job_feed")] == 1
    monkeypatch.setattr(counted.engine, "moment", _broken)
    assert counted.client.post("/v1/search", json={"query": "logo"}).status_code == 500
    assert counted.answers()[("failed", "job_search")] == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/recommend", {"user_id": "u", "k": 0}),
        ("/v1/recommend", {"user_id": "u", "surface": "made up"}),
        ("/v1/rank", {"user_id": "u", "item_ids": ["a", "a"]}),
        ("/v1/search", {"query": " "}),
    ],
)
def test_what_a_caller_got_wrong_is_no_failure_of_ours(counted: Counted, path: str, body: dict) -> None:
    assert counted.client.post(path, json=body).status_code == 422
    assert counted.answers() == {}


def test_a_list_that_only_another_program_wants_to_see_is_not_counted(counted: Counted) -> None:
    counted.client.post("/v1/recommend", json=PERSON, headers={"X-Rankloop-Part": "1"})
    counted.client.get("/v1/items/logo-i1/similar", headers={"X-Rankloop-Part": "1"})
    assert counted.answers() == counted.samples("rankloop_scores_count") == {}


def test_a_surface_of_the_release_counts_from_0_so_that_its_first_failure_is_a_rise(counted: Counted, bundle: Bundle) -> None:
    begun = counted.samples("rankloop_answers_total")
    assert begun == {(outcome, surface): 0 for surface in bundle.manifest.surfaces for outcome in OUTCOMES}


def test_no_string_of_a_caller_becomes_a_label(counted: Counted) -> None:
    late = {"X-Request-Start": "t=1"}
    counted.engine._settings = Settings(budget_ms=100)
    for own in ("mine", "yours"):
        counted.client.post("/v1/rank", json={"user_id": own, "item_ids": ["logo-i1"], "surface": own}, headers=late)
        counted.client.post("/v1/recommend", json={"user_id": own, "surface": own}, headers=late)
        counted.client.request(own.upper(), "/v1/recommend")
        counted.client.request(own.upper(), "/v1/items/x/similar")
        counted.client.get(f"/{own}", headers={"X-Request-Id": own})
        counted.client.get(f"/v1/items/{own}/similar", params={"k": own})
        counted.client.post("/v1/recommend", json=PERSON, headers={"X-Rankloop-Interleave": own})
    told = counted.client.get("/metrics").text.lower()
    assert "mine" not in told
    assert "yours" not in told


def _broken(*_: object) -> None:
    raise ModelError("out of this world")
