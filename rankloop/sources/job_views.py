"""A log of job views: who looked at which job, when and for how long, and which positions people wished for."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from rankloop.contracts import UTC, Columns
from rankloop.errors import SourceError
from rankloop.sources.files import Frames, existing, folder, named, scan_texts
from rankloop.sources.job_families import family

__all__ = ["read"]

_EARLIER: Final = timedelta(seconds=1)
_TIME: Final = "%Y-%m-%d %H:%M:%S UTC"
_VIEWS: Final = {
    "user": "Applicant.ID",
    "item": "Job.ID",
    "full_title": "Title",
    "position": "Position",
    "company": "Company",
    "city": "City",
    "state": "State.Name",
    "industry": "Industry",
    "ts": "View.Start",
    "seconds": "View.Duration",
}
_WISHES: Final = {"user": "Applicant.ID", "wish": "Position.Of.Interest", "ts": "Created.At"}


def read(path: str) -> Frames:
    """Reads `Job_Views.csv` and `Positions_Of_Interest.csv` (or `.gz`) from a folder.

    The log has no lists that were shown, only views. A person's first view of a job stands for a request of its own,
    whose one item was clicked at once; later views of the same job are further clicks of that request. The value is
    the seconds viewed. So a model is asked, at each step of a visit, which new job the person opens next, and may
    know the steps before. What was shown and not viewed is unknown, so the log has no negatives
    (`rankloop.judgements.has_negatives`).

    A job's time of posting is unknown. Ids were handed out in order, so a job is at least as old as the earliest
    view of it or of any job with a higher id; `created_at` is the midnight before that. It is not the job's own
    first view, which would tell a model that an item of age zero is about to be clicked.

    A wish made after the person's first view is left out: it would tell the past what was wished for later.

    Args:
        path: the folder.

    Raises:
        SourceError: a file or a column is missing, or no time can be read.
    """
    place = folder(path)
    views = _scan(existing(place, "Job_Views.csv"), _VIEWS).sort("user", "ts", "item", maintain_order=True).collect()
    wishes = _scan(existing(place, "Positions_Of_Interest.csv"), _WISHES).collect()
    log = _numbered(views)
    return {
        "items": _items(log),
        "users": _users(log, wishes),
        "impressions": _impressions(log),
        "outcomes": _outcomes(log),
    }


def _scan(file: Path, columns: dict[str, str]) -> pl.LazyFrame:
    time = pl.col("ts").str.to_datetime(_TIME, time_unit="us", strict=False).dt.replace_time_zone("UTC")
    scan = scan_texts(file, list(columns.values())).select(pl.col(theirs).alias(ours) for ours, theirs in columns.items())
    unread = scan.filter(pl.col("ts").is_not_null() & time.is_null()).select("ts").head(1).collect()
    if unread.height:
        raise SourceError(f"{file}: {columns['ts']} {unread.item()!r} is not of the form 2014-12-12 20:12:35 UTC")
    return scan.with_columns(time)


def _numbered(views: pl.DataFrame) -> pl.DataFrame:
    """Views with `first`, whether it is the person's first of the job, and `request`, the person and that one's number."""
    number = pl.int_range(1, pl.len() + 1).over("user")
    numbered = views.with_columns(number=number, first=pl.col("item").is_first_distinct().over("user"))
    opened = pl.col("number").first().over("user", "item")
    return numbered.with_columns(request=pl.concat_str(pl.col("user"), opened, separator="-"))


def _impressions(log: pl.DataFrame) -> pl.DataFrame:
    columns: dict[str, str | pl.Expr] = {
        Columns.REQUEST_ID: "request",
        Columns.TS: "ts",
        Columns.SURFACE: pl.lit("job_feed"),
        Columns.USER_ID: "user",
        Columns.ITEM_ID: "item",
        Columns.POSITION: pl.lit(1),
    }
    return log.filter("first").select(named(columns))


def _outcomes(log: pl.DataFrame) -> pl.DataFrame:
    columns: dict[str, str | pl.Expr] = {
        Columns.TS: "ts",
        Columns.USER_ID: "user",
        Columns.ITEM_ID: "item",
        Columns.REQUEST_ID: "request",
        Columns.KIND: pl.lit("click"),
        Columns.VALUE: "seconds",
    }
    return log.select(named(columns))


def _items(log: pl.DataFrame) -> pl.DataFrame:
    described = log.drop_nulls("item").sort("ts", maintain_order=True).group_by("item", maintain_order=True)
    texts = ("full_title", "position", "company", "city", "state", "industry")
    items = described.agg(pl.col("ts").min(), *(pl.col(text).drop_nulls().first() for text in texts))
    # the last resort of an id that is no number is its own first view
    number = pl.col("item").cast(pl.Int64, strict=False)
    latest = items.sort(number, descending=True, nulls_last=True).with_columns(
        born=pl.when(number.is_null()).then("ts").otherwise(pl.col("ts").cum_min())
    )
    title = pl.coalesce("position", "full_title")
    place = pl.concat_str("full_title", "company", "city", "state", "industry", separator=", ", ignore_nulls=True)
    columns: dict[str, str | pl.Expr] = {
        Columns.ITEM_ID: "item",
        Columns.TITLE: title,
        Columns.DESCRIPTION: place,
        Columns.CATEGORY: family(title),
        Columns.COUNTRY: pl.lit("US"),
        Columns.OWNER_ID: "company",
        Columns.CREATED_AT: pl.col("born").dt.truncate("1d").cast(UTC),
    }
    return latest.select(named(columns))


def _users(log: pl.DataFrame, wishes: pl.DataFrame) -> pl.DataFrame:
    seen = log.group_by("user", maintain_order=True).agg(first_view=pl.col("ts").min())
    known = wishes.join(seen, on="user", how="full", coalesce=True, maintain_order="right_left").drop_nulls("user")
    timely = pl.col("first_view").is_null() | (pl.col("ts") <= pl.col("first_view"))
    headline = pl.col("wish").filter(timely).drop_nulls().unique(maintain_order=True).str.join(", ")
    first = pl.min_horizontal(pl.col("ts").min(), pl.col("first_view").min())
    users = known.group_by("user", maintain_order=True).agg(headline=headline, first=first)
    columns: dict[str, str | pl.Expr] = {
        Columns.USER_ID: "user",
        Columns.HEADLINE: pl.when(pl.col("headline") != "").then("headline"),
        Columns.COUNTRY: pl.lit("US"),
        Columns.CREATED_AT: (pl.col("first") - _EARLIER).cast(UTC),
    }
    return users.select(named(columns))
