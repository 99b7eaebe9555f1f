"""The rules: what every alert says, whom it is for, and that it is about series which exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from monitoring.foreign import FOREIGN, SCRAPED
from monitoring.metrics import SERIES, Series
from monitoring.rules import FOLDER, Rule, alerts, files, queries_in, rules, series_in
from rankloop.contracts import SURFACES
from services.cli.app import app

ALERTS = alerts()
RECORDED = {rule.name: rule for rule in rules() if not rule.alerts}
LABELS = ("severity", "owner", "surface", "release", "component", "cause")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url", "command")
SEVERITIES = {"page", "ticket", "info"}
OWNERS = {"search-relevance", "platform", "data"}
TOOLS = {"curl", "df", "promtool"}


def asked(rule: Rule) -> list[str]:
    """Every expression of a rule, those of its templates included."""
    templates = (*rule.labels.values(), *rule.annotations.values())
    return [rule.expr, *(query for template in templates for query in queries_in(template))]


def declared(name: str) -> Series | None:
    whole = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.removesuffix(end) in SERIES), name)
    return SERIES.get(whole) or FOREIGN.get(whole)


def labels_of(name: str) -> set[str]:
    """The labels a series has, or of a recorded one those that its expression may leave."""
    if name in RECORDED:
        expr = RECORDED[name].expr
        made = set(re.findall(r'label_replace\(.*?, "(\w+)"', expr, flags=re.DOTALL))
        return made.union(*(labels_of(own) for own in series_in(expr)))
    found = declared(name)
    assert found is not None, f"{name} is declared neither in monitoring/metrics nor in monitoring/foreign.py"
    return {*found.labels, *SCRAPED, *(["le"] if name.endswith("_bucket") else [])}


def commands() -> set[tuple[str, ...]]:
    """Every command of the terminal program, as its words."""

    def walked(command: typer.main.TyperGroup, words: tuple[str, ...]) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        for name, own in command.commands.items():
            found |= walked(own, (*words, name)) if hasattr(own, "commands") else {(*words, name)}
        return found

    return walked(typer.main.get_command(app), ())


COMMANDS = commands()


def known_command(line: str) -> bool:
    """Whether a line begins with one of our commands, or a tool that every machine here has."""
    words = [word for word in shlex.split(line) if not re.fullmatch(r"[A-Z_]+=\S+", word)]
    return words[0] in TOOLS or (words[0] == "rankloop" and {tuple(words[1:2]), tuple(words[1:3])} & COMMANDS != set())


def test_no_rule_has_the_name_of_another() -> None:
    names = [rule.name for rule in rules()]
    assert len(names) == len(set(names))
    assert set(ALERTS) | set(RECORDED) == set(names)


def test_the_reader_reads_every_rule_of_every_file() -> None:
    written = [yaml.safe_load(file.read_text()) for file in files()]
    assert len(rules()) == sum(len(group["rules"]) for own in written for group in own["groups"])
    assert {rule.file for rule in rules()} == {file.name for file in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_every_label_and_annotation_with_values_that_are_allowed(name: str) -> None:
    rule = ALERTS[name]
    missing = set(LABELS) - set(rule.labels)
    # what the rule does not set, its expression keeps
    assert all(re.search(rf'\bby \([^)]*\b{own}\b|"{own}"', rule.expr) or own in kept(rule) for own in missing), missing
    assert tuple(rule.annotations) == ANNOTATIONS
    assert all(text and text == text.strip() and "\n" not in text for text in rule.annotations.values())
    assert chosen(rule.labels["severity"]) <= SEVERITIES
    assert chosen(rule.labels["owner"]) <= OWNERS
    assert rule.labels.get("surface", "all") == "all"
    if "{{" not in rule.labels.get("cause", ""):
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.labels.get("cause", "from-series"))


def kept(rule: Rule) -> set[str]:
    """Labels of the recorded series that an alert looks at as they are."""
    return {
        label
        for own in series_in(rule.expr)
        if own in RECORDED
        for part in re.findall(r"\bby \(([^)]*)\)", RECORDED[own].expr)
        for label in part.split(", ")
    }


def chosen(label: str) -> set[str]:
    """The values that a label may have: what stands between a template's conditions."""
    return {word for word in re.split(r"\{\{.*?\}\}", label) if word}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_links_to_its_heading_and_to_a_dashboard(name: str) -> None:
    found = ALERTS[name].annotations
    assert found["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    assert re.fullmatch(
        r"/d/rankloop-(overview|surface|canary|drift|pipeline)\?var-surface=(all|\{\{ \$labels\.surface \}\})",
        found["dashboard_url"],
    )


