"""What the control plane knows of a release, read from the release's own files and from nobody's word."""

import json
import math
from pathlib import Path
from typing import Any, Final

from rankloop.bundle import Manifest, verify
from rankloop.errors import ControlError
from services.control.database import ReleaseFacts
from services.control.wire import NewRelease
from services.settings import Settings

__all__ = ["facts_of"]

_CANDIDATE: Final = "candidate"
_EVALUATION: Final = "evaluation.json"


def facts_of(settings: Settings, asked: NewRelease) -> ReleaseFacts:
    """Reads the manifest, compares every file with its fingerprint, and reads the evaluation.

    Args:
        settings: the home folder, below which every path must lie, and the Bento store in it.
        asked: where the release lies.

    Raises:
        BundleError: a file is missing or altered, or there is no such Bento.
        ControlError: a path lies elsewhere, Bento and bundle are two releases, or the evaluation is of another one.
    """
    from services.ranking.opening import sources_of

    if asked.bundle is None and asked.bento is None:
        raise ControlError("the registration names neither a bundle nor a Bento; give the folder of one, or both")
    bento = _within(settings, _bento_folder(settings, asked.bento)) if asked.bento else None
    packed = sources_of(str(bento), settings) / "bundle" if bento else None
    bundle = _within(settings, Path(asked.bundle)) if asked.bundle else packed
    assert bundle is not None
    manifest = Manifest.read(bundle)
    verify(bundle, manifest)
    if packed is not None and (inner := Manifest.read(packed).release_id) != manifest.release_id:
        raise ControlError(f"the Bento holds {inner} and the bundle is {manifest.release_id}; name two of one release")
    evaluation = _evaluation(_within(settings, Path(asked.evaluation)), manifest) if asked.evaluation else None
    return ReleaseFacts.of_bundle(bundle, bento=str(bento or ""), evaluation=evaluation, run_id=asked.run_id)


def _bento_folder(settings: Settings, address: str) -> Path:
    if Path(address).is_absolute():
        return Path(address)
    name, _, version = address.partition(":")
    return settings.bento_store / "bentos" / name / version


def _within(settings: Settings, path: Path) -> Path:
    home = settings.home.resolve()
    try:
        found = (path if path.is_absolute() else home / path).resolve()
        if not found.is_relative_to(home):
            raise ControlError(f"{str(path)[:200]!r} lies outside the home folder; the control plane reads only below {home}")
        found.stat()
    except (OSError, ValueError) as error:  # a zero byte is a value that cannot be
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise ControlError(f"{str(path)[:200]!r} cannot be read ({said}); give what lies below {home}") from error
    return found


def _evaluation(path: Path, manifest: Manifest) -> dict[str, Any]:
    """What `evaluate` recorded, if it is of this release: `package` took the release's numbers from there."""
    file = path / _EVALUATION if path.is_dir() else path
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        means = {name: interval["mean"] for name, interval in record["systems"][_CANDIDATE].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ControlError(f"{file} is no evaluation ({type(error).__name__}: {error}); give what `evaluate` wrote") from error
    known = {name: value for name, value in means.items() if value is not None and math.isfinite(value)}
    if known != manifest.numbers:
        raise ControlError(f"{file} is not the evaluation of {manifest.release_id}: the numbers differ; give its own")
    return record
