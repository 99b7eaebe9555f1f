"""Settings: one class, one prefix, and a sentence for a value that cannot work."""

import ast
from pathlib import Path

import pytest

from rankloop.errors import SettingsError
from services.settings import Settings


def test_a_variable_of_the_environment_sets_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKLOOP_HTTP_PORT", "8123")
    assert Settings.read().http_port == 8123
    assert Settings.read().service_url == "http://127.0.0.1:8123"


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKLOOP_HTTP_PORT", "8123")
    assert Settings.read(http_port=8124).http_port == 8124


def test_the_home_folder_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.read(home=Path("state")).home == tmp_path / "state"
    assert Settings.read(home=Path("state")).bento_store == tmp_path / "state" / "bento"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RANKLOOP_HTTP_PORT", "80", "RANKLOOP_HTTP_PORT is '80': input should be greater than or equal to 1024"),
        ("RANKLOOP_REPLICAS", "two", "RANKLOOP_REPLICAS is 'two': input should be a valid integer"),
        ("RANKLOOP_REPLICA_CPUS", "0", "RANKLOOP_REPLICA_CPUS is '0': input should be greater than 0"),
        ("RANKLOOP_MAX_K", "0", "RANKLOOP_MAX_K is '0': input should be greater than or equal to 1"),
    ],
)
def test_a_value_that_cannot_work_is_named_with_its_rule(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.read()
    assert says in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_every_setting_with_a_size_names_its_unit() -> None:
    units = {
        "seconds": "seconds",
        "mb": "MiB",
        "bytes": "bytes",
        "chars": "characters",
        "days": "days",
        "port": "port",
        "cpus": "ores",
    }
    for name, field in Settings.model_fields.items():
        unit = units.get(name.rsplit("_", 1)[-1])
        assert unit is None or unit in str(field.description), f"{name} does not say {unit}"


def test_importing_the_settings_reads_nothing(root: Path) -> None:
    tree = ast.parse((root / "services" / "settings.py").read_text())
    calls = [node for node in tree.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]
    assert calls == []
