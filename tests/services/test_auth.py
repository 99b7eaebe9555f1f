"""Tokens: what is kept, what is good, how a request is refused, and how a token is taken away from a running process."""

import json
import logging
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar, Request, get
from litestar.testing import TestClient

from rankloop.errors import SettingsError
from services.auth import Scope, TokenEntry, Tokens, digest, guard, read_entries, refuse_strangers
from services.settings import Settings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LONGER = timedelta(seconds=2)
"""More than the file is left alone for."""


def token() -> str:
    return "rl_" + secrets.token_urlsafe(32)


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now.timestamp()


def entry(name: str, secret: str, *scopes: Scope, days: float | None = None) -> dict[str, Any]:
    made = {"name": name, "sha256": digest(secret), "scopes": list(scopes), "created_at": NOW.isoformat()}
    return made | ({"expires_at": (NOW + timedelta(days=days)).isoformat()} if days else {})


def write(path: Path, *entries: dict[str, Any]) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"tokens": entries}))
    aside.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


def settings(tmp_path: Path, **fields: Any) -> Settings:
    return Settings.read(home=tmp_path, **fields)


def app(tokens: Tokens) -> Litestar:
    async def before(request: Request[Any, Any, Any]) -> None:
        guard(tokens, request.scope)

    @get("/read", scope=Scope.READ)
    async def read() -> str:
        return "read"

    @get("/open", scope=None)
    async def open_to_all() -> str:
        return "open"

    @get("/forgotten")
    async def forgotten() -> str:
        return "forgotten"

    return Litestar([read, open_to_all, forgotten], before_request=before, openapi_config=None, logging_config=None)


def asked(tokens: Tokens, route: str, header: str | None = None) -> tuple[int, str]:
    with TestClient(app(tokens)) as client:
        answer = client.get(route, headers={"authorization": header} if header else {})
    return answer.status_code, answer.headers.get("www-authenticate", "")


def test_nothing_is_enforced_where_no_token_is_configured(tmp_path: Path) -> None:
    tokens = Tokens.read(settings(tmp_path))
    assert not tokens.enforced
    assert tokens.allows(None, Scope.ADMIN)
    assert asked(tokens, "/forgotten")[0] == 200


def test_a_token_does_what_its_scopes_say_and_no_more(path: Path) -> None:
    secret = token()
    write(path, entry("shop", secret, Scope.READ))
    tokens = Tokens([], path)
    assert tokens.enforced
    assert [scope for scope in Scope if tokens.allows(secret, scope)] == [Scope.READ]


@pytest.mark.parametrize("given", [None, "", "rl_", token(), "ä" * 46], ids=["none", "empty", "prefix", "strange", "umlauts"])
def test_no_token_and_a_strange_one_open_nothing(path: Path, given: str | None) -> None:
    write(path, entry("shop", token(), *Scope))
    assert not any(Tokens([], path).allows(given, scope) for scope in Scope)


def test_the_hash_is_no_token(path: Path) -> None:
    secret = token()
    write(path, entry("shop", secret, *Scope))
    assert not Tokens([], path).allows(digest(secret), Scope.READ)


def test_a_token_is_refused_from_the_moment_it_expires(path: Path) -> None:
    secret, clock = token(), Clock()
    write(path, entry("shop", secret, Scope.READ, days=1))
    tokens = Tokens([], path, clock=clock)
    clock.now = NOW + timedelta(days=1, microseconds=-1)
    assert tokens.allows(secret, Scope.READ)
    clock.now = NOW + timedelta(days=1)
    assert not tokens.allows(secret, Scope.READ)
    assert tokens.enforced


def test_a_token_is_revoked_in_a_running_process_within_a_second(path: Path) -> None:
    kept, revoked, clock = token(), token(), Clock()
    write(path, entry("kept", kept, Scope.READ), entry("revoked", revoked, Scope.READ))
    tokens = Tokens([], path, clock=clock)
    write(path, entry("kept", kept, Scope.READ))
    clock.now += timedelta(seconds=1)
    assert not tokens.allows(revoked, Scope.READ)
    assert tokens.allows(kept, Scope.READ)


def test_the_file_is_looked_at_once_a_second_at_most(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, entry("shop", token(), Scope.READ))
    looks: list[Path] = []
    clock, stat = Clock(), os.stat
    tokens = Tokens([], path, clock=clock)

    def counted(where: Path) -> os.stat_result:
        looks.append(where)
        return stat(where)

    monkeypatch.setattr("services.auth.os.stat", counted)
    for _ in range(100):
        clock.now += timedelta(milliseconds=50)
        tokens.allows(token(), Scope.READ)
    assert 4 <= len(looks) <= 5


def test_the_first_token_closes_a_process_that_was_open(path: Path) -> None:
    clock = Clock()
    tokens = Tokens([], path, clock=clock)
    assert not tokens.enforced
    write(path, entry("shop", token(), Scope.READ))
    clock.now += LONGER
    assert tokens.enforced


def test_revoking_the_last_token_opens_nothing(path: Path) -> None:
    secret, clock = token(), Clock()
    write(path, entry("shop", secret, *Scope))
    tokens = Tokens([], path, clock=clock)
    write(path)
    clock.now += LONGER
    assert tokens.enforced
    assert not tokens.allows(secret, Scope.READ)
    assert Tokens([], path).enforced


