"""Text to tokens: one rule for titles, skills, headlines and queries."""

import re
import threading
import unicodedata
from functools import lru_cache
from typing import Final

import Stemmer

__all__ = ["normalise", "tokens"]

_ALIASES: Final = {
    "cicd": "ci/cd",
    "cpp": "c++",
    "csharp": "c#",
    "dotnet": ".net",
    "js": "javascript",
    "k8s": "kubernetes",
    "nextjs": "next.js",
    "nodejs": "node.js",
    "postgres": "postgresql",
    "react.js": "react",
    "reactjs": "react",
    "uiux": "ui/ux",
    "vuejs": "vue.js",
}
"""Other spellings of one name, and no more than that: words of like meaning are not aliases."""

_TOKEN: Final = re.compile(
    r"""
      (?<![^\W_])[a-z]\+\+            # c++
    | (?<![^\W_])[a-z]\#              # c#, f#
    | [a-z0-9]+\.(?:js|net|io)\b      # node.js, asp.net, socket.io
    | (?<![^\W_])\.net\b              # .net
    | (?<![^\W_])(?:ui/ux|ci/cd|a/b|b2b/b2c)\b
    | [^\W_]+(?:'[^\W_]+)*            # words, numbers and both together (3d); client's
    """,
    re.VERBOSE,
)
_ACCENTS: Final = re.compile("[\u0300-\u036f]+")
_LONGEST_STEMMED: Final = 40
"""A longer run of letters is no English word: it is kept as it is, and not cached."""

_local = threading.local()


def tokens(text: str | None) -> list[str]:
    """Splits a text into lower-case, accent-folded, stemmed tokens, in order, repeats kept.

    It removes no stop words, because a weight by rarity does that better, and it corrects no spelling
    (see `Speller`). Names in which signs carry the meaning stay whole and unstemmed: c++, c#, .net,
    node.js, 3d, ui/ux. Stems are those of the Snowball English stemmer.

    Args:
        text: any text; None is as good as empty.

    Returns:
        The tokens; an empty list where the text has no letter and no digit.

    Source:
        M. F. Porter, "Snowball: a language for stemming algorithms", 2001; the English stemmer.

    Example:
        >>> tokens("Senior C++ / Node.js developers for a café's 3D app")
        ['senior', 'c++', 'node.js', 'develop', 'for', 'a', 'cafe', '3d', 'app']
    """
    return [] if not text else [_token(word) for word in _TOKEN.findall(_folded(text))]


def normalise(query: str | None) -> str | None:
    """The key under which a query's past is counted: its tokens, in order, joined by one blank.

    It is not for showing to people: words are stemmed.

    Returns:
        The key, or None where there is no query or nothing in it is a word.

    Example:
        >>> normalise("  Logo DESIGNERS ")
        'logo design'
        >>> normalise("?!") is None
        True
    """
    return " ".join(tokens(query)) or None


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    # only Latin, Greek and Cyrillic accents go: the marks of other scripts carry the vowels
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.replace("\u2019", "'").casefold()))
    return unicodedata.normalize("NFC", plain)


def _token(word: str) -> str:
    return _stem(word) if len(word) <= _LONGEST_STEMMED else word


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> str:
    word = _ALIASES.get(word, word)
    if not word.replace("'", "").isalpha():
        return word
    stem: str = _stemmer().stemWord(word)
    return stem


def _stemmer() -> "Stemmer.Stemmer":
    # one a thread: a Snowball stemmer has a working buffer
    stemmer = getattr(_local, "stemmer", None)
    if stemmer is None:
        stemmer = _local.stemmer = Stemmer.Stemmer("english", 0)
    return stemmer
