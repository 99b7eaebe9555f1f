"""The page and the terminal say what the record says, to anybody, and nothing of who asked."""

import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
from typer.testing import CliRunner

from rankloop.errors import DataError
from services.cli.app import app
from services.cli.console import NOT_PASSED
from services.shadow.page import page
from services.shadow.record import Record, newest, read


@pytest.fixture
def worked(both, monkeypatch):
    monkeypatch.setenv("RANKLOOP_HOME", str(both.settings.home))
    both.log(*both.shown(12))
    both.work()
    return both


class Tags(HTMLParser):
    """Remembers the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs) -> None:
        self.found.append(tag)


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def test_the_page_holds_everything_it_shows(worked) -> None:
    html = newest(worked.settings.home / "shadow").with_suffix(".html").read_text()
    assert not {"script", "link", "img", "iframe"} & set(tags(html))
    assert not re.search(r'(src|href)="(?!#)', html)
    assert tags(html).count("svg") == 4
    assert worked.release("blue") in html
    assert "logo-u" not in html


def test_the_same_record_gives_the_same_page(worked) -> None:
    record = read(newest(worked.settings.home / "shadow"))
    assert page(record) == page(record)


def test_what_people_typed_is_escaped(worked) -> None:
    record = read(newest(worked.settings.home / "shadow"))
    record.examples = [msgspec.structs.replace(record.examples[0], query="<script>alert(1)</script>")]
    assert "<script>" not in page(record)
    assert "&lt;script&gt;" in page(record)


def test_a_record_without_requests_has_a_page(both) -> None:
    assert "Nothing has been compared yet" in page(Record("r1", "r2"))


def test_the_terminal_shows_the_means_and_where_the_page_is(worked) -> None:
    said = CliRunner().invoke(app, ["shadow", "--worst", "1"], env={"COLUMNS": "160"})
    assert said.exit_code == 0, said.output
    assert "12 requests of 8 people" in said.output
    assert re.search(r"overlap@10 +0\.\d{3}", said.output)
    assert "rank-biased overlap 0." in said.output
    assert str(newest(worked.settings.home / "shadow").with_suffix(".html")) in said.output


def test_the_terminal_gives_json(worked) -> None:
    said = json.loads(CliRunner().invoke(app, ["shadow", "--json"]).stdout)
    assert said["outcomes"] == {"compared": 12}
    assert set(said["summary"]["rbo"]) == {"mean", "lower", "upper", "requests", "undefined"}


def test_before_the_first_request_the_terminal_says_what_to_do(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RANKLOOP_HOME", str(tmp_path))
    said = CliRunner().invoke(app, ["shadow"])
    assert said.exit_code == NOT_PASSED
    assert "RANKLOOP_SHADOW_SHARE" in said.output


def test_a_record_that_is_none_is_named(tmp_path) -> None:
    (tmp_path / "a-vs-b.json").write_text("{}")
    with pytest.raises(DataError, match=r"a-vs-b\.json is no record"):
        read(tmp_path / "a-vs-b.json")
