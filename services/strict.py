"""What the strict decoder says, in our words."""

import msgspec

__all__ = ["in_words"]


def in_words(error: msgspec.ValidationError, whole: str = "the body") -> str:
    """The field that broke a rule, and the rule.

    Args:
        error: the decoder's.
        whole: what to call a value that is wrong as a whole.

    Example:
        >>> try:
        ...     msgspec.json.decode(b'{"k": "3"}', type=dict[str, int])
        ... except msgspec.ValidationError as error:
        ...     in_words(error)
        '[...]: expected `int`, got `str`'
    """
    rule, _, where = str(error).partition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".") or whole
    return f"{field}: {rule[0].lower()}{rule[1:]}"
