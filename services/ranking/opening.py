"""From a release's folder to an application that has proved that it answers."""

import gc
import logging
import time
from pathlib import Path
from typing import Final

from litestar import Litestar

from monitoring.metrics import Metrics
from rankloop.bundle import Bundle
from rankloop.errors import BundleError
from services.events.streams import open_writer
from services.online import open_store
from services.ranking.app import build_app
from services.ranking.engine import Engine
from services.settings import Settings

__all__ = ["BUNDLE", "open_release", "sources_of"]

log = logging.getLogger(__name__)

BUNDLE: Final = "bundle"
"""The bundle's folder within the sources of a Bento."""


def open_release(bundle: Path, settings: Settings, *, name_answers: bool = True) -> Litestar:
    """Checks every file of a bundle, opens it, answers a self-test, warms up, and gives the application.

    Args:
        bundle: the bundle's folder.
        settings: limits of the API.
        name_answers: as in `build_app`.

    Raises:
        BundleError: a file is missing or altered.
        ModelError: the release has nothing to show.
        SettingsError: the tokens or the online store's address are broken.
        SpoolError: the impression log cannot be kept in the home folder.
    """
    began = time.monotonic()
    metrics = Metrics()
    spool = open_writer(settings, "impressions", metrics)
    engine = Engine(
        Bundle.open(bundle, threads=settings.threads, lean=True),
        settings,
        metrics=metrics,
        state=open_store(settings),
        impressions=spool,
    )
    ready = engine.self_test()
    engine.warm()
    gc.collect()
    gc.freeze()  # the release lives as long as the process: the collector need not walk it again
    log.info(
        "release %s answers: %d items, %d users, opened in %.1f s",
        ready.release_id,
        ready.items,
        ready.users,
        time.monotonic() - began,
    )
    return build_app(engine, settings, name_answers=name_answers)


def sources_of(bento: str, settings: Settings) -> Path:
    """The sources of a Bento (its code, and its bundle in `BUNDLE`), given its folder or its tag in the store.

    Raises:
        BundleError: there is no such Bento, or no bundle in it.
    """
    folder = Path(bento)
    if not folder.is_absolute():
        name, _, version = bento.partition(":")
        folder = settings.bento_store / "bentos" / name / version
    bundle = folder / "src" / BUNDLE
    if not bundle.is_dir():
        raise BundleError(
            f"{bento!r} is no Bento of ours: {bundle} is missing; give a Bento's absolute folder or its tag in the store"
        )
    return bundle.parent
