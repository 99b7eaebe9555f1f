"""A release becomes known by its own files, through the API."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from rankloop.bundle import Manifest
from services.edge import Slots
from tests.services.conftest import Release
from tests.services.control.control_world import World, world
from tests.services.edge.conftest import Rig, shared_rig, start_rig

__all__ = ["shared_rig", "start_rig"]

WHY = {"why": "the nightly run"}


@pytest.fixture
def place(shared_rig: Rig, tmp_path: Path) -> Iterator[World]:
    shared_rig.edge.set_slots(Slots())
    with world(shared_rig, tmp_path) as own:
        yield own


@pytest.fixture
def ask(place: World) -> Iterator[TestClient[Any]]:
    with TestClient(place.app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def manifest(release: Release) -> Manifest:
    return Manifest.read(release.folder)


@pytest.fixture
def bento(place: World, release: Release, manifest: Manifest) -> str:
    """A Bento of the release in the store, less its code; its address."""
    shutil.copytree(release.folder, place.settings.bento_store / "bentos" / "ranking" / manifest.release_id / "src" / "bundle")
    return f"ranking:{manifest.release_id}"


@pytest.fixture
def evaluation(place: World, manifest: Manifest) -> Path:
    """What the gate said of it, as the step `evaluate` writes it."""
    folder = place.settings.home / "evaluation"
    folder.mkdir()
    means = {name: {"mean": value} for name, value in manifest.numbers.items()}
    verdict = {"outcome": "pass", "reasons": ["It is better."], "rows": []}
    (folder / "evaluation.json").write_text(json.dumps({"verdict": verdict, "systems": {"candidate": means}}))
    return folder


def test_a_bento_is_registered_with_its_facts_verdict_and_fingerprints(
    ask: TestClient[Any], bento: str, evaluation: Path, manifest: Manifest
) -> None:
    body = {"bento": bento, "evaluation": "evaluation", "run_id": "run-1", **WHY}
    said = ask.post("/v1/releases", json=body)
    assert said.status_code == 200, said.text
    own = said.json()["release"]
    assert own == ask.get(f"/v1/releases/{manifest.release_id}").json()
    assert (own["state"], own["verdict"], own["reasons"], own["run_id"]) == ("registered", "pass", ["It is better."], "run-1")
    assert own["files"] == manifest.files
    assert own["features"] == list(manifest.features)
    assert own["lineage"] == manifest.lineage
    assert set(own["importance"]) <= set(manifest.features)
    (listed,) = ask.get("/v1/releases").json()["releases"]
    assert (listed["release_id"], listed["files"], listed["lineage"]) == (manifest.release_id, {}, {})


def test_the_same_registration_again_changes_nothing(ask: TestClient[Any], bento: str) -> None:
    first, second = (ask.post("/v1/releases", json={"bento": bento, **WHY}) for _ in range(2))
    assert (first.json()["release"], second.status_code) == (second.json()["release"], 200)
    assert len(ask.get("/v1/events").json()["events"]) == 1


def test_one_request_registers_and_lets_the_first_release_serve(
    place: World, ask: TestClient[Any], bento: str, manifest: Manifest
) -> None:
    said = ask.post("/v1/releases", json={"bento": bento, "then": "serve", **WHY}).json()
    assert "as soon as it answers" in said["said"]
    place.tick(3)
    (slot,) = ask.get("/v1/serving").json()["slots"]
    assert (slot["release_id"], slot["stable"]) == (manifest.release_id, True)


def test_one_request_registers_and_starts_a_canary(place: World, ask: TestClient[Any], bento: str, manifest: Manifest) -> None:
    place.serving("r-old")
    said = ask.post("/v1/releases", json={"bento": bento, "then": "canary", "policy": {"steps": [7]}, **WHY}).json()
    assert (said["canary"]["release_id"], said["canary"]["against"]) == (manifest.release_id, "r-old")
    assert said["canary"]["policy"]["steps"] == [7]
    assert said["canary"]["canary_id"] in said["said"]


def test_a_release_the_gate_said_no_of_is_tried_only_by_force(
    place: World, ask: TestClient[Any], bento: str, evaluation: Path
) -> None:
    place.serving("r-old")
    file = evaluation / "evaluation.json"
    file.write_text(file.read_text().replace('"pass"', '"fail"'))
    body = {"bento": bento, "evaluation": str(evaluation), "then": "canary", **WHY}
    refused = ask.post("/v1/releases", json=body)
    assert refused.status_code == 409
    assert "the gate said fail" in refused.json()["detail"]
    forced = ask.post("/v1/releases", json={**body, "force": "it mends the search"})
    assert "it mends the search" in forced.json()["canary"]["why"]


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        ("evaluation.json", lambda text: text.replace('"mean": 0.5', '"mean": 0.25'), "the numbers differ"),
        ("evaluation.json", lambda _: "{}", "is no evaluation"),
        ("evaluation.json", lambda _: "{", "is no evaluation"),
    ],
)
def test_an_evaluation_of_another_release_is_refused(
    ask: TestClient[Any], bento: str, evaluation: Path, file: str, change: Any, says: str
) -> None:
    path = evaluation / file
    path.write_text(change(path.read_text()))
    said = ask.post("/v1/releases", json={"bento": bento, "evaluation": str(evaluation), **WHY})
    assert said.status_code == 422
    assert says in said.json()["detail"]
    assert ask.get("/v1/releases").json() == {"releases": []}


def test_a_release_with_an_altered_file_is_refused(place: World, ask: TestClient[Any], bento: str, manifest: Manifest) -> None:
    inner = place.settings.bento_store / "bentos" / "ranking" / manifest.release_id / "src" / "bundle"
    with (inner / "items.parquet").open("ab") as file:
        file.write(b"x")
    said = ask.post("/v1/releases", json={"bento": bento, **WHY})
    assert said.status_code == 422
    assert "items.parquet was altered" in said.json()["detail"]


def test_a_bento_and_a_bundle_of_two_releases_are_refused(
    place: World, ask: TestClient[Any], bento: str, other_release: Release
) -> None:
    shutil.copytree(other_release.folder, place.settings.home / "other")
    said = ask.post("/v1/releases", json={"bento": bento, "bundle": "other", **WHY})
    assert said.status_code == 422
    assert "two of one release" in said.json()["detail"] or "of one release" in said.json()["detail"]


@pytest.mark.parametrize("field", ["bundle", "bento", "evaluation"])
def test_nothing_is_read_outside_the_home_folder_not_even_through_a_link(
    place: World, ask: TestClient[Any], bento: str, release: Release, field: str
) -> None:
    link = place.settings.home / "link"
    link.symlink_to(release.folder)
    for path in (str(link), str(release.folder), "../release"):
        said = ask.post(
            "/v1/releases", json={"bento": bento, **WHY, field: path if field != "bento" else str(Path(path).absolute())}
        )
        assert said.status_code == 422
        assert "outside the home folder" in said.json()["detail"]
