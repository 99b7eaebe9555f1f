import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

Rankloop = Callable[..., Result]


def test_a_list_shows_position_title_item_score_and_source(rankloop: Rankloop, server: Any) -> None:
    server.says("/v1/recommend", server.answer)
    done = rankloop("recommend", "--user", "u1", "--k", 2, "--url", server.url)
    assert done.exit_code == 0
    first, second = (line.split("│")[1:-1] for line in done.output.splitlines() if "j1" in line or "j2" in line)
    assert [cell.strip() for cell in first] == ["1", "Data analyst [remote]", "j1", "1.5000", "als"]
    assert [cell.strip() for cell in second] == ["2", "Copywriter", "j2", "0.2500", "popular"]
    assert "release r-abc, request q1, as of 2026-11-01T00:00:00Z" in done.output
    assert server.posted == {"user_id": "u1", "k": 2, "surface": "job_feed"}


def test_a_fallback_is_shown_with_its_reason(rankloop: Rankloop, server: Any) -> None:
    server.says("/v1/recommend", server.answer | {"fallback": "u9 is unknown: popular items"})
    assert "fallback: u9 is unknown: popular items" in rankloop("recommend", "-u", "u9", "--url", server.url).output


def test_a_search_without_a_person_sends_none(rankloop: Rankloop, server: Any) -> None:
    server.says("/v1/search", server.answer)
    assert rankloop("search", "data analyst", "--url", server.url).exit_code == 0
    assert server.posted == {"query": "data analyst", "user_id": None, "k": 10, "surface": "job_search"}


@pytest.mark.parametrize("token", ["", "rl_abc"])
def test_the_token_of_the_environment_is_sent(
    rankloop: Rankloop, server: Any, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANKLOOP_TOKEN", token)
    server.says("/v1/search", server.answer)
    assert rankloop("search", "x", "--url", server.url).exit_code == 0
    assert server.tokens[-1] == (f"Bearer {token}" if token else None)


def test_json_prints_the_answer_as_it_came(rankloop: Rankloop, server: Any) -> None:
    server.says("/v1/search", server.answer)
    assert json.loads(rankloop("search", "x", "--json", "--url", server.url).output) == server.answer


def test_rank_names_unknown_items_and_explains_each_score(rankloop: Rankloop, server: Any) -> None:
    parts = [
        {"feature": "als_score", "value": 0.5, "contribution": 0.75},
        {"feature": "query_demand", "value": None, "contribution": -0.25},
    ]
    explained = {"item_id": "j1", "constant": 1.0, "contributions": parts}
    server.says("/v1/rank", server.answer | {"unknown_items": ["j9"], "explanations": [explained]})
    done = rankloop("rank", "j1", "j2", "j9", "--user", "u1", "--explain", "--url", server.url)
    assert done.exit_code == 0
    assert "the release does not hold j9" in done.output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines()]
    assert ["als_score", "0.5", "+0.7500"] in rows
    assert ["query_demand", "undefined", "-0.2500"] in rows
    assert ["constant", "", "+1.0000"] in rows
    assert server.posted == {"user_id": "u1", "item_ids": ["j1", "j2", "j9"], "query": None, "explain": True}


def test_an_explanation_sums_up_the_features_that_add_little(rankloop: Rankloop, server: Any) -> None:
    parts = [{"feature": f"f{n}", "value": 1.0, "contribution": 0.5} for n in range(15)]
    explained = {"item_id": "j1", "constant": 1.0, "contributions": parts}
    server.says("/v1/rank", server.answer | {"unknown_items": [], "explanations": [explained]})
    output = rankloop("rank", "j1", "--user", "u1", "--explain", "--url", server.url).output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines()]
    assert ["3 others", "", "+1.5000"] in rows
    assert "f12" not in output


def test_an_item_id_with_a_slash_stays_one_part_of_the_path(rankloop: Rankloop, server: Any) -> None:
    server.says("/v1/items/a%2Fb/similar", server.answer)
    assert rankloop("similar", "a/b", "--url", server.url).exit_code == 0
    assert server.asked[-1] == ("/v1/items/a%2Fb/similar?k=10", None)


def test_what_the_service_refuses_is_its_own_sentence(rankloop: Rankloop, server: Any) -> None:
    server.refuses("/v1/recommend", 422, "k is 0; it must be at least 1")
    done = rankloop("recommend", "-u", "u1", "--url", server.url)
    assert (done.exit_code, done.output) == (1, "k is 0; it must be at least 1 (request q9)\n")


@pytest.mark.parametrize(
    ("status", "says"), [(404, "no release is in service; make one with `rankloop run`"), (502, "answered 502: no such place")]
)
def test_a_proxy_without_a_release_is_told_from_a_fault(rankloop: Rankloop, server: Any, status: int, says: str) -> None:
    server.says("/v1/recommend", "no such place", status=status, kind="text/plain")
    done = rankloop("recommend", "-u", "u1", "--url", server.url)
    assert done.exit_code == 1
    assert says in done.output


def test_where_nothing_listens_the_remedy_is_named(rankloop: Rankloop, server: Any) -> None:
    server.http.server_close()
    done = rankloop("recommend", "-u", "u1", "--url", "http://127.0.0.1:9")
    assert done.exit_code == 1
    assert "nothing answers at http://127.0.0.1:9" in done.output
    assert "rankloop up" in done.output


@pytest.mark.parametrize("url", ["foo", "http://"])
def test_an_address_that_is_none_is_refused_in_words(rankloop: Rankloop, url: str) -> None:
    done = rankloop("recommend", "-u", "u1", "--url", url)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
