"""The report: self-contained, escaped, the same bytes for the same numbers."""

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from rankloop.errors import DataError
from rankloop.gate import Measured, Policy, decide
from rankloop.metrics import Interval
from rankloop.report import Estimate, ReportInput, Slice, System, Table, Trial, render

VOID = {"meta", "br", "link", "use", "path", "img"}


class Page(HTMLParser):
    """Reads a page; complains of what is not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.targets, self.text, self._open = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        self.targets += [value for name, value in attrs if name in {"href", "xlink:href", "src", "action"}]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def verdict(shift):
    rng = np.random.default_rng(0)
    units = [f"u{place % 200}" for place in range(600)]
    base = rng.random(600)
    slices = {"surface": ["job_feed", "job_search", "job_feed"] * 200}
    one = Measured("r1", units, {"ndcg@10": base, "empty": np.zeros(600)}, slices, {"coverage": 0.4})
    candidate = replace(one, name="r2", values={"ndcg@10": base + shift + 0.15 * rng.normal(size=600), "empty": np.zeros(600)})
    popular = replace(one, name="popular", values={"ndcg@10": base - 0.2, "empty": np.zeros(600)})
    return decide(candidate, baseline=popular, champion=one, policy=Policy(guardrails={}, slices=("surface",)))


VERDICTS = {"pass": verdict(0.05), "fail": verdict(-0.05), "not enough evidence": verdict(-0.004)}


def system(name, role, middle):
    estimates = {f"ndcg@{k}": Estimate(middle + k / 100, middle, middle + 0.1) for k in (1, 10)}
    return System(name, role, estimates | {"empty": Estimate(0.0)}, 0.4, 0.6)


FULL = ReportInput(
    title="Release r2",
    facts={"seed": "7", "source": "simulation"},
    verdict=VERDICTS["pass"],
    systems=(system("r2", "candidate", 0.4), system("r1", "champion", 0.39), system("popular", "baseline", 0.2)),
    slices=(Slice("surface=job_feed", "candidate", Estimate(0.4, 0.3, 0.5), 300),),
    importance={"als_score": 0.75, "popular_score": 0.25},
    trials=(Trial(0, "ended", ((5, 0.3), (10, 0.35))), Trial(1, "stopped", ((5, 0.2),)), Trial(2, "open", ())),
    best_trial=0,
    settings={"learning_rate": 0.08, "num_leaves": 31, "unbiased": False},
    retrievers=Table("Recall@100 of each retriever.", ("retriever", "recall"), (("als", 0.31),)),
    data=Table("Rows.", ("table", "rows", "test"), (("impressions", 1234567, None),)),
    quarantine=Table("Put aside.", ("table", "rule", "rows"), ()),
)
BARE = ReportInput(title="Release r2", facts={}, verdict=VERDICTS["not enough evidence"], systems=())


@pytest.mark.parametrize("report", [FULL, BARE])
def test_a_page_is_whole_and_fetches_nothing(report):
    text = render(report)
    page = Page(text)
    assert page.count("script") == page.count("img") == page.count("link") == 0
    assert all(target.startswith("#") for target in page.targets)
    assert set(page.targets) <= {f"#{name}" for name in page.ids}
    assert "@import" not in text
    assert "url(http" not in text


def test_no_id_is_used_twice():
    repeated = [name for name, times in Counter(Page(render(FULL)).ids).items() if times > 1]
    assert repeated == []


def test_every_figure_and_table_says_what_it_is():
    page = Page(render(FULL))
    figures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(figures) == page.count("figcaption") == 6
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in figures)
    assert page.count("table") == page.count("caption") == 6


@pytest.mark.parametrize("outcome", list(VERDICTS))
def test_the_verdict_and_its_reasons_are_on_the_page(outcome):
    one = VERDICTS[outcome]
    assert one.outcome == outcome
    text = " ".join(" ".join(Page(render(replace(FULL, verdict=one))).text).split())
    assert f"Gate: {outcome}" in text
    assert all(reason in text for reason in one.reasons)


def test_text_from_outside_is_escaped_everywhere():
    bad = '<script>alert("x")</script>&'
    report = replace(
        FULL,
        title=bad,
        facts={bad: bad},
        systems=(replace(FULL.systems[0], name=bad), *FULL.systems[1:]),
        slices=(Slice(bad, "candidate", Estimate(0.4), 3),),
        importance={bad: 1.0},
        settings={bad: bad},
        data=Table(bad, (bad, bad), ((bad, bad),)),
    )
    page = Page(render(report))
    assert page.count("script") == 0
    assert bad in " ".join(page.text)


def test_the_same_numbers_give_the_same_bytes():
    assert render(FULL) == render(FULL)


def test_colours_come_from_the_page_so_that_dark_and_light_both_read():
    text = render(FULL)
    assert "#0a0a" not in text
    assert "prefers-color-scheme: dark" in text
    for name in ("--ink", "--candidate", "--champion", "--baseline", "--grid"):
        assert f"var({name})" in text
        assert text.count(f"{name}:") == 2  # light and dark


def test_what_is_not_given_is_not_shown():
    text = " ".join(Page(render(BARE)).text)
    for absent in ("Model and tuning\n", "The best trial", "Recall@100", "Put aside"):
        assert absent not in text


def test_numbers_are_written_for_people():
    text = " ".join(Page(render(FULL)).text)
    assert "1,234,567" in text
    assert "False" in text
    assert "–" in text


def test_an_input_is_read_as_it_was_written():
    assert ReportInput.from_json(FULL.to_json()) == FULL
    assert render(ReportInput.from_json(FULL.to_json())) == render(FULL)


@pytest.mark.parametrize("text", ["{}", "nothing", '{"title": 3}'])
def test_what_is_not_an_input_is_refused(text):
    with pytest.raises(DataError, match="not the input of a report"):
        ReportInput.from_json(text)


def test_an_interval_without_ends_has_none():
    assert Estimate.of(Interval(0.4, 0.3, 0.5, 9, 3)) == Estimate(0.4, 0.3, 0.5)
    assert Estimate.of(Interval(float("nan"), float("nan"), float("nan"), 0, 0)) == Estimate(None)
