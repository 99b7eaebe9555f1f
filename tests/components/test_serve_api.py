"""Putting a Bento into service where nothing answers; what happens where Ray does is tested with the stack."""

import socket

import pytest

from components.serve_api import configuration, put_into_service
from rankloop.errors import StackError


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def test_a_stack_that_is_down_is_named_with_what_to_do() -> None:
    nowhere = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(StackError, match=rf"{nowhere} does not answer .*`rankloop up`"):
        put_into_service("/bento", "r1", serve_api=nowhere, serve_url=nowhere, say=print)


def test_the_configuration_answers_where_it_is_told() -> None:
    body = configuration("http://127.0.0.1:8123", [{"name": "blue"}])
    assert body["http_options"] == {"host": "127.0.0.1", "port": 8123}
    assert body["applications"] == [{"name": "blue"}]
    there = {"host": "127.0.0.1", "port": 8124}
    assert configuration("http://127.0.0.1:8123", [], http_options=there)["http_options"] == there
