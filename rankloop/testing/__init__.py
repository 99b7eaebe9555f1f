"""The tests that every retriever and ranker inherits, a world whose right answers are known, and an encoder that knows it."""

from rankloop.testing.encoders import tiny_encoder
from rankloop.testing.rankers import RankerContract
from rankloop.testing.retrievers import RetrieverContract
from rankloop.testing.world import group_of, known_request, known_world

__all__ = ["RankerContract", "RetrieverContract", "group_of", "known_request", "known_world", "tiny_encoder"]
