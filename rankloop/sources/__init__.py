"""Adapters: an outside data set to raw frames in the contract's columns."""

from rankloop.sources.check import CheckReport, check
from rankloop.sources.registry import SOURCES, Source, addresses, read

__all__ = ["SOURCES", "CheckReport", "Source", "addresses", "check", "read"]
