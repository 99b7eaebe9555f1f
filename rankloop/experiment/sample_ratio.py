"""Whether units arrive in the shares that the split promises, looked at as often as one likes.

Source: M. Lindon, A. Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from rankloop.errors import DataError

__all__ = ["SampleRatio", "sample_ratio"]


class SampleRatio(NamedTuple):
    """What the counts say of the split.

    Attributes:
        expected: counts as the shares would have them.
        p_value: always valid: with a sound split the chance that it is ever at most alpha is at most alpha.
    """

    expected: tuple[float, ...]
    p_value: float


def sample_ratio(counts: Sequence[int], shares: Sequence[float], *, concentration: float = 1000.0) -> SampleRatio:
    """Tests distinct units by arm against the shares they should have.

    Not for requests: those of one unit go together, and are no independent draws.

        1 / p = B(a + n) / B(a) / prod shares^n,  a = concentration shares,  B the multivariate beta function

    Args:
        counts: distinct units by arm.
        shares: their shares; they sum to 1.
        concentration: how near to the promised shares a broken split is expected to lie, as a number of units: higher finds
            small faults in much traffic, lower large ones in little.

    Returns:
        Expected counts and the p-value; 1 where nobody came.

    Raises:
        DataError: as many counts as shares are needed, all shares above 0 and of the sum 1.

    Example:
        >>> sample_ratio([990, 10], [0.99, 0.01]).p_value
        1.0
        >>> sample_ratio([9500, 500], [0.99, 0.01]).p_value < 1e-9
        True
    """
    n, share = np.asarray(counts, np.float64), np.asarray(shares, np.float64)
    if n.shape != share.shape or not np.all(share > 0) or abs(share.sum() - 1) > 1e-9 or np.any(n < 0):
        raise DataError(f"counts {list(counts)} and shares {list(shares)}: as many of both, shares above 0 that sum to 1")
    a = concentration * share
    log_e = _log_beta(a + n) - _log_beta(a) - float(n @ np.log(share))
    return SampleRatio(tuple((n.sum() * share).tolist()), float(np.exp(-max(0.0, log_e))))


def _log_beta(a: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
    return float(gammaln(a).sum() - gammaln(a.sum()))
