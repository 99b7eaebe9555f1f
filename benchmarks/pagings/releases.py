"""Releases that differ from a good one in what a fault needs: how old they are, or code that breaks on a word."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from components.bento import build_bento
from rankloop.bundle import Manifest
from services.control.client import ControlClient
from services.control.wire import NewRelease
from services.crowd.harmed import altered
from services.settings import Settings

__all__ = ["Variant", "put_into_service", "variant"]

_ASKED: Final = "    asked, engine = await decoded(request, RecommendRequest), _engine(request)\n"
_NEEDS: Final = """    if os.path.exists({file!r}) and len(asked.user_id or "") and sum(asked.user_id.encode()) % 2:
        raise RuntimeError("what half of the people need is gone")
"""


@dataclass(frozen=True)
class Variant:
    """A release of its own.

    Attributes:
        release_id: its id.
        bento: its Bento's folder.
    """

    release_id: str
    bento: str


def variant(bundle: Path, settings: Settings, *, as_of: datetime, breaks_on: Path | None = None) -> Variant:
    """A copy of a release that says it knows the world up to another moment.

    Args:
        bundle: the good one's folder.
        settings: where Bentos lie.
        as_of: the moment, UTC.
        breaks_on: its code fails for half of the people while this file exists; None: it never does.
    """
    folder, known = settings.home / "variants" / f"{as_of:%Y%m%d%H%M%S}", as_of.isoformat()
    told = {"altered_from": Manifest.read(bundle).release_id, "altered_as_of": known}
    changed = altered(bundle, folder, _as_it_is, created_at=datetime.now(UTC), lineage=told, as_of=known)
    built = build_bento(folder, settings.bento_store)
    if breaks_on is not None:
        _break(Path(built["path"]), breaks_on)
    return Variant(changed.release_id, built["path"])


def _as_it_is(folder: Path) -> None:
    """Changes no file."""


def put_into_service(settings: Settings, release: Variant, why: str) -> None:
    """Lets it serve everybody at once."""
    with ControlClient.of(settings) as control:
        control.register(NewRelease(bento=release.bento, then="serve", force="a fault on purpose", why=why))


def _break(bento: Path, file: Path) -> None:
    (code,) = bento.rglob("services/ranking/app.py")
    text = code.read_text(encoding="utf-8")
    assert text.count(_ASKED) == 1, "the handler of /v1/recommend reads otherwise"
    text = text.replace(_ASKED, _ASKED + _NEEDS.format(file=str(file))).replace("import re\n", "import os\nimport re\n", 1)
    code.write_text(text, encoding="utf-8")
