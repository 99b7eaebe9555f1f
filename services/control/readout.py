"""An experiment's design, and its readout from the log of what people were shown and did."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
import polars as pl
import xxhash
from msgspec import Meta

from rankloop.contracts import Columns
from rankloop.errors import ControlError
from rankloop.experiment import Readout, read_out
from rankloop.sources.event_log import read_log
from rankloop.sources.places import Place, there
from services.control.database import Experiment
from services.settings import Settings

__all__ = ["Design", "Readouts", "due"]

_Kind = Literal["click", "save", "apply", "interview", "hire"]
_Kinds = Annotated[tuple[_Kind, ...], Meta(min_length=1, max_length=5, extra_json_schema={"uniqueItems": True})]
_ROLL_SECONDS: Final = 60.0
"""How long the curator takes at most, while all is well, from a sealed segment of the spool to the log."""


class Design(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is fixed before anybody looks, so that one look at the end is a fair one.

    Attributes:
        seconds: how long lists are interleaved.
        ripe_seconds: how long after its end outcomes are waited for.
        kinds: of outcomes, the one that matters first; each once.
        level: chance that nothing is decided where people prefer neither.
    """

    seconds: Annotated[float, Meta(gt=0, le=366 * 86_400)] = 7 * 86_400.0
    ripe_seconds: Annotated[float, Meta(ge=0, le=60 * 86_400)] = 86_400.0
    kinds: _Kinds = ("click", "apply")
    level: Annotated[float, Meta(gt=0, lt=1)] = 0.95

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Design":
        """The design with these fields.

        Raises:
            ControlError: a field that is none, or a value that cannot work.
        """
        try:
            design = msgspec.convert(fields, cls)
        except msgspec.ValidationError as error:
            raise ControlError(f"this experiment cannot be: {error}") from error
        if len(set(design.kinds)) != len(design.kinds):
            raise ControlError(f"the kinds are {', '.join(design.kinds)}; name each kind of outcome once")
        return design


def _design_of(experiment: Experiment) -> Design:
    """What was fixed before an experiment began."""
    return msgspec.convert(experiment.design, Design)


def _ended(experiment: Experiment) -> datetime:
    """When an experiment ended; of one that runs, when it will."""
    return experiment.ended_at or due(experiment)


def due(experiment: Experiment) -> datetime:
    """When an experiment ends as it was planned."""
    return experiment.created_at + timedelta(seconds=_design_of(experiment).seconds)


class Readouts:
    """Reads experiments that ended, each once.

    Args:
        settings: where the log is, and how long records wait before they are in it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def ripe(self, experiment: Experiment) -> datetime:
        """When the log holds the outcomes of an experiment that ended: all that were waited for, out of the spool."""
        rolled = self._settings.segment_seconds + _ROLL_SECONDS
        return _ended(experiment) + timedelta(seconds=_design_of(experiment).ripe_seconds + rolled)

    def read(self, experiment: Experiment) -> Readout:
        """What came of it.

        Raises:
            SourceError: the log cannot be read.
        """
        design, until = _design_of(experiment), _ended(experiment)
        shown, done = self._logged(experiment.created_at, until + timedelta(seconds=design.ripe_seconds))
        return read_out(
            shown.filter(pl.col(Columns.TS) < until),
            done,
            tried=experiment.release_id,
            against=experiment.against,
            kinds=design.kinds,
            level=design.level,
            planned=until >= due(experiment),
            rng=xxhash.xxh32_intdigest(experiment.experiment_id.encode()),
        )

    def _logged(self, since: datetime, until: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What was shown and done, from the log's own place and from what was not sent there yet; each row once."""
        key = self._settings.home / "privacy" / "key"
        secret = key.read_bytes().strip() if key.is_file() else None
        places = self._settings.log_places
        found = [
            read_log(place, since=since, until=until, key=secret)
            for place in [own for own in places if there(Place(own))] or places[-1:]
        ]
        shown, done = (pl.concat(tables) for tables in zip(*found, strict=True))
        return shown.unique([Columns.REQUEST_ID, Columns.ITEM_ID], keep="first", maintain_order=True), done.unique()
