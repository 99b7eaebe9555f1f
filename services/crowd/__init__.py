"""A crowd of simulated people before the real service: they ask, read, act, and count what they saw."""

from services.crowd.asking import Asking
from services.crowd.background import Background
from services.crowd.driving import HASTE, Driver, Plan
from services.crowd.harmed import HARMS, altered, harm, harmed_bento
from services.crowd.marketplace import crowd_of, find_folder
from services.crowd.seen import Report, Seen, Served

__all__ = [
    "HARMS",
    "HASTE",
    "Asking",
    "Background",
    "Driver",
    "Plan",
    "Report",
    "Seen",
    "Served",
    "altered",
    "crowd_of",
    "find_folder",
    "harm",
    "harmed_bento",
]
