"""What the README shows works."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankloop.features import compute, load_views
from rankloop.simulation import Marketplace, Scale
from services.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_feature_it_shows_is_computed(tmp_path: Path) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "user_searches.sql").write_text(blocks[0])
    tables = Marketplace(Scale.tiny(), rng=1).history()
    values = compute(load_views(tmp_path), tables)["user_searches"]
    searches = tables.impressions.filter(tables.impressions["query"].is_not_null()).n_unique("request_id")
    assert values.group_by("user_id").max()["user_searches"].sum() == searches


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z-]+)", README))))
def test_the_make_targets_it_names_exist(target: str) -> None:
    assert f"\n{target}:" in MAKEFILE


@pytest.mark.parametrize("command", sorted(set(re.findall(r"rankloop ((?:data |pipeline )?[a-z]+) ", README)) - {"is"}))
def test_the_commands_it_names_exist(command: str) -> None:
    assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0


def test_the_steps_it_names_are_the_pipelines_in_order() -> None:
    from pipelines.events import STEPS

    assert tuple(re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE)) == STEPS
