"""What rules and dashboards read of the edge is what a real HAProxy exports."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from monitoring.foreign import FOREIGN
from tests.services.edge.conftest import Rig, Told, until


def exported(rig: Rig) -> dict[str, tuple[str, list[tuple[dict[str, str], float]]]]:
    """By name as it is scraped: the kind, and each sample's labels and value."""
    text = httpx.get(f"http://127.0.0.1:{rig.edge.config.metrics_port}/metrics", timeout=30).text
    found: dict[str, tuple[str, list[tuple[dict[str, str], float]]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, (family.type, []))[1].append((sample.labels, sample.value))
    return found


def value(rig: Rig, name: str, **labels: str) -> float:
    return next(own for chosen, own in exported(rig)[name][1] if chosen == labels)


def test_the_declared_series_of_the_edge_are_exported_with_these_kinds_and_labels(rig: Rig) -> None:
    found = exported(rig)
    for name, declared in FOREIGN.items():
        if name.startswith("haproxy_"):
            kind, samples = found[name]
            assert kind == declared.kind, name
            assert {tuple(labels) for labels, _ in samples} == {declared.labels}, name
            assert len(samples) <= declared.most, name


def test_what_the_edge_refuses_itself_counts_among_the_answers_of_its_public_side(rig: Rig) -> None:
    name = "haproxy_frontend_http_responses_total"
    before = value(rig, name, proxy="public", code="5xx")
    rig.serve.ready["blue"] = False
    until(lambda: not rig.up("blue"), "no replica of blue is ready")
    assert rig.recommend().status_code == 503
    until(lambda: value(rig, name, proxy="public", code="5xx") == before + 1, "it is counted, once the answer is over")
    servers = ("haproxy_backend_active_servers", "haproxy_backend_backup_servers")
    assert sum(value(rig, own, proxy="blue") for own in servers) == 0


def test_errors_of_a_slot_count_for_its_backend(rig: Rig) -> None:
    name = "haproxy_backend_http_responses_total"
    before = value(rig, name, proxy="blue", code="5xx")
    rig.serve.told = Told(status=500, kind="application/problem+json", body=b"{}")
    assert rig.recommend().status_code == 500
    until(lambda: value(rig, name, proxy="blue", code="5xx") == before + 1, "it is counted, once the answer is over")
    assert value(rig, "haproxy_backend_active_servers", proxy="collectors") == 2
