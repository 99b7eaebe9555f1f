"""From settings to an online store."""

from typing import Final

from rankloop.errors import SettingsError
from services.online.base import StateStore
from services.online.embedded import EmbeddedStore
from services.online.redis_store import URL_SCHEMES, RedisStore
from services.settings import Settings

__all__ = ["open_store"]

_DAY_SECONDS: Final = 86_400
_MIB: Final = 1 << 20


def open_store(settings: Settings, *, write: bool = False) -> StateStore:
    """Opens the store that `RANKLOOP_STATE_URL` names; it need not answer yet.

    Args:
        settings: where the store is, and how long to wait for it.
        write: whether this process folds events into it; of an embedded store there is one such process.

    Raises:
        SettingsError: the URL names no store that there is.
    """
    url = settings.state_url.get_secret_value()
    seen_seconds = max(1, round(settings.state_seen_days * _DAY_SECONDS))
    if not url:
        map_bytes = settings.state_map_mb * _MIB
        return EmbeddedStore(settings.home / "online", write=write, map_bytes=map_bytes, seen_seconds=seen_seconds)
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in URL_SCHEMES:
        named = f"begins with {scheme!r}" if separator else "names no scheme"
        raise SettingsError(
            f"RANKLOOP_STATE_URL {named}; it must begin with {', '.join(f'{one}://' for one in URL_SCHEMES)}, or be empty for a "
            f"store in RANKLOOP_HOME"
        )
    return RedisStore(url, timeout=settings.state_timeout_ms / 1e3, write=write, seen_seconds=seen_seconds)
