"""How moments and JSON are kept, alike in SQLite and PostgreSQL."""

import secrets
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect, String, TypeDecorator
from sqlalchemy.types import TypeEngine

from rankloop.errors import ControlError

__all__ = ["Moment", "decoded", "encoded", "new_id", "numbered", "utc"]


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, to the microsecond: `timestamptz` in PostgreSQL, ISO 8601 of fixed width in SQLite, so that it sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(27) if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return None if moment is None else moment.astimezone(UTC)


def utc(at: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        ControlError: it says no time zone, so nobody knows which moment it is, or lies outside the calendar.
    """
    if at.tzinfo is None:
        raise ControlError(f"the time {at.isoformat()} says no time zone; give it in UTC, such as {at.isoformat()}Z")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ControlError(f"the time {at.isoformat()} lies outside the calendar in UTC; give another") from None


def numbered(number: int) -> int:
    """A number that both databases can compare with those of rows; one that no row can have stays one that no row has."""
    return max(-1, min(number, 2**63 - 1))


def encoded(value: Any) -> str:
    """JSON; a float that is not finite becomes null, since JSON has no word for it."""
    return msgspec.json.encode(value).decode()


def decoded(text: str | bytes) -> Any:
    """What `encoded` wrote."""
    return msgspec.json.decode(text)


def new_id(kind: str, at: datetime) -> str:
    """A new name that sorts by time, such as `run-20261117-140500-3fa9c1`."""
    return f"{kind}-{utc(at):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
