"""Records as rows of the log's tables."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from rankloop.contracts import Columns
from rankloop.sources.log_layout import LOG_SCHEMAS, LOG_TABLES
from services.events.records import EventRecord, ImpressionRecord, Record, RejectedRecord

__all__ = ["frames_of", "is_whole", "user_in"]

_FLOAT: Final = np.dtype("<f4")


def frames_of(records: Iterable[Record]) -> dict[str, pl.DataFrame]:
    """The rows of each table that has any, in the order of the records.

    An impression becomes a row for each item; one whose parts do not fit together becomes a row of the quarantine,
    since a segment with it must be rolled all the same.
    """
    shown: list[ImpressionRecord] = []
    done: list[EventRecord] = []
    refused: list[RejectedRecord] = []
    for record in records:
        match record:
            case ImpressionRecord():
                if is_whole(record):
                    shown.append(record)
                else:
                    refused.append(
                        RejectedRecord(record.ts, "impression: its lists differ in length", msgspec.json.encode(record))
                    )
            case EventRecord():
                done.append(record)
            case RejectedRecord():
                refused.append(record)
    frames = {"impressions": _impressions(shown), "outcomes": _outcomes(done), "quarantine": _quarantine(refused)}
    return {table: frames[table] for table in LOG_TABLES if frames[table].height}


def is_whole(record: ImpressionRecord) -> bool:
    """Whether the lists of an impression fit together."""
    count = len(record.items)
    same = len(record.scores) == len(record.sources) == count and (record.teams is None or len(record.teams) == count)
    return same and (not record.features or (count > 0 and len(record.features) % (count * _FLOAT.itemsize) == 0))


def user_in(raw: bytes) -> str | None:
    """The person that a refused event names, where it can be read."""
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    # an impression that did not fit together is the array that the spool held
    named = content.get(Columns.USER_ID) if isinstance(content, dict) else content[5] if _is_impression(content) else None
    return None if named is None else str(named)


def _is_impression(content: object) -> bool:
    return isinstance(content, list) and len(content) > 5 and content[0] == "impression"


def _impressions(shown: Sequence[ImpressionRecord]) -> pl.DataFrame:
    columns: dict[str, Any] = {
        Columns.REQUEST_ID: [one.request_id for one in shown],
        Columns.TS: [one.ts for one in shown],
        Columns.SURFACE: [one.surface for one in shown],
        Columns.USER_ID: [one.user_id for one in shown],
        Columns.QUERY: [one.query for one in shown],
        Columns.ITEM_ID: [one.items for one in shown],
        Columns.POSITION: [range(1, len(one.items) + 1) for one in shown],
        Columns.RELEASE_ID: [one.teams or [one.release_id] * len(one.items) for one in shown],
        Columns.SCORE: [one.scores for one in shown],
        Columns.SOURCE: [one.sources for one in shown],
        Columns.FEATURE_NAMES: [one.feature_names for one in shown],
        Columns.AS_OF: [one.as_of for one in shown],
        Columns.FALLBACK: [one.fallback for one in shown],
        Columns.MICROS: [one.micros for one in shown],
    }
    by_item = (Columns.ITEM_ID, Columns.POSITION, Columns.RELEASE_ID, Columns.SCORE, Columns.SOURCE)
    schema = LOG_SCHEMAS["impressions"]
    lists = {name: pl.List(schema[name]) if name in by_item else schema[name] for name in columns}
    frame = pl.DataFrame(columns, schema=lists).filter(pl.col(Columns.ITEM_ID).list.len() > 0).explode(by_item)
    return frame.with_columns(_features(shown).alias(Columns.FEATURES)).select(list(schema))


def _features(shown: Sequence[ImpressionRecord]) -> pl.Series:
    """The feature vectors, one an item, in the order of the exploded rows; null where they are unknown."""
    lengths, unknown = [], []
    for one in shown:
        count = len(one.items)
        lengths += [len(one.features) // (count * _FLOAT.itemsize)] * count if one.features else [0] * count
        unknown += [not one.features] * count
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = np.frombuffer(b"".join(one.features for one in shown), dtype=_FLOAT)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), mask=pa.array(unknown, pa.bool_()))
    return pl.Series(Columns.FEATURES, pl.from_arrow(lists), dtype=pl.List(pl.Float32))


def _outcomes(done: Sequence[EventRecord]) -> pl.DataFrame:
    schema = LOG_SCHEMAS["outcomes"]
    return pl.DataFrame({column: [getattr(one, column) for one in done] for column in schema}, schema=schema)


def _quarantine(refused: Sequence[RejectedRecord]) -> pl.DataFrame:
    columns = {
        Columns.TS: [one.received for one in refused],
        Columns.REASON: [one.reason for one in refused],
        Columns.RAW: [one.raw for one in refused],
    }
    return pl.DataFrame(columns, schema=LOG_SCHEMAS["quarantine"])
