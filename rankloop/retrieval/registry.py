"""The retrievers that a recipe may name."""

from collections.abc import Mapping
from typing import Final

from rankloop.retrieval.als import Als
from rankloop.retrieval.base import Retriever
from rankloop.retrieval.bm25 import Bm25
from rankloop.retrieval.popular import Popular
from rankloop.retrieval.profile import Profile
from rankloop.retrieval.semantic import Semantic
from rankloop.retrieval.similar import Similar

__all__ = ["RETRIEVERS"]

RETRIEVERS: Final[Mapping[str, type[Retriever]]] = {own.name: own for own in (Popular, Als, Bm25, Profile, Similar, Semantic)}
"""Name to class; each is made without arguments. Add a retriever here, and its `<name>_score` becomes a feature."""
