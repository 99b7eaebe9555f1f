"""The release that serves, as the candidate meets it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rankloop.bundle import Bundle, Manifest
from rankloop.errors import BundleError, ModelError

__all__ = ["Champion"]


@dataclass(frozen=True)
class Champion:
    """A serving release, with its bundle where this version can open it.

    Attributes:
        release_id: what serves.
        bundle: None where it cannot be measured; the gate then has not enough evidence to replace it.
    """

    release_id: str
    bundle: Bundle | None

    @classmethod
    def open(cls, folder: str | Path, say: Callable[[str], None]) -> "Champion":
        """Opens a bundle that may come from an older version.

        Raises:
            BundleError: there is no manifest, so nobody knows what serves.
        """
        release_id = Manifest.read(Path(folder)).release_id
        try:
            return cls(release_id, Bundle.open(folder))
        except (BundleError, ModelError) as error:
            say(f"{release_id} cannot be measured by this version: {error}")
            return cls(release_id, None)
