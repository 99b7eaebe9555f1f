"""Both clients against the real applications, divided as the edge divides them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from litestar import Litestar

from rankloop.bundle import Bundle
from rankloop.errors import ApiError
from services.auth import Scope
from services.client import Event
from services.events import openapi as of_events
from services.openapi import Operation
from services.ranking import openapi as of_ranking
from tests.services.both import TOKENS, applications, divided, guarded, served

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def both(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Litestar, Litestar]]:
    with applications(bundle, guarded(home=tmp_path_factory.mktemp("home"))) as apps:
        yield apps


@pytest.fixture(scope="module")
def url(both: tuple[Litestar, Litestar]) -> Iterator[str]:
    with served(divided(*both)) as address:
        yield address


@pytest.fixture
def client(url: str, open_client: Open) -> Any:
    return open_client(url, token=TOKENS["all"])


def test_a_client_gets_lists_of_every_kind(client: Any, bundle: Bundle) -> None:
    listed = client.recommend("logo-u3", 5, request_id="shop-1")
    assert [item.position for item in listed.items] == [1, 2, 3, 4, 5]
    assert (listed.request_id, listed.release_id) == ("shop-1", bundle.manifest.release_id)
    assert client.search("boiler leak", k=2).items
    ranked = client.rank("logo-u3", ["logo-i1", "nothing", "plumbing-i1"], explain=True)
    assert ranked.unknown_items == ["nothing"]
    assert ranked.explanations[0].contributions
    assert client.similar("logo-i1", 3).item_id == "logo-i1"
    assert client.ready().release_id == bundle.manifest.release_id


def test_events_are_taken_and_the_bad_ones_named(client: Any) -> None:
    events = [Event(user_id="u1", item_id=f"logo-i{n}", kind="click") for n in range(5)]
    events[3] = Event(user_id="", item_id="logo-i3", kind="click", event_id="bad")
    told = client.send_events(events, batch=2)
    assert told.accepted == 4
    assert [(one.index, one.event_id) for one in told.rejected] == [(3, "bad")]


@pytest.mark.parametrize("user_id", ["u1", "a/b", "a/", "ü ?#%2F", "..", "."])
def test_a_person_is_forgotten_whatever_their_id(client: Any, user_id: str) -> None:
    receipt = client.delete_user(user_id)
    assert receipt.state == "pending"
    assert client.receipt(receipt.receipt_id).receipt_id == receipt.receipt_id


def test_nothing_known_of_a_person_is_an_error_with_its_status(client: Any) -> None:
    with pytest.raises(ApiError, match="nothing is known") as told:
        client.user_state("nobody")
    assert told.value.status == 404


def test_a_refusal_of_the_service_arrives_in_its_words(client: Any) -> None:
    with pytest.raises(ApiError, match="k is 0; it must be from 1 to 200") as told:
        client.recommend("u", 0, request_id="shop-2")
    assert (told.value.status, told.value.request_id) == (422, "shop-2")


def test_each_scope_opens_its_methods_and_no_other(url: str, open_client: Open) -> None:
    asked: dict[Scope, Callable[[Any], Any]] = {
        Scope.READ: lambda client: client.recommend("u"),
        Scope.EVENTS: lambda client: client.send_events([Event(user_id="u", item_id="i", kind="click")]),
        Scope.ADMIN: lambda client: client.delete_user("u9"),
    }
    for held in Scope:
        client = open_client(url, token=TOKENS[held])
        for needed, ask in asked.items():
            if held is needed:
                ask(client)
                continue
            with pytest.raises(ApiError, match=f"no scope '{needed}'") as told:
                ask(client)
            assert told.value.status == 403
    with pytest.raises(ApiError, match="no token") as told:
        open_client(url, token="").recommend("u")
    assert told.value.status == 401


@pytest.mark.parametrize(("place", "operations"), [(0, of_ranking.OPERATIONS), (1, of_events.OPERATIONS)])
def test_the_document_names_the_scope_that_each_route_asks_for(
    both: tuple[Litestar, Litestar], place: int, operations: tuple[Operation, ...]
) -> None:
    handlers = [handler for route in both[place].routes for handler in getattr(route, "route_handlers", [])]
    asked = {
        (method.lower(), path.replace(":str", "").replace(":path", "")): handler.opt["scope"]
        for handler in handlers
        for path in handler.paths
        for method in handler.http_methods
        if method != "OPTIONS"
    }
    assert asked == {(one.method, one.path): one.scope for one in operations}
