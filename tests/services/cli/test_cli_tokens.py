"""`rankloop tokens`: a token is shown once, kept as a hash, listed by name, and taken away."""

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.auth import Scope, Tokens, digest, read_entries
from services.cli.app import app
from services.cli.tokens import create
from services.settings import Settings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKLOOP_HOME", str(tmp_path))
    return tmp_path


def said(*words: str) -> Result:
    return CliRunner().invoke(app, ["tokens", *words])


def made(name: str, *scopes: str, days: str = "") -> str:
    options = [word for scope in scopes for word in ("--scope", scope)] + (["--days", days] if days else [])
    result = said("create", "--name", name, *options)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_a_token_is_256_random_bits_on_a_line_of_its_own_and_works() -> None:
    token = made("shop", "read", "events")
    assert re.fullmatch(r"rl_[A-Za-z0-9_-]{43}", token)
    assert [scope for scope in Scope if Tokens.read(Settings.read()).allows(token, scope)] == [Scope.READ, Scope.EVENTS]


def test_only_the_hash_is_kept_and_only_the_owner_may_read_it(home: Path) -> None:
    token = made("shop", "read")
    kept = home / "tokens.json"
    assert token not in kept.read_text()
    assert digest(token) in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert [file.name for file in home.iterdir()] == ["tokens.json"]


def test_the_list_shows_neither_a_token_nor_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    token, given = made("shop", "read", "admin", days="90"), "a" * 64
    monkeypatch.setenv("RANKLOOP_TOKENS_SHA256", f"cluster:events:{given}")
    shown = said("list").stdout
    assert "shop" in shown
    assert "admin read" in shown
    assert "cluster" in shown
    assert digest(token)[:8] in shown
    assert not {token, digest(token), digest(token)[:9], given} & set(shown.split())


def test_a_revoked_token_opens_nothing_and_the_others_go_on() -> None:
    shop, mine = made("shop", "read"), made("mine", "admin")
    assert said("revoke", "shop").exit_code == 0
    tokens = Tokens.read(Settings.read())
    assert not tokens.allows(shop, Scope.READ)
    assert tokens.allows(mine, Scope.ADMIN)


def test_revoking_the_last_token_says_that_nobody_may_ask() -> None:
    made("shop", "read")
    assert "nobody may ask" in said("revoke", "shop").stdout
    assert "nobody may ask" in said("list").stdout
    assert Tokens.read(Settings.read()).enforced


def test_an_expired_token_is_listed_as_refused() -> None:
    token = made("shop", "read", days="0")
    assert not Tokens.read(Settings.read()).allows(token, Scope.READ)
    assert "refused" in said("list").stdout


def test_without_a_token_the_list_says_who_may_ask() -> None:
    assert "everybody" in said("list").stdout


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "a:b"])
def test_a_name_that_cannot_be_one_is_refused_and_nothing_is_kept(name: str, home: Path) -> None:
    result = said("create", "--name", name, "--scope", "read")
    assert result.exit_code == 1
    assert "cannot name a token" in result.stderr
    assert not (home / "tokens.json").exists()


def test_a_name_is_given_once() -> None:
    made("shop", "read")
    again = said("create", "--name", "shop", "--scope", "read")
    assert again.exit_code == 1
    assert "rankloop tokens revoke shop" in again.stderr


def test_a_token_nobody_made_cannot_be_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKLOOP_TOKENS_SHA256", f"cluster:events:{'a' * 64}")
    assert "tokens list" in said("revoke", "nobody").stderr
    assert "RANKLOOP_TOKENS_SHA256" in said("revoke", "cluster").stderr


def test_a_scope_nobody_knows_is_a_command_line_that_makes_no_sense() -> None:
    assert said("create", "--name", "shop", "--scope", "write").exit_code == 2
    assert said("create", "--name", "shop").exit_code == 2


def test_a_broken_file_is_left_as_it_is(home: Path) -> None:
    (home / "tokens.json").write_text("{")
    assert said("create", "--name", "shop", "--scope", "read").exit_code == 1
    assert (home / "tokens.json").read_text() == "{"


def test_tokens_made_at_the_same_time_are_all_kept(home: Path) -> None:
    names = [f"n{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: create(name, [Scope.READ], None), names))
    assert sorted(entry.name for entry in read_entries(home / "tokens.json")) == names
