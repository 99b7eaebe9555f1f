"""Candidates: one method a file behind one base class."""

from rankloop.retrieval.als import Als
from rankloop.retrieval.base import Candidates, Retriever
from rankloop.retrieval.blend import Blend, SourcedCandidates
from rankloop.retrieval.bm25 import Bm25
from rankloop.retrieval.popular import Popular
from rankloop.retrieval.profile import Profile
from rankloop.retrieval.registry import RETRIEVERS
from rankloop.retrieval.semantic import Semantic
from rankloop.retrieval.similar import Similar

__all__ = [
    "RETRIEVERS",
    "Als",
    "Blend",
    "Bm25",
    "Candidates",
    "Popular",
    "Profile",
    "Retriever",
    "Semantic",
    "Similar",
    "SourcedCandidates",
]
