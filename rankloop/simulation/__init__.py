"""A work marketplace whose true preferences are known."""

from rankloop.simulation.crowd import Crowd, Deed, Visit
from rankloop.simulation.faults import CategoryVanishes, Fault, GoesNull, TastesShift, TextsGarbled, UnitChange
from rankloop.simulation.market import Marketplace
from rankloop.simulation.scale import Scale
from rankloop.simulation.truth import Truth

__all__ = [
    "CategoryVanishes",
    "Crowd",
    "Deed",
    "Fault",
    "GoesNull",
    "Marketplace",
    "Scale",
    "TastesShift",
    "TextsGarbled",
    "Truth",
    "UnitChange",
    "Visit",
]
