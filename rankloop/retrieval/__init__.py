"""Candidates: one method a file behind one base class."""

from rankloop.retrieval.als import Als
from rankloop.retrieval.base import Candidates, Retriever
from rankloop.retrieval.bm25 import Bm25
from rankloop.retrieval.popular import Popular
from rankloop.retrieval.profile import Profile

__all__ = ["Als", "Bm25", "Candidates", "Popular", "Profile", "Retriever"]
