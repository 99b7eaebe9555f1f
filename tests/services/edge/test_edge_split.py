"""The split: the edge's bucket is Python's, whatever the id; weights change at run time and never flip a unit back."""

import json
import random
from dataclasses import replace
from typing import Any

import httpx
import pytest

from rankloop.errors import StackError
from services.edge import AdminSocket, Slots, bucket_of
from tests.services.edge.conftest import Rig, until

STRANGE = [
    "é",
    "日本語",
    'a"b',
    "back\\slash",
    "sl/ash",
    "tab\there",
    "emoji 🎉🧑‍🚀",
    "x" * 256,
    " ",
    "nul\x00byte",
    'Ünïcödé/\\"',
    "\u2028",
    "0",
]


def said_by(client: httpx.Client, body: str, **headers: str) -> dict[str, Any]:
    answer = client.post("/v1/recommend", content=body.encode(), headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def slot_of(said: dict[str, Any]) -> str:
    return str(said["path"]).split("/")[1]


def test_the_edges_bucket_is_pythons_for_thousands_of_people(rig: Rig) -> None:
    rng, client = random.Random(7), rig.client()
    for weight in (100, 5_000, 9_900):
        slots = replace(rig.edge.config.slots, canary_bp=weight, interleave_bp=weight // 3)
        rig.edge.set_slots(slots)
        for _ in range(1_000):
            user = f"u{rng.getrandbits(64)}"
            said = said_by(client, json.dumps({"user_id": user}))
            slot, interleaved = slots.slot_of(user)
            assert slot_of(said) == slot, user
            assert said["headers"].get("x-rankloop-interleave") == (slots.idle if interleaved else None), user
            assert said["headers"]["x-rankloop-slot"] == slot


@pytest.mark.parametrize("user", STRANGE)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_id_has_one_bucket_however_its_json_is_written(rig: Rig, user: str, ascii_only: bool) -> None:
    bucket = bucket_of(user, rig.edge.config.slots.split_seed)
    body = json.dumps({"k": 3, "user_id": user, "surface": "job_feed"}, ensure_ascii=ascii_only)
    client = rig.client()
    for text in (body, body.replace("/", "\\/"), json.dumps(json.loads(body), indent=2, ensure_ascii=ascii_only)):
        for weight, slot in ((bucket, "blue"), (bucket + 1, "green")):  # it is in the canary from one basis point to the next
            rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=weight))
            assert slot_of(said_by(client, text)) == slot


def test_a_user_far_behind_in_a_large_body_is_still_found(rig: Rig) -> None:
    items = [f"item-{n}" for n in range(15_000)]
    for user in ("u1", "u2", "u3", "u4", "u5", "u6"):
        rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=5_000))
        said = said_by(rig.client(), json.dumps({"item_ids": items, "user_id": user}))
        assert slot_of(said) == rig.edge.config.slots.slot_of(user)[0]


def test_a_named_unit_wins_over_the_user(rig: Rig) -> None:
    bucket = bucket_of("household-7", rig.edge.config.slots.split_seed)
    rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=bucket + 1))
    others = [f"u{n}" for n in range(1_000) if bucket_of(f"u{n}", 1) > bucket]
    said = said_by(rig.client(), json.dumps({"user_id": others[0]}), **{"x-rankloop-unit": "household-7"})
    assert slot_of(said) == "green"


@pytest.mark.parametrize("body", ["", "{}", "[1]", '{"user_id":""}', '{"nested":{"user_id":"u1"}}', '{"user_id":"u', "no json"])
def test_a_request_without_a_user_goes_by_its_address(rig: Rig, body: str) -> None:
    bucket = bucket_of("127.0.0.1", rig.edge.config.slots.split_seed)
    for weight, slot in ((bucket, "blue"), (bucket + 1, "green")):
        rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=weight))
        assert slot_of(said_by(rig.client(), body)) == slot


def test_a_larger_weight_only_adds_units(rig: Rig) -> None:
    users = [f"u{n}" for n in range(200)]
    before: set[str] = set()
    for weight in (0, 500, 2_500, 10_000):
        rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=weight))
        client = rig.client()
        now = {user for user in users if slot_of(said_by(client, json.dumps({"user_id": user}))) == "green"}
        assert now >= before
        before = now
    assert before == set(users)


def test_only_lists_are_split(rig: Rig) -> None:
    rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=10_000))
    client = rig.client()
    assert client.get("/schema/openapi.json").json()["path"] == "/blue/schema/openapi.json"
    assert client.get("/readyz").json()["release_id"] == "r-blue"
    assert client.get("/v1/items/i1/similar?k=3").json()["path"] == "/green/v1/items/i1/similar?k=3"


def test_a_swap_is_complete_at_once_and_has_no_weights(rig: Rig) -> None:
    rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=2_000, interleave_bp=2_000))
    swapped = rig.edge.slots().swapped()
    rig.edge.set_slots(swapped)
    assert (swapped.stable, swapped.idle, swapped.canary_bp, swapped.interleave_bp) == ("green", "blue", 0, 0)
    assert rig.edge.slots() == swapped == Slots.read(rig.edge.slots_file)
    client = rig.client()
    assert {slot_of(said_by(client, json.dumps({"user_id": f"u{n}"}))) for n in range(50)} == {"green"}


def test_no_unit_flips_back_while_the_canary_becomes_stable(rig: Rig) -> None:
    """The commands of a swap one by one: after the first of them everybody has the canary's slot."""
    rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=5_000, interleave_bp=5_000))
    client = rig.client()
    for command in ("proc.stable str(green)", "proc.canary_bp int(0)", "proc.interleave_bp int(0)", "proc.canary str(blue)"):
        rig.edge.admin.command(f"experimental-mode on; set var {command}")
        said = [said_by(client, json.dumps({"user_id": f"u{n}"})) for n in range(30)]
        assert {slot_of(one) for one in said} == {"green"}
        assert not any("x-rankloop-interleave" in one["headers"] for one in said)


def test_a_canary_that_is_down_falls_back_to_the_stable_slot(rig: Rig) -> None:
    rig.edge.set_slots(replace(rig.edge.config.slots, canary_bp=10_000, interleave_bp=5_000))
    rig.serve.ready["green"] = False
    until(lambda: not rig.up("green"), "green is down")
    client = rig.client()
    said = [said_by(client, json.dumps({"user_id": f"u{n}"})) for n in range(20)]
    assert {slot_of(one) for one in said} == {"blue"}
    assert not any("x-rankloop-interleave" in one["headers"] for one in said)
    rig.serve.ready["green"] = True
    until(lambda: rig.up("green"), "green is up")
    assert rig.recommend("u1").headers["x-rankloop-slot"] in {"blue", "green"}


def test_a_weight_that_cannot_be_is_refused(rig: Rig) -> None:
    with pytest.raises(StackError, match="canary_bp is 10001; give basis points"):
        replace(rig.edge.config.slots, canary_bp=10_001)
    with pytest.raises(StackError, match="the stable slot is 'red'"):
        Slots(stable="red")
    with pytest.raises(StackError, match="the seeds are"):
        rig.edge.set_slots(replace(rig.edge.config.slots, split_seed=99))


def test_an_edge_that_is_not_there_is_named_with_what_to_do(rig: Rig) -> None:
    with pytest.raises(StackError, match=r"does not answer at .*nowhere.sock .*`rankloop up`"):
        AdminSocket(rig.edge.folder / "nowhere.sock").weights()
