"""Reading on in a spool: a batch of frames, and where to go on from."""

from typing import NamedTuple

from services.events.segments import Position, SpoolReader

__all__ = ["Batch", "batch"]


class Batch(NamedTuple):
    """What was read of one writer.

    Attributes:
        frames: each with the position behind it.
        end: where to go on; the beginning of the next segment where one that will never grow was read to its end.
        more: whether there may be more already.
    """

    frames: list[tuple[Position, bytes]]
    end: Position
    more: bool


def batch(reader: SpoolReader, writer: str, after: Position, limit_bytes: int) -> Batch:
    """Frames from `after` on, about `limit_bytes` of them."""
    sealed = reader.sealed(writer)  # before the frames: what is sealed now has all its bytes
    frames = list(reader.read(writer, after, limit_bytes=limit_bytes))
    end = frames[-1][0] if frames else after
    more = sum(len(payload) for _, payload in frames) >= limit_bytes
    if not more and end.segment in sealed:
        end = Position(end.segment + 1, 0)
    return Batch(frames, end, more)
