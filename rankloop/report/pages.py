"""What every page has: its templates, and how it writes numbers."""

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from rankloop.report.inputs import Cell

__all__ = ["environment", "number"]


def environment(*packages: str) -> Environment:
    """The templates of some packages, then the report's own: its style sheet and its parts.

    Every text is escaped, and a name that a template does not have is an error.

    Args:
        packages: those with a folder `templates`.
    """
    loaders = [PackageLoader(package) for package in (*packages, "rankloop.report")]
    made = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"number": number, "signed": _signed}
    made.tests |= {"numeric": _is_number}
    return made


def number(value: Cell, digits: int = 4) -> str:
    """A cell as it is shown: thousands apart, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}".replace("-", "−")


def _is_number(value: Cell) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
