"""Series over a span of time, from Prometheus."""

import math
from typing import Any, Final, NamedTuple

import httpx

from rankloop.errors import DataError

__all__ = ["Found", "Prometheus"]

_SECONDS: Final = 3.0
_MOST: Final = 240
"""Values of one series in an answer; a chart is not wider."""


class Found(NamedTuple):
    """One series.

    Attributes:
        labels: those the query left it.
        at: Unix seconds, one step apart.
        values: as many; NaN where the series has none.
    """

    labels: dict[str, str]
    at: list[float]
    values: list[float]


class Prometheus:
    """Asks a Prometheus; use it in a `with` block.

    Args:
        url: its address, such as `http://127.0.0.1:9090`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._client = httpx.Client(timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ranges(self, query: str, start: float, until: float, step: float) -> list[Found]:
        """Every series of a query.

        Args:
            query: PromQL.
            start: Unix seconds of the first value.
            until: of the last.
            step: seconds between two.

        Raises:
            DataError: it does not answer, refuses the query, or answers something else.
        """
        asked = {"query": query, "start": f"{start:.3f}", "end": f"{until:.3f}", "step": f"{step:g}"}
        try:
            reply = self._client.post(f"{self.url}/api/v1/query_range", data=asked)
        except httpx.HTTPError as error:
            raise DataError(f"Prometheus at {self.url} does not answer ({error or type(error).__name__})") from error
        try:
            body: Any = reply.json()
            if body["status"] != "success":
                raise DataError(f"Prometheus at {self.url} refused {query}: {body.get('error')}")
            return [_found(row, start, until, step) for row in body["data"]["result"]]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"what answers at {self.url} is no Prometheus ({error!r}): {reply.text[:200]}") from error

    @staticmethod
    def step(start: float, until: float, least: float) -> float:
        """Whole seconds between two values, so that a span has at most 240 of them.

        Example:
            >>> Prometheus.step(0, 3600, 15), Prometheus.step(0, 86_400, 15)
            (15.0, 360.0)
        """
        return max(math.ceil(least), math.ceil((until - start) / _MOST)) * 1.0


def _found(row: Any, start: float, until: float, step: float) -> Found:
    """On every step of the span, so that a gap is a gap."""
    there = {round((float(at) - start) / step): float(value) for at, value in row["values"]}
    steps = range(math.floor((until - start) / step) + 1)
    values = [there.get(place, math.nan) for place in steps]
    finite = [value if math.isfinite(value) else math.nan for value in values]
    return Found(dict(row["metric"]), [start + step * place for place in steps], finite)
