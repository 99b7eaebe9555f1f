"""Words: how text becomes tokens, a query becomes a key, and a misspelling a known word."""

from rankloop.text.speller import Speller
from rankloop.text.tokens import normalise, tokens

__all__ = ["Speller", "normalise", "tokens"]