@pytest.mark.parametrize("harm", ["broken", "vanished"])
def test_a_file_that_breaks_later_leaves_the_last_good_tokens_and_a_line_in_the_log(
    path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret, clock = token(), Clock()
    write(path, entry("shop", secret, Scope.READ))
    tokens = Tokens([], path, clock=clock)
    path.unlink()
    if harm == "broken":
        path.write_text("{")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.now += LONGER
            assert tokens.allows(secret, Scope.READ)
            assert not tokens.allows(token(), Scope.READ)
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    write(path)
    clock.now += LONGER
    assert not tokens.allows(secret, Scope.READ)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"tokens": [{}]}',
        json.dumps({"tokens": [entry("a b", token(), Scope.READ)]}),
        json.dumps({"tokens": [entry("a", token())]}),
        json.dumps({"tokens": [entry("a", token(), Scope.READ) | {"sha256": token()}]}),
        json.dumps({"tokens": [entry("a", token(), Scope.READ) | {"scopes": ["write"]}]}),
        json.dumps({"tokens": [entry("a", token(), Scope.READ) | {"created_at": "2026-05-01T00:00:00"}]}),
        json.dumps({"tokens": [entry("a", token(), Scope.READ), entry("a", token(), Scope.READ)]}),
    ],
)
def test_a_broken_file_is_refused_at_the_start_by_its_name(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"tokens\.json"):
        Tokens([], path)


def test_a_file_that_anybody_may_write_is_refused(path: Path) -> None:
    write(path, entry("shop", token(), Scope.READ))
    path.chmod(0o666)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_entries(path)


def test_a_file_that_was_named_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="RANKLOOP_TOKENS_FILE"):
        Tokens.read(settings(tmp_path, tokens_file=str(tmp_path / "none.json")))


def test_tokens_of_the_environment_and_of_the_file_are_both_good(tmp_path: Path) -> None:
    first, second, third = token(), token(), token()
    write(tmp_path / "tokens.json", entry("third", third, Scope.ADMIN))
    text = f"first:read+events:{digest(first)}, second:admin:{digest(second).upper()},"
    tokens = Tokens.read(settings(tmp_path, tokens_sha256=text))
    assert tokens.find(first) == TokenEntry("first", digest(first), [Scope.READ, Scope.EVENTS])
    assert tokens.allows(second, Scope.ADMIN)
    assert tokens.allows(third, Scope.ADMIN)


@pytest.mark.parametrize("text", ["shop", "shop:read", f"shop:write:{digest('a')}", f"shop::{digest('a')}", "shop:read:abc"])
def test_a_broken_token_of_the_environment_is_refused_with_its_number(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="RANKLOOP_TOKENS_SHA256, token 2"):
        Tokens.read(settings(tmp_path, tokens_sha256=f"good:read:{digest(token())},{text}"))


def test_a_token_is_in_no_representation_of_the_settings(tmp_path: Path) -> None:
    secret = token()
    assert secret not in repr(settings(tmp_path, token=secret))


@pytest.mark.parametrize(
    ("scopes", "header", "status", "challenge"),
    [
        ([Scope.READ], None, 401, 'Bearer realm="rankloop"'),
        ([Scope.READ], "Basic {}", 401, 'Bearer realm="rankloop"'),
        ([Scope.READ], "Bearer", 401, 'Bearer realm="rankloop"'),
        ([Scope.READ], "Bearer x{}", 401, 'Bearer realm="rankloop", error="invalid_token"'),
        ([Scope.EVENTS], "Bearer {}", 403, 'Bearer realm="rankloop", error="insufficient_scope", scope="read"'),
        ([Scope.ADMIN], "Bearer {}", 403, 'Bearer realm="rankloop", error="insufficient_scope", scope="read"'),
        ([Scope.READ], "Bearer {}", 200, ""),
        ([Scope.READ], "bearer  {} ", 200, ""),
    ],
)
def test_a_request_is_refused_as_the_standard_for_bearer_tokens_says(
    path: Path, scopes: Sequence[Scope], header: str | None, status: int, challenge: str
) -> None:
    secret = token()
    write(path, entry("shop", secret, *scopes))
    assert asked(Tokens([], path), "/read", header and header.format(secret)) == (status, challenge)


def test_an_open_route_stays_open_and_one_that_says_nothing_needs_admin(path: Path) -> None:
    reader, admin = token(), token()
    write(path, entry("reader", reader, Scope.READ, Scope.EVENTS), entry("admin", admin, Scope.ADMIN))
    tokens = Tokens([], path)
    assert asked(tokens, "/open")[0] == 200
    assert asked(tokens, "/forgotten", f"Bearer {reader}")[0] == 403
    assert asked(tokens, "/forgotten", f"Bearer {admin}")[0] == 200


@pytest.mark.parametrize("address", ["0.0.0.0", "*", "::", "10.1.2.3", "example.org"])
def test_what_others_can_reach_asks_for_a_token(path: Path, address: str) -> None:
    with pytest.raises(SettingsError, match="other machines"):
        refuse_strangers(Tokens([], path), address)
    write(path, entry("shop", token(), Scope.READ))
    refuse_strangers(Tokens([], path), address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_what_only_this_machine_reaches_may_be_open(path: Path, address: str) -> None:
    refuse_strangers(Tokens([], path), address)
