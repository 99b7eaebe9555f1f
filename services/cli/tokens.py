"""`rankloop tokens create | list | revoke`: who may ask the service."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from rankloop.errors import SettingsError
from rankloop.files import write_aside
from services.auth import TOKEN_PREFIX, Scope, TokenEntry, digest, entries_in, read_entries
from services.cli.console import err, myself, out
from services.settings import Settings

__all__ = ["app", "create", "list_tokens", "revoke"]

app: Final = typer.Typer(no_args_is_help=True, help="Make, list and revoke the tokens that open the service.")

_SHOWN: Final = 8


@app.command()
def create(
    name: Annotated[str, typer.Option("--name", help="Who will hold it; letters, digits and ._- alone.")],
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may do; may be repeated.")],
    days: Annotated[float | None, typer.Option("--days", min=0, help="Refuse it after so many days.  [default: never]")] = None,
) -> None:
    """Make a token and print it, once: only its hash is kept."""
    settings, now = Settings.read(), datetime.now(UTC)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    entry = _entry(name, token, scope, now, now + timedelta(days=days) if days is not None else None)
    with _held(settings.tokens_path) as entries:
        if any(one.name == name for one in [*entries, *entries_in(settings.tokens_sha256)]):
            raise SettingsError(f"there is a token named {name!r}; take another name, or `rankloop tokens revoke {name}` first")
        entries.append(entry)
    out.print(token, markup=False, soft_wrap=True)
    err.print(
        f"[dim]kept as a hash in {escape(str(settings.tokens_path))}; the token itself is shown only now[/dim]", soft_wrap=True
    )


@app.command("list")
def list_tokens() -> None:
    """List the tokens, each with the beginning of its hash."""
    settings, now = Settings.read(), datetime.now(UTC)
    kept = read_entries(settings.tokens_path) if settings.tokens_path.exists() else []
    given = entries_in(settings.tokens_sha256)
    if not kept and not given:
        closed = "nobody may ask" if settings.tokens_path.exists() else "everybody who reaches the service may ask"
        out.print(f"there is no token: {closed}; make one with {myself()} tokens create", soft_wrap=True)
        return
    table = Table("name", "scopes", "created", "expires", "hash", "kept in")
    for entry, place in [*((one, settings.tokens_path.name) for one in kept), *((one, "environment") for one in given)]:
        ended = entry.expires_at is not None and entry.expires_at <= now
        expires = _day(entry.expires_at, "never") + (" (refused)" if ended else "")
        row = (entry.name, " ".join(entry.scopes), _day(entry.created_at, ""), expires, entry.sha256[:_SHOWN], place)
        table.add_row(*row, style="dim" if ended else "")
    out.print(table)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """Take a token away; a running service refuses it within a second."""
    settings = Settings.read()
    with _held(settings.tokens_path) as entries:
        left = [entry for entry in entries if entry.name != name]
        if len(left) == len(entries):
            given = any(entry.name == name for entry in entries_in(settings.tokens_sha256))
            where = "it is in RANKLOOP_TOKENS_SHA256: take it out there" if given else f"see `{myself()} tokens list`"
            raise SettingsError(f"{settings.tokens_path} has no token named {name!r}; {where}")
        entries[:] = left
    out.print(f"{escape(name)} is revoked" + ("" if left else "; no token is left, so nobody may ask"))


def _entry(name: str, token: str, scopes: list[Scope], now: datetime, expires_at: datetime | None) -> TokenEntry:
    made = TokenEntry(name, digest(token), sorted(set(scopes)), now.replace(microsecond=0), expires_at)
    try:
        return msgspec.convert(msgspec.to_builtins(made), TokenEntry)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{name!r} cannot name a token: take 1 to 64 letters, digits and '._-'") from error


@contextmanager
def _held(path: Path) -> Iterator[list[TokenEntry]]:
    """The entries of the file, written back at the end; no other program of ours writes it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        entries = read_entries(path) if path.exists() else []
        yield entries
        text = msgspec.json.format(msgspec.json.encode({"tokens": entries})).decode()
        write_aside(path, text + "\n", mode=0o600)
    finally:
        os.close(folder)


def _day(moment: datetime | None, otherwise: str) -> str:
    return f"{moment:%Y-%m-%d}" if moment else otherwise
