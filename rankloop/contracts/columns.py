"""The columns of the contract: each name is spelled here, and nowhere else in Python."""

from typing import Final

__all__ = ["GRADES", "KINDS", "SURFACES", "Columns"]


class Columns:
    """Column names, for use as `Columns.ITEM_ID`; not to be instantiated."""

    # keys
    ITEM_ID: Final = "item_id"
    USER_ID: Final = "user_id"
    REQUEST_ID: Final = "request_id"
    OWNER_ID: Final = "owner_id"
    RELEASE_ID: Final = "release_id"
    # items
    TITLE: Final = "title"
    DESCRIPTION: Final = "description"
    CATEGORY: Final = "category"
    SKILLS: Final = "skills"
    BUDGET: Final = "budget"
    DURATION_DAYS: Final = "duration_days"
    CREATED_AT: Final = "created_at"
    CLOSED_AT: Final = "closed_at"
    # users
    HEADLINE: Final = "headline"
    COUNTRY: Final = "country"
    HOURLY_RATE: Final = "hourly_rate"
    EXPERIENCE_YEARS: Final = "experience_years"
    UTC_OFFSET_HOURS: Final = "utc_offset_hours"
    # impressions and outcomes
    TS: Final = "ts"
    SURFACE: Final = "surface"
    QUERY: Final = "query"
    POSITION: Final = "position"
    PROPENSITY: Final = "propensity"
    FEATURES: Final = "features"
    KIND: Final = "kind"
    VALUE: Final = "value"
    # what the log of a running service tells besides
    AS_OF: Final = "as_of"
    EVENT_ID: Final = "event_id"
    FALLBACK: Final = "fallback"
    FEATURE_NAMES: Final = "feature_names"
    MICROS: Final = "micros"
    RECEIVED: Final = "received"
    SCORE: Final = "score"
    SOURCE: Final = "source"
    # quarantine
    RAW: Final = "raw"
    REASON: Final = "reason"
    REASONS: Final = "reasons"


SURFACES: Final = ("job_feed", "job_search", "talent_search")
"""A surface is one product place with its own release."""

KINDS: Final = ("click", "save", "apply", "interview", "hire", "dismiss")
"""What a person may do with an item that was shown."""

GRADES: Final[dict[str, int]] = {"dismiss": 0, "click": 1, "save": 2, "apply": 3, "interview": 4, "hire": 5}
"""The judgement an outcome gives to an impression; of several outcomes the highest counts."""
