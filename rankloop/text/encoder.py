"""Text to vectors of unit length, by a small transformer on one core."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from rankloop.errors import ModelError

__all__ = ["FACTS", "MODEL", "TOKENIZER", "CacheUse", "Encoder"]

MODEL: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"
FACTS: Final = "encoder.json"

_LETTERS_A_TOKEN: Final = 40
"""No text has so many on average: what is longer than all tokens of that length is cut before it is looked at."""

_QUERY_LETTERS: Final = 1000

Vectors = npt.NDArray[np.float32]


class CacheUse(NamedTuple):
    """What a cache did.

    Attributes:
        hits: queries answered from it.
        misses: queries that had to be encoded.
        held: entries in it.
        limit: entries it holds at most.
    """

    hits: int
    misses: int
    held: int
    limit: int


class Encoder:
    """A sentence encoder of the BERT family: the mean over tokens, of length 1, so that a dot product is a cosine.

    Each text is encoded alone, and its vector depends on nothing but the text. In a batch it would not: int8 activations
    are scaled by the largest of the whole batch, which moves a vector as far as int8 itself does; and one core gains
    nothing from a batch.

    Args:
        folder: what `quantise` or `export` wrote.
        cache: queries remembered at most; the one asked least lately goes first.
        threads: texts that `encode` works on at the same time; the answer does not depend on it.

    Raises:
        ModelError: a package or a file is missing, or a file is damaged.

    Example:
        >>> import tempfile
        >>> from rankloop.testing import tiny_encoder
        >>> from rankloop.text import quantise
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     quantise(tiny_encoder(Path(folder) / "tiny"), Path(folder) / "int8")
        ...     encoder = Encoder(Path(folder) / "int8")
        >>> logo, poster, tax = encoder.encode(["a logo", "the logo and a poster", "a tax audit"])
        >>> bool(logo @ poster > logo @ tax)
        True
    """

    def __init__(self, folder: Path, *, cache: int = 4096, threads: int = 1) -> None:
        if cache < 0 or threads < 1:
            raise ModelError(f"an encoder with a cache of {cache} and {threads} threads; at least 0 and 1")
        self.threads = threads
        self._files = {name: _mapped(folder / name) for name in (MODEL, TOKENIZER, FACTS)}
        self.facts: dict[str, Any] = json.loads(self._files[FACTS].tobytes())
        self.tokens: int = self.facts["tokens"]
        self._session, self._tokenizer = _opened(folder, self.tokens)
        self.dims: int = self._session.get_outputs()[0].shape[1]
        self._remembered = lru_cache(maxsize=cache)(self._frozen)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of length 1, `(len(texts), dims)` float32; of a longer text the first tokens count."""
        if self.threads == 1 or len(texts) < 2:
            vectors = list(map(self._embed, texts))
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                vectors = list(pool.map(self._embed, texts))
        return np.array(vectors, np.float32).reshape(len(texts), self.dims)

    def encode_query(self, text: str) -> Vectors:
        """The vector of one query, `(dims,)`, from the cache where it is there; read-only, from any thread.

        Blanks at the ends and twice in a row do not count, and of a longer text the first 1000 letters do.
        """
        vector: Vectors = self._remembered(" ".join(text[:_QUERY_LETTERS].split()))
        return vector

    @property
    def cache_use(self) -> CacheUse:
        """Hits and misses since this encoder was made."""
        info = self._remembered.cache_info()
        return CacheUse(info.hits, info.misses, info.currsize, info.maxsize or 0)

    def save(self, folder: Path) -> None:
        """Writes the files it was read from, byte by byte, into an existing folder."""
        for name, content in self._files.items():
            content.tofile(folder / name)

    def _embed(self, text: str) -> Vectors:
        ids = np.array([self._tokenizer.encode(text[: self.tokens * _LETTERS_A_TOKEN]).ids], np.int64)
        vector: Vectors = self._session.run(None, {"ids": ids, "mask": np.ones(ids.shape, np.float32)})[0][0]
        return vector

    def _frozen(self, text: str) -> Vectors:
        vector = self._embed(text)
        vector.setflags(write=False)
        return vector


def _mapped(file: Path) -> npt.NDArray[np.uint8]:
    """A file's bytes, mapped: they are read again only when a release is written."""
    if not file.is_file() or not file.stat().st_size:
        raise ModelError(f"{file} is missing or empty; a text encoder is {MODEL}, {TOKENIZER} and {FACTS}: fit it again")
    return np.memmap(file, np.uint8, "r")


def _opened(folder: Path, tokens: int) -> tuple[Any, Any]:
    """The ONNX session and the tokenizer."""
    try:
        from onnxruntime import InferenceSession, SessionOptions
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError(f"a text encoder needs {error.name}, which is not installed; `pip install 'rankloop[text]'`") from error
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = InferenceSession(folder / MODEL, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # neither library has a base class of its own errors
        raise ModelError(f"{folder} holds no text encoder that can be read ({error}); fit it again") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(tokens)
    return session, tokenizer