@pytest.mark.parametrize("name", ALERTS)
def test_the_command_of_an_alert_is_one_that_there_is(name: str) -> None:
    plain = re.sub(r"\{\{.*?\}\}", "some", ALERTS[name].annotations["command"])
    assert known_command(plain), plain


def test_a_command_that_there_is_not_would_be_found() -> None:
    assert known_command("rankloop rollback --why x")
    assert known_command("RANKLOOP_CLIENT_RATE=20 rankloop up")
    assert not known_command("rankloop mend")
    assert not known_command("reboot")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_rule_is_about_declared_series_with_labels_that_they_have(rule: Rule) -> None:
    for expr in asked(rule):
        found = series_in(expr)
        assert found or expr == "vector(1)", expr
        for name, selected in found.items():
            assert selected <= labels_of(name), f"{name} is selected by {selected - labels_of(name)}"
        made = set(re.findall(r',\s*"(\w+)",\s*"', expr))
        known = made.union(*(labels_of(name) for name in found))
        parts = re.findall(r"\b(?:by|on|without|ignoring|group_left) ?\(([^)]*)\)", expr)
        grouped = {label.strip() for part in parts for label in part.split(",") if label.strip()}
        assert grouped <= known, f"{grouped - known} is no label of {sorted(found)}"


def test_a_series_that_nobody_exports_would_be_found() -> None:
    with pytest.raises(AssertionError, match="declared neither"):
        labels_of("rankloop_made_up_total")


def test_what_an_expression_reads_is_found_among_its_functions() -> None:
    expr = (
        'a:b:ratio5m offset 1w > on (x) group_left () 3 * min by (x) (c_total{d="e{f}", g!~"h"}) and absent(up == 1) unless 1e3'
    )
    assert series_in(expr) == {"a:b:ratio5m": frozenset(), "c_total": frozenset({"d", "g"}), "up": frozenset()}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_series_is_named_by_what_it_is_of(name: str) -> None:
    assert re.fullmatch(r"rankloop:[a-z_]+:[a-z]+(_[a-z]+)*\d*[mhd]?", name)


def test_every_surface_of_the_contract_may_be_asked_for_in_a_link() -> None:
    assert all(re.fullmatch(r"[a-z_]+", surface) for surface in SURFACES)


def test_the_runbook_has_a_heading_for_each_alert_and_no_other(root: Path) -> None:
    text = (root / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert sorted(headings) == sorted(ALERTS)
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_says_five_things_of_an_alert_and_only_commands_that_there_are(root: Path, name: str) -> None:
    text = (root / "docs" / "runbook.md").read_text(encoding="utf-8")
    own = re.split(r"^## ", text.split(f"## {name}\n")[1], flags=re.MULTILINE)[0]
    parts = re.findall(r"^\*\*(.+?)\.\*\*", own, flags=re.MULTILINE)
    assert parts == ["Means", "First look", "Likely causes", "Commands", "Verify"]
    lines = re.findall(r"```sh\n(.*?)```", own, flags=re.DOTALL)[0].splitlines()
    assert lines
    assert [line for line in lines if not known_command(line)] == []
    assert set(re.findall(r"see (?:also )?([A-Z][A-Za-z]+)", own)) <= set(ALERTS)
