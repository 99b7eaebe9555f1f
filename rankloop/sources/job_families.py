"""A family for each job, by the words of its title; for logs that name no category of their own."""

from typing import Final

import polars as pl

__all__ = ["FAMILIES", "OTHER", "family"]

OTHER: Final = "other"
"""The family of a title without any of the words."""

FAMILIES: Final[dict[str, str]] = {
    "care": r"nurs|\brn\b|\blpn\b|caregiv|home health|\bcna\b|\bhha\b|medical|dental|pharmac|therap|physician|patient|clinic"
    r"|\baide\b|nanny|child ?care|babysit|phlebotom|health",
    "education": r"teach|tutor|instructor|faculty|professor|school|education|coach|lifeguard",
    "food": r"\bcooks?\b|chef|servers?\b|waiter|waitress|bartend|barista|dishwash|restaurant|kitchen|food|crew|\bhost|catering"
    r"|busser|\bdeli\b|bakery|pizza|sandwich|grill",
    "security": r"security|guard|loss prevention|officer|surveillance",
    "transport": r"driv|courier|chauffeur|valet|\bcdl\b|deliver|mover|dispatch|flight|\bramp\b",
    "warehouse": r"warehouse|package handler|packer|picker|forklift|shipping|receiving|material|inventory|logistics|stock|loader"
    r"|production|assembl|machin|manufactur|operator",
    "trades": r"technician|mechanic|electric|plumb|maintenance|install|construction|carpent|weld|repair|labor|landscap|hvac"
    r"|handyman|\btech\b",
    "cleaning": r"clean|housekeep|janitor|custodian|porter|laundry|maid",
    "technology": r"developer|software|engineer|programm|\bweb\b|data scien|data analy|\bit\b|network|systems|designer|\bqa\b",
    "finance": r"account|bookkeep|teller|bank|payroll|billing|financ|\btax\b|audit|credit|loan|insurance|collect",
    "marketing": r"market|brand|promot|demonstrat|event|social media|advertis|public relations|ambassador|sampl",
    "hospitality": r"hotel|front desk|concierge|guest|travel|\bspa\b|salon|stylist|cosmetolog|massage|fitness|usher|theat"
    r"|entertain|\bactor|\bmodel",
    "customer service": r"customer|call center|\bcsr\b|client|phone|member service|support",
    "retail": r"retail|store|cashier|merchandis|sales associate|seasonal|fragrance|jewelry|shop|associate|beauty|cosmetic",
    "sales": r"sales|representative|telemarket|fundrais|leasing|real estate|consultant|agent\b|\breps?\b|canvass",
    "office": r"admin|assistant|clerk|secretar|reception|office|data entry|typist|clerical|coordinator|filing|executive|legal"
    r"|analyst|recruit|human resources|\bhr\b|manager|supervisor|intern",
}
"""Family to the pattern of its words; of several that fit, the first counts, so the narrower ones come first."""


def family(title: pl.Expr) -> pl.Expr:
    """The family of a title.

    It is a rule of thumb for English titles, no classification: about one title in fourteen has no family.

    Example:
        >>> titles = pl.DataFrame({"title": ["Truck Driver", "RN, nights", "Conductor"]})
        >>> titles.select(family(pl.col("title"))).to_series().to_list()
        ['transport', 'care', 'other']
    """
    lower = title.str.to_lowercase()
    fits = [pl.when(lower.str.contains(words)).then(pl.lit(name)) for name, words in FAMILIES.items()]
    return pl.coalesce(*fits, pl.lit(OTHER))
