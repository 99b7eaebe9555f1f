"""Features: SQL views computed strictly before the event, and one `assemble` for training and serving."""

from rankloop.features.assembler import Assembler
from rankloop.features.compute import check_leaks, compute
from rankloop.features.crosses import Batch, Cross
from rankloop.features.engine import DuckDb, Engine
from rankloop.features.parity import logged, parity
from rankloop.features.registry import KEYS, VALID_FROM, Feature, FeatureView, fingerprint, load_views
from rankloop.features.relations import relations
from rankloop.features.store import FeatureStore

__all__ = [
    "KEYS",
    "VALID_FROM",
    "Assembler",
    "Batch",
    "Cross",
    "DuckDb",
    "Engine",
    "Feature",
    "FeatureStore",
    "FeatureView",
    "check_leaks",
    "compute",
    "fingerprint",
    "load_views",
    "logged",
    "parity",
    "relations",
]
