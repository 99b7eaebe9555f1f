"""What a shadow says of how alike two releases' lists are."""

import logging
from pathlib import Path
from typing import Final

import numpy as np

from rankloop.canary import Ratio
from rankloop.errors import DataError
from services.shadow.record import path_of, read

__all__ = ["shadow_overlap"]

log = logging.getLogger(__name__)

_METRIC: Final = "overlap@10"


def shadow_overlap(home: Path, stable: str, canary: str) -> Ratio | None:
    """Overlap of the first ten items, from the record of a shadow of these two; None without one.

    The record holds sums of resamples in which each person is drawn Poisson(1) times, and no sums of single persons. The
    variance over resamples of a sum is the sum of squares over persons, in the mean, and so with the products.

    Args:
        home: the home folder.
        stable: the release people saw.
        canary: the one in the shadow.
    """
    file = path_of(home / "shadow", stable, canary)
    if not file.exists():
        return None
    try:
        record = read(file)
    except DataError as error:
        log.warning("%s", error)
        return None
    mean = record.means.get(_METRIC)
    if mean is None or not mean.counts or not mean.counts[0]:
        return None
    x, y = np.array(mean.sums), np.array(mean.counts)
    (xx, xy), (_, yy) = np.cov(x[1:], y[1:])
    return Ratio(record.people, float(x[0]), float(y[0]), float(xx), float(yy), float(xy))
