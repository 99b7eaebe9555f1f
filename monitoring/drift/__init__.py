"""Reports of drift for a person, by Evidently: charts of a sample under the verdicts that all rows gave."""

from monitoring.drift.page import EVIDENTLY, PAGE, render
from monitoring.drift.shelf import shelve

__all__ = ["EVIDENTLY", "PAGE", "render", "shelve"]
