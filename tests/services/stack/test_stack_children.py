"""The processes beside Ray, as the supervisor is told of them."""

from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path

import pytest

from rankloop.errors import SettingsError
from services.settings import Settings
from services.stack.children import Children
from services.stack.place import Place

Make = Callable[..., Settings]


def told(settings: Settings) -> ConfigParser:
    """What the supervisor reads, with its own way of taking `%` apart."""
    parser = ConfigParser()
    parser.read_string(Children(Place(settings.home), settings).configuration())
    return parser


def test_the_edge_starts_last_and_ends_first(free_settings: Make, tmp_path: Path) -> None:
    programs = list(Children(Place(tmp_path), free_settings(tmp_path, watchers="none")).programs())
    assert [own.name for own in programs] == ["curator", "collector-1", "collector-2", "tally", "edge", "control"]
    assert [own.rank for own in programs] == sorted(own.rank for own in programs)


def test_the_shadow_worker_is_there_where_there_is_a_shadow(free_settings: Make, tmp_path: Path) -> None:
    names = [own.name for own in Children(Place(tmp_path), free_settings(tmp_path, shadow_share=0.1, watchers="none")).programs()]
    assert names == ["curator", "collector-1", "collector-2", "tally", "shadow", "edge", "control"]


def test_a_process_that_ends_is_always_started_again(free_settings: Make, tmp_path: Path) -> None:
    parser = told(free_settings(tmp_path, watchers="none"))
    programs = [parser[name] for name in parser.sections() if name.startswith("program:")]
    assert len(programs) == 6
    assert {own["autorestart"] for own in programs} == {"true"}
    assert all(int(own["startretries"]) > 1_000 for own in programs)


def test_a_home_with_strange_letters_is_written_so_that_it_is_read(free_settings: Make, tmp_path: Path) -> None:
    home = tmp_path / "50% of a home"
    assert told(free_settings(home))["program:edge"]["directory"] == str(home)
    assert f"'{home}/edge/haproxy.cfg'" in told(free_settings(home))["program:edge"]["command"]


def test_no_tcp_port_takes_orders(free_settings: Make, tmp_path: Path) -> None:
    parser = told(free_settings(tmp_path))
    assert "inet_http_server" not in parser.sections()
    assert parser["unix_http_server"]["chmod"] == "0700"


def test_an_edge_that_strangers_reach_is_refused_before_anything_starts(free_settings: Make, tmp_path: Path) -> None:
    settings = free_settings(tmp_path, edge_host="0.0.0.0")
    with pytest.raises(SettingsError, match="no token is configured"):
        Children(Place(tmp_path), settings).start()


def test_nobody_answers_where_nothing_was_started(free_settings: Make, tmp_path: Path) -> None:
    children = Children(Place(tmp_path), free_settings(tmp_path))
    assert children.states() == children.ailing() == {}
    assert not children.answer()
    assert not children.stop(seconds=1)
