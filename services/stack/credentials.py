"""What the stack's own watchers show to whom they ask: tokens that are made at each start, and end with it."""

import secrets
from pathlib import Path
from typing import Final

import msgspec

from rankloop.files import write_aside
from services.auth import TOKEN_PREFIX, Scope, TokenEntry, digest
from services.settings import Settings

__all__ = ["forget", "issue", "token_file"]

_SCOPES: Final = {"prometheus": [Scope.READ], "alertmanager": [Scope.ADMIN]}


def issue(settings: Settings) -> None:
    """Makes a token for each watcher, and lets the stack's processes know their hashes.

    They close nothing: while no other token is configured, everybody may ask. Once one is, the watchers go on.
    """
    entries = []
    for name, scopes in _SCOPES.items():
        token = TOKEN_PREFIX + secrets.token_urlsafe(32)
        write_aside(token_file(settings, name), token, mode=0o600)
        entries.append(TokenEntry(name, digest(token), scopes))
    write_aside(settings.watcher_tokens_path, msgspec.json.encode({"tokens": entries}).decode(), mode=0o600)


def token_file(settings: Settings, name: str) -> Path:
    """Where the token of `prometheus` or `alertmanager` lies; only its owner may read it."""
    return settings.watcher_tokens_path.with_name(f"{name}.token")


def forget(settings: Settings) -> None:
    """Removes them; what still runs knows the hashes until it ends."""
    settings.watcher_tokens_path.unlink(missing_ok=True)
    for name in _SCOPES:
        token_file(settings, name).unlink(missing_ok=True)
