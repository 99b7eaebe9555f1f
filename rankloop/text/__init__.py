"""Words and meaning: how text becomes tokens, a query becomes a key, a misspelling a known word, and a text a vector."""

from rankloop.text.conversion import export, packaged, quantise
from rankloop.text.encoder import CacheUse, Encoder
from rankloop.text.speller import Speller
from rankloop.text.tokens import normalise, tokens

__all__ = [
    "CacheUse",
    "Encoder",
    "Speller",
    "export",
    "normalise",
    "packaged",
    "quantise",
    "tokens",
]
