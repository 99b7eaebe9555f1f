"""Rows that a query finds, as the structs whose fields carry the columns' names."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Select
from sqlalchemy.engine import RowMapping
from sqlalchemy.orm import Session

from rankloop.errors import Missing

__all__ = ["all_of", "of_row", "one", "one_or_none"]

_T = TypeVar("_T")


def all_of(session: Session, kind: type[_T], query: Select[Any]) -> list[_T]:
    """Every row, in the query's order."""
    return [of_row(kind, row) for row in session.execute(query).mappings()]


def one(session: Session, kind: type[_T], query: Select[Any], missing: str) -> _T:
    """The one row.

    Raises:
        Missing: there is none, in the words of `missing`.
    """
    found = one_or_none(session, kind, query)
    if found is None:
        raise Missing(missing)
    return found


def one_or_none(session: Session, kind: type[_T], query: Select[Any]) -> _T | None:
    """The one row, if there is any."""
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else of_row(kind, row)


def of_row(kind: type[_T], row: RowMapping | Mapping[str, Any]) -> _T:
    """One row that is at hand."""
    return msgspec.convert({str(name): value for name, value in row.items()}, kind)
