"""What goes over the wire about drift; a report itself is `rankloop.drift.DriftReport`."""

from msgspec import Struct

from services.control.wire import Moment

__all__ = ["DriftList", "DriftShown"]


class DriftShown(Struct, kw_only=True):
    """One report of drift in a line.

    Attributes:
        report_id: its name.
        surface: whose lists.
        release_id: whose reference it was compared with.
        at: when the comparison was made.
        window_from: the window's first moment.
        window_until: its end, itself outside.
        verdict: stable, drifted, broken, or not enough rows.
        rows: of the window.
        causes: what is wrong and where, the one with most impact first, as `unit-change items.budget`.
        says: the finding in a sentence.
        run_id: the run that made it; null: it is not known.
        page: where its page is shown; null: it is not kept here.
    """

    report_id: str
    surface: str
    release_id: str
    at: Moment
    window_from: Moment
    window_until: Moment
    verdict: str
    rows: int
    causes: list[str]
    says: str
    run_id: str | None
    page: str | None


class DriftList(Struct):
    """Reports, those made last first.

    Attributes:
        reports: at most `limit` of them.
        next: of a full page, when its last one was made: send it as `before`; else null.
    """

    reports: list[DriftShown]
    next: Moment | None = None
