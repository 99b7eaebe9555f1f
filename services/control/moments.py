"""Moments as people and programs write them; the control plane knows UTC alone."""

from datetime import UTC, datetime

from rankloop.errors import DataError

__all__ = ["moment", "shown"]


def moment(text: str) -> datetime:
    """A moment a person wrote; it is UTC where no offset is given.

    Raises:
        DataError: it is none.

    Example:
        >>> moment("2026-11-17 14:05").isoformat(), moment("2026-11-17T14:05+02:00").isoformat()
        ('2026-11-17T14:05:00+00:00', '2026-11-17T12:05:00+00:00')
    """
    try:
        found = datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{text[:64]!r} is no moment; write it as 2026-11-17 14:05, which is UTC, or with an offset, as "
            "2026-11-17T14:05:00+02:00 (in an address the + is %2B)"
        ) from error


def shown(at: datetime) -> str:
    """ISO 8601 with a Z, as answers have it.

    Example:
        >>> shown(moment("2026-11-17 14:05"))
        '2026-11-17T14:05:00Z'
    """
    text = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return text.isoformat().replace("+00:00", "Z")
