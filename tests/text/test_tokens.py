"""Text becomes tokens by one rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloop.text import normalise, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C++ C# F# .NET ASP.NET Node.js", ["c++", "c#", "f#", ".net", "asp.net", "node.js"]),
        ("UI/UX, CI/CD and A/B", ["ui/ux", "ci/cd", "and", "a/b"]),
        ("3D modelling, 2nd floor", ["3d", "model", "2nd", "floor"]),
        ("nodejs cpp csharp dotnet uiux", ["node.js", "c++", "c#", ".net", "ui/ux"]),
        ("React.js ReactJS react k8s Kubernetes", ["react", "react", "react", "kubernet", "kubernet"]),
        ("Résumé für Straße", ["resum", "fur", "strass"]),
        ("the client\u2019s logos", ["the", "client", "logo"]),
        ("e-mail_marketing", ["e", "mail", "market"]),
        ("end.net worth.", ["end.net", "worth"]),
        ("한국어 번역", ["한국어", "번역"]),
        ("", []),
        (None, []),
        ("?! -- ...", []),
    ],
)
def test_a_text_becomes_lower_folded_stemmed_tokens(text: str | None, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_inflected_forms_share_a_token() -> None:
    assert tokens("designs designing designed") == ["design"] * 3


def test_a_run_of_letters_too_long_for_a_word_is_kept() -> None:
    assert tokens("running" * 20) == ["running" * 20]


@given(st.text())
def test_any_text_gives_tokens_without_blanks_or_capitals(text: str) -> None:
    for token in tokens(text):
        assert token
        assert not any(letter.isspace() for letter in token)
        assert not any("A" <= letter <= "Z" for letter in token)


@given(st.lists(st.sampled_from(["C++", "logo", "3D", "node.js", "ui/ux", "Python", ".NET"]), max_size=6))
def test_case_and_spacing_do_not_change_a_query(words: list[str]) -> None:
    assert normalise("  ".join(words).upper()) == normalise(" ".join(words))


def test_a_query_without_a_word_is_no_query() -> None:
    assert normalise(None) is None
    assert normalise("  ") is None
    assert normalise("??") is None
