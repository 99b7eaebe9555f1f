"""Reads the rule files of this folder, and tells which series an expression is about."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import yaml

__all__ = ["FOLDER", "Rule", "alerts", "files", "queries_in", "rules", "series_in"]

FOLDER: Final = Path(__file__).resolve().parent
"""Where the rule files lie; `tests` below it holds promtool's unit tests."""

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset"})
_LISTS: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^\]]*\]")
_TOKEN: Final = re.compile(r"\d[\w.]*|([a-zA-Z_:][\w:]*)\s*(\(|\{[^}]*\})?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_QUERY: Final = re.compile(rf"query\s+({_STRING})")


class Rule(NamedTuple):
    """One rule.

    Attributes:
        file: its name in `FOLDER`.
        group: of rules that are evaluated one after another.
        name: of the alert, or of the recorded series.
        alerts: whether it is an alert.
        expr: PromQL.
        wait: how long the expression must hold before the alert fires, such as `30s`; empty: not at all.
        labels: that the alert gets beside those of its expression; templates of Go.
        annotations: what people read; templates of Go.
    """

    file: str
    group: str
    name: str
    alerts: bool
    expr: str
    wait: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


def files() -> tuple[Path, ...]:
    """The rule files, by name.

    Example:
        >>> "recording.yaml" in [file.name for file in files()]
        True
    """
    return tuple(sorted(FOLDER.glob("*.yaml")))


def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the files."""
    return tuple(rule for file in files() for rule in _rules_of(file))


def alerts() -> dict[str, Rule]:
    """Every alert, by name.

    Example:
        >>> alerts()["EdgeDown"].labels["severity"]
        'page'
    """
    return {rule.name: rule for rule in rules() if rule.alerts}


def series_in(expr: str) -> dict[str, frozenset[str]]:
    """The series that an expression reads.

    It is no parser of PromQL: `promtool check rules` is.

    Args:
        expr: PromQL.

    Returns:
        Their names, each with the labels that it is selected by.

    Example:
        >>> series_in('sum by (job) (rate(a_total{code="5xx"}[5m])) / on (job) b_ratio > 0.5')
        {'a_total': frozenset({'code'}), 'b_ratio': frozenset()}
    """
    bare = _LISTS.sub(" ", re.sub(_STRING, "0", expr))
    found: dict[str, frozenset[str]] = {}
    for name, follows in _TOKEN.findall(bare):
        if name and follows != "(" and name not in _WORDS:
            found[name] = found.get(name, frozenset()) | frozenset(_MATCHER.findall(follows))
    return found


def queries_in(template: str) -> tuple[str, ...]:
    """The expressions that a template of Go asks Prometheus.

    Example:
        >>> queries_in('{{ with query "up == 1" }}{{ . | first | value }}{{ end }}')
        ('up == 1',)
    """
    return tuple(own[1:-1].replace('\\"', '"') for own in _QUERY.findall(template))


def _rules_of(file: Path) -> Iterator[Rule]:
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
        for own in group["rules"]:
            yield Rule(
                file=file.name,
                group=group["name"],
                name=own.get("alert") or own["record"],
                alerts="alert" in own,
                expr=own["expr"],
                wait=own.get("for", ""),
                labels=own.get("labels", {}),
                annotations=own.get("annotations", {}),
            )
