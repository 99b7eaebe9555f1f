"""Folders, the short door for sockets, the lock, and what is handed down to every process."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rankloop.errors import StackError
from services import stack
from services.settings import Settings
from services.stack.head import command, environment
from services.stack.place import MARK, Place

Make = Callable[..., Settings]


def test_two_homes_have_two_marks_and_one_home_has_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert Place(tmp_path / "a").mark != Place(tmp_path / "b").mark
    assert Place(tmp_path / "a").mark == Place(tmp_path / "link").mark


def test_the_door_is_short_however_long_the_home_is(tmp_path: Path) -> None:
    place = Place(tmp_path / ("long" * 40))
    place.prepare()
    (place.ray / "here").touch()
    assert (place.door / "here").exists()
    assert len(str(place.door)) < 30
    place.close_door()
    assert not place.door.exists()
    assert place.ray.exists()


def test_preparing_twice_is_preparing_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare()
    place.prepare()
    assert place.door.resolve() == place.ray.resolve()
    place.close_door()


def test_nobody_elses_file_is_taken_for_the_door(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.door.touch()
    try:
        with pytest.raises(StackError, match="is there and not ours"):
            place.prepare()
        assert place.door.is_file()
    finally:
        place.door.unlink()


def test_the_folder_is_closed_to_others(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare()
    assert place.folder.stat().st_mode & 0o077 == 0
    place.close_door()


def test_only_one_process_changes_the_stack_at_a_time(tmp_path: Path, free_settings: Make) -> None:
    place = Place(tmp_path)
    with place.locked(), pytest.raises(StackError, match=f"process {os.getpid()} is starting or stopping"):
        stack.up(free_settings(tmp_path))
    with place.locked():
        pass


def test_what_is_written_is_read_and_forgotten(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.read("state") == {}
    place.write("state", {"phase": "ready"})
    assert place.read("state") == {"phase": "ready"}
    place.forget("state")
    place.forget("state")
    assert place.read("state") == {}


def test_down_without_a_stack_does_nothing(tmp_path: Path, free_settings: Make) -> None:
    assert stack.down(free_settings(tmp_path / "none")) == 0
    assert not (tmp_path / "none").exists()


def test_every_process_inherits_the_mark_and_keeps_quiet(tmp_path: Path, free_settings: Make) -> None:
    settings = free_settings(tmp_path)
    ours = environment(Place(tmp_path), settings, {"RAY_ADDRESS": "10.0.0.1:6379", "PATH": "/bin", "PYTHONPATH": "extra"})
    assert ours[MARK] == Place(tmp_path).mark
    assert "RAY_ADDRESS" not in ours
    assert ours["PATH"] == "/bin"
    assert ours["PYTHONPATH"].split(os.pathsep)[-1] == "extra"
    assert (ours["RAY_USAGE_STATS_ENABLED"], ours["BENTOML_DO_NOT_TRACK"], ours["RAY_AUTH_MODE"]) == ("0", "True", "disabled")
    assert ours["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_sockets_and_ray_go_through_the_door(tmp_path: Path, free_settings: Make) -> None:
    place, settings = Place(tmp_path), free_settings(tmp_path)
    assert f"--temp-dir={place.door}" in command(place, settings)
    ours = environment(place, settings, {})
    sockets = [value for name, value in ours.items() if "SOCKET_PATH" in name]
    assert len(sockets) == 2
    assert all(Path(socket).parent == place.door for socket in sockets)


def test_a_replicas_share_is_added_to_the_cores(tmp_path: Path, free_settings: Make) -> None:
    settings = free_settings(tmp_path)
    cores = os.cpu_count() or 1
    assert f"--num-cpus={cores + 1}" in command(Place(tmp_path), settings)
    assert "--num-cpus=5" in command(Place(tmp_path), settings.model_copy(update={"cpus": 5}))
