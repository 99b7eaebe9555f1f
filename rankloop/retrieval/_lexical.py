"""An inverted index of items' texts with BM25F impacts computed once."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError
from rankloop.retrieval._postings import Postings, none_is_nan
from rankloop.retrieval.base import Scores
from rankloop.text import tokens
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["FIELDS", "Field", "LexicalIndex", "check_fields", "word_counts"]

Codes = npt.NDArray[np.int64]


_WORD: Final = re.compile(r"[^\W\d_]+")
"""A run of letters: what a person may misspell."""


class Field(NamedTuple):
    """How one text field of an item counts.

    Attributes:
        weight: of a term in it; 0 leaves the field out.
        b: how much its length is held against it: 0 not at all, 1 in full.
    """

    weight: float
    b: float


FIELDS: Final[Mapping[str, Field]] = {
    Columns.TITLE: Field(3.0, 0.5),
    Columns.SKILLS: Field(2.0, 0.4),
    Columns.DESCRIPTION: Field(1.0, 0.75),
}


class LexicalIndex:
    """Terms to items, with what each term adds to each item's score.

        tf(t, i) = sum over fields f of weight_f tf_f(t, i) / (1 - b_f + b_f length_f(i) / mean length_f)
        impact(t, i) = ln(1 + (N - n_t + 1/2) / (n_t + 1/2)) * tf / (k1 + tf)

    N counts the items that have a text, n_t those that hold the term; a mean length is over items that have the field.

    Attributes:
        terms: the known terms, in order of the alphabet.
        postings: each term's items and impacts.
        size: items in the catalogue.

    Source: S. Robertson, H. Zaragoza, M. Taylor, "Simple BM25 Extension to Multiple Weighted Fields", CIKM 2004;
    H. Zaragoza et al., "Microsoft Cambridge at TREC-13", 2004 (a `b` for each field); the positive idf and the
    constant (k1 + 1) left out are Lucene's.
    """

    ARRAYS: Final = Postings.names("term")

    def __init__(self, terms: Sequence[str], postings: Postings) -> None:
        self.terms, self.postings, self.size = Vocabulary(terms), postings, postings.size
        if len(self.terms) != len(postings):
            raise ModelError(f"an index of {len(self.terms)} terms has postings of {len(postings)}; fit it again")

    @classmethod
    def build(cls, tables: Tables, catalogue: Vocabulary, fields: Mapping[str, Field], k1: float) -> Self:
        """Indexes the texts of the catalogue's items."""
        texts = _texts(tables.items, catalogue, fields)
        words = {name: [tokens(text) for text in column] for name, column in texts.items()}
        terms = sorted({word for column in words.values() for own in column for word in own})
        vocabulary, size = Vocabulary(terms), len(catalogue)
        tf = sparse.csr_matrix((size, len(terms)))
        for name, column in words.items():
            tf = tf + _field_tf(column, vocabulary, fields[name])
        tf = tf.tocsc()
        tf.sort_indices()
        n_t = np.diff(tf.indptr)
        texted = np.count_nonzero(np.diff(tf.tocsr().indptr))
        idf = np.log1p((texted - n_t + 0.5) / (n_t + 0.5))
        impacts = np.repeat(idf, n_t) * tf.data / (k1 + tf.data)
        return cls(terms, Postings(tf.indptr, tf.indices, impacts.astype(np.float32), size))

    @classmethod
    def from_arrays(cls, rest: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """From what `rest` and `arrays` gave; raises ModelError where they do not fit each other."""
        return cls(rest["terms"], Postings.from_arrays(arrays, "term", rest["size"]))

    @property
    def rest(self) -> dict[str, Any]:
        """What is not an array."""
        return {"terms": self.terms.terms, "size": self.size}

    @property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays, as small as they may be."""
        return self.postings.arrays("term")

    def codes(self, words: Sequence[str]) -> Codes:
        """Codes of the known words, in order of code, repeats kept."""
        codes = self.terms.encode(words)
        return np.sort(codes[codes != UNKNOWN])

    def score(self, codes: Codes) -> Scores:
        """Sum of the impacts of terms, `(size,)` float32; NaN for items that hold none of them.

        Args:
            codes: `(n,)` terms; a repeated one counts as often.
        """
        return none_is_nan(self.postings.sums(codes))

    def vectors(self, *, common: float, heaviest: int) -> Any:
        """Impacts as a SciPy CSR matrix `(size, terms)`, each row of length 1: items as TF-IDF vectors.

        Args:
            common: terms in more than this share of the items are left out.
            heaviest: how many terms an item keeps, ties by the smaller code; the rest are common and cost most.
        """
        lengths = self.postings.lengths()
        term = np.repeat(np.arange(len(self.terms)), lengths)
        kept = lengths[term] <= common * self.size
        term = term[kept]
        item, value = self.postings.items[kept], self.postings.values[kept].astype(np.float64)
        order = np.lexsort((term, -value, item))
        item, term, value = item[order], term[order], value[order]
        counts = np.bincount(item, minlength=self.size)
        first = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts) < heaviest
        rows = sparse.csr_matrix((value[first], (item[first], term[first])), (self.size, len(self.terms)))
        norms = np.sqrt(rows.multiply(rows).sum(axis=1)).A1
        rows.data /= np.repeat(norms, np.diff(rows.indptr))
        return rows


def check_fields(fields: Mapping[str, Field | tuple[float, float]], k1: float) -> dict[str, Field]:
    """A copy of the fields; raises ModelError where one is unknown or a number cannot be."""
    checked = {name: Field(*field) for name, field in fields.items()}
    for name, field in checked.items():
        if name not in FIELDS or not 0 <= field.weight < np.inf or not 0 <= field.b <= 1:
            raise ModelError(f"field {name!r} is {field}: fields are {list(FIELDS)}, a weight at least 0, b between 0 and 1")
    if not 0 < k1 < np.inf:
        raise ModelError(f"k1 is {k1}; it is a number above 0, and 1.2 by custom")
    return checked


def word_counts(tables: Tables, catalogue: Vocabulary, fields: Mapping[str, Field]) -> dict[str, int]:
    """How often each word, as it is written in lower case, stands in the items' texts."""
    texts = _texts(tables.items, catalogue, fields)
    counts = Counter(word for column in texts.values() for text in column for word in _WORD.findall((text or "").lower()))
    return dict(sorted(counts.items()))


def _texts(items: pl.DataFrame, catalogue: Vocabulary, fields: Mapping[str, Field]) -> dict[str, list[str | None]]:
    """The fields of the catalogue's items that count, in its order; None where there is none."""
    names = [name for name, field in fields.items() if field.weight]
    order = pl.DataFrame({Columns.ITEM_ID: catalogue.terms}, schema={Columns.ITEM_ID: pl.String})
    own = order.join(items, on=Columns.ITEM_ID, how="left", maintain_order="left")
    skills = pl.col(Columns.SKILLS).list.join("  ")
    columns = own.select(skills if name == Columns.SKILLS else pl.col(name) for name in names)
    return {name: columns[name].to_list() for name in names}


def _field_tf(words: Sequence[Sequence[str]], terms: Vocabulary, field: Field) -> Any:
    """What a field adds to `tf`, SciPy CSR `(items, terms)`."""
    length = np.fromiter(map(len, words), np.int64, len(words))
    term = terms.encode([word for own in words for word in own])
    item = np.repeat(np.arange(len(words)), length)
    counts = sparse.coo_matrix((np.ones(len(term)), (item, term)), (len(words), len(terms))).tocsr()
    counts.sum_duplicates()
    mean = length[length > 0].mean() if length.any() else 1.0
    norm = field.weight / (1 - field.b + field.b * length / mean)
    counts.data *= np.repeat(norm, np.diff(counts.indptr))
    return counts
