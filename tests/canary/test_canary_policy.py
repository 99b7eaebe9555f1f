"""A canary's policy is data, and says what is wrong with it."""

from pathlib import Path

import msgspec
import pytest

from rankloop.canary import GUARDS, Policy
from rankloop.errors import SettingsError


def test_a_recorded_policy_is_read_back_as_it_was() -> None:
    policy = Policy.of({"guards": {"overlap": None, "errors": {"tolerate": 1.0}}, "objective": {"aim": "better"}})
    recorded = msgspec.json.encode(policy)
    assert msgspec.json.decode(recorded, type=Policy) == policy
    assert Policy.of(msgspec.json.decode(recorded)) == policy
    assert "overlap" not in policy.active


def test_of_a_guardrail_only_what_is_named_changes() -> None:
    guard = Policy.of({"guards": {"errors": {"tolerate": 1.0}}}).active["errors"]
    assert guard == msgspec.structs.replace(GUARDS["errors"], tolerate=1.0)


def test_alpha_is_shared_out_whole() -> None:
    for changes in ({}, {"guards": {"overlap": None, "score": {"share": 5}}}):
        policy = Policy.of(changes)
        assert sum(policy.alpha_of(metric) for metric in policy.active) == pytest.approx(policy.alpha)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": []}, "steps are"),
        ({"steps": [500, 100]}, "each more than the one before"),
        ({"steps": [100, 10000]}, "from 1 to 9999"),
        ({"min_seconds": 10, "max_seconds": 5}, "the longest is not below the shortest"),
        ({"min_units": 1}, "fewer than 2"),
        ({"alpha": 0.7}, "chances in"),
        ({"objective": {"metric": "revenue"}}, "one of apply_rate"),
        ({"objective": {"rule_out": 0}}, "a share in"),
        ({"guards": {"revenue": {"tolerate": 0.1}}}, "there is no guardrail 'revenue'"),
        ({"guards": {"errors": 0.1}}, "it is a mapping of tolerate"),
        ({"guards": {"errors": {"tolerate": -1}}}, "are shares"),
        ({"guards": {"errors": {"dispersion": 0.5}}}, "at least 1"),
        ({"guards": {"errors": {"most": 1}}}, "unknown field"),
        ({"guards": 3}, "its fields are"),
        ({"step": [1]}, "its fields are"),
        ({"alpha": "much"}, "its fields are"),
    ],
)
def test_what_cannot_work_is_refused_with_the_rule(changes, said: str) -> None:
    with pytest.raises(SettingsError, match="canary policy") as caught:
        Policy.of(changes)
    assert said in str(caught.value)


def test_a_file_of_changes_is_read(tmp_path: Path) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text("steps: [500, 5000]\nguards: {overlap: null, ctr@10: {tolerate: 0.05}}\n")
    policy = Policy.read(file)
    assert policy.steps == (500, 5000)
    assert policy.active["ctr@10"].tolerate == 0.05
    assert "overlap" not in policy.active


@pytest.mark.parametrize("text", ["- 1\n", "steps: [", "\x00"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"canary\.yaml"):
        Policy.read(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        Policy.read(tmp_path / "none.yaml")
