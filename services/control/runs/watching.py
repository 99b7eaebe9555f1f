"""New data: when what lies at a path has changed, and has settled."""

from collections.abc import Mapping
from typing import Any, Final

from pipelines.fingerprints import data_version
from rankloop.errors import ControlError, SourceError

__all__ = ["NOTHING", "Watch", "version_at"]

NOTHING: Final = "nothing"
"""The version of a path where there is no file."""


class Watch:
    """Remembers what the last look saw, so that data is new only once two looks in a row have seen the same.

    Files that are still being written differ from look to look. What is remembered is lost with the process, which
    only delays a run by one look.
    """

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def settled(self, name: str, version: str) -> bool:
        """Whether the look before saw the same."""
        before = self._seen.get(name)
        self._seen[name] = version
        return before == version


def version_at(watch: str, order: Mapping[str, Any]) -> str:
    """The version of what lies at a path; where it is the order's own, everything else that its source reads counts too.

    Raises:
        ControlError: the place cannot be looked at.
    """
    own = watch == order.get("path")
    try:
        return data_version(watch, order.get("mapping", ""), order["source"]) if own else data_version(watch)
    except (SourceError, FileNotFoundError):
        return NOTHING
    except Exception as error:  # every kind of store has errors of its own
        told = f"{type(error).__name__}: {error}"
        raise ControlError(
            f"{watch} cannot be looked at ({told}); see that the address is right, and open to this machine"
        ) from error
