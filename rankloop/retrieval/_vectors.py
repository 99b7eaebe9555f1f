"""Vectors of length 1 in a byte a number, and their cosines with a vector of floats."""

from contextlib import suppress
from typing import Final, NamedTuple, Self

import numba
import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError
from rankloop.retrieval.base import Scores

__all__ = ["Vectors"]

_LARGEST: Final = 127
_ASKED_LARGEST: Final = 4095
"""Of the vector that is asked with, in 16 bits: the sum of products stays an int32 up to 4128 numbers a vector."""

_WIDEST: Final = (2**31 - 1) // (_LARGEST * _ASKED_LARGEST)

Floats = npt.NDArray[np.float32]


class Vectors(NamedTuple):
    """Rows `codes * scales`; a row of scale 0 says nothing.

    A quarter of the bytes of float32, and read in half the time. The products are sums of integers: the same on every
    machine, whatever the order.

    Attributes:
        codes: `(rows, dims)` int8.
        scales: `(rows,)` float32, at least 0.
    """

    codes: npt.NDArray[np.int8]
    scales: Floats

    @classmethod
    def of(cls, rows: Floats) -> Self:
        """Rounds each row to 127 steps on either side of 0; a row of zeros says nothing."""
        scales = np.abs(rows).max(axis=1, initial=0).astype(np.float32) / np.float32(_LARGEST)
        whole = np.rint(rows / np.where(scales > 0, scales, 1)[:, None])
        return cls(whole.astype(np.int8), scales)

    def checked(self) -> Self:
        """Itself; raises ModelError where codes and scales do not fit each other."""
        if self.codes.ndim != 2 or len(self.codes) != len(self.scales) or self.codes.shape[1] > _WIDEST:
            raise ModelError(f"codes {self.codes.shape} do not fit scales {self.scales.shape}; fit it again")
        return self

    def row(self, place: int) -> Floats:
        """One row, as near as it is kept."""
        row: Floats = self.codes[place] * self.scales[place]
        return row

    def cosines(self, asked: Floats) -> Scores:
        """The product of each row with a vector, `(rows,)` float32; NaN where a row, or the vector, says nothing."""
        step = np.float32(np.abs(asked).max(initial=0)) / np.float32(_ASKED_LARGEST)
        whole = np.rint(asked / (step if step > 0 else 1)).astype(np.int16)
        cosines: Scores = _products(self.codes, self.scales, whole, step)
        return cosines


@numba.njit(nogil=True)
def _products(
    codes: npt.NDArray[np.int8], scales: Floats, asked: npt.NDArray[np.int16], step: np.float32
) -> npt.NDArray[np.float32]:
    out = np.empty(len(codes), np.float32)
    for row in range(len(codes)):
        scale = np.float32(scales[row] * step)
        total = np.int32(0)
        for dim in range(codes.shape[1]):
            # int32 all the way: Numba would widen to int64, which is half as fast
            total = np.int32(total + np.int32(np.int32(codes[row, dim]) * np.int32(asked[dim])))
        out[row] = np.float32(total) * scale if scale > 0 else np.float32(np.nan)
    return out


with suppress(RuntimeError):  # nowhere to keep the machine code (a read-only image): each process compiles it again
    _products.enable_caching()
