"""The two spools of a home folder, opened as the settings say and counted."""

from pathlib import Path
from typing import Literal

from monitoring.metrics import SpoolMetrics
from services.events.spool import SpoolWriter
from services.settings import Settings

__all__ = ["Stream", "folder_of", "open_writer"]

Stream = Literal["events", "impressions"]

_MIB = 1 << 20


def folder_of(home: Path, stream: Stream) -> Path:
    """Where a stream lies."""
    return home / "spool" / stream


def open_writer(settings: Settings, stream: Stream, metrics: SpoolMetrics) -> SpoolWriter:
    """Opens a spool for writing; one for each process and stream.

    Args:
        settings: where, how durable, and what to do when it is full.
        stream: which.
        metrics: where its bytes are counted, those it holds and those it sheds.

    Raises:
        SpoolError: its folder cannot be made.
    """
    events = stream == "events"
    shed = metrics.spool_shed.labels(stream)
    writer = SpoolWriter(
        folder_of(settings.home, stream),
        fsync=settings.event_fsync if events else settings.impression_fsync,
        interval=settings.fsync_seconds,
        segment_bytes=settings.segment_mb * _MIB,
        segment_seconds=settings.segment_seconds,
        max_bytes=(settings.event_spool_mb if events else settings.impression_spool_mb) * _MIB,
        when_full=settings.event_spool_full if events else settings.impression_spool_full,
        on_shed=shed.inc,
    )
    metrics.spool_bytes.labels(stream).set_function(lambda: writer.stream_bytes)
    metrics.spool_room.labels(stream).set_function(lambda: writer.room_bytes)
    return writer
