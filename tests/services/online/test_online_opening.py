"""Which store the settings open."""

from pathlib import Path

import pytest

from rankloop.errors import SettingsError
from services.online import open_store
from services.online.embedded import EmbeddedStore
from services.online.redis_store import RedisStore
from services.settings import Settings


def test_without_a_url_the_store_is_a_folder_at_home(tmp_path: Path) -> None:
    store = open_store(Settings.read(home=tmp_path), write=True)
    assert isinstance(store, EmbeddedStore)
    store.fold("w", (1, 1), [], now=0)
    assert (tmp_path / "online" / "data.mdb").exists()
    store.close()


@pytest.mark.parametrize("url", ["redis://h:1/0", "rediss://:secret@h:1/0", "unix:///tmp/redis.sock"])
def test_a_url_of_redis_opens_it_without_asking_it(tmp_path: Path, url: str) -> None:
    store = open_store(Settings.read(home=tmp_path, state_url=url))
    assert isinstance(store, RedisStore)
    store.close()


@pytest.mark.parametrize("url", ["memcached://:s3cret@h:1/0", "h:6379", "s3cret@h", "redis:/h"])
def test_another_url_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="RANKLOOP_STATE_URL") as raised:
        open_store(Settings.read(home=tmp_path, state_url=url))
    assert "s3cret" not in str(raised.value)


def test_the_settings_do_not_show_the_url(tmp_path: Path) -> None:
    assert "s3cret" not in repr(Settings.read(home=tmp_path, state_url="redis://:s3cret@h:1/0"))
