import math
import re
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.charts import Chart, Line, Mark, bins_svg, chart_png, chart_svg, said
from rankloop.drift.report import ColumnDrift, Shares
from rankloop.report.drawing import COLOURS, palette

HOUR = 3600.0
NOON = 1_779_000_000.0


def chart(*lines, marks=(), limit=None, unit="per second", name="requests"):
    return Chart(name, "How many requests", unit, lines, NOON, NOON + HOUR, marks, limit)


def line(label, values):
    return Line(label, [NOON + HOUR * at / len(values) for at in range(len(values))], values)


def words(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_chart_is_inline_svg_in_the_colours_of_its_page():
    drawn = chart_svg(chart(line("whole", [1.0, 2.0, 3.0])))
    assert drawn.startswith("<svg ")
    assert "var(--candidate)" in drawn
    assert not [colour for colour in COLOURS.values() if colour in drawn]
    assert "whole" in words(drawn)


def test_the_same_chart_is_the_same_bytes():
    one = chart(line("whole", [1.0, 2.0, 3.0]), marks=(Mark(NOON + 60, "since", "since 12:01"),))
    assert chart_svg(one) == chart_svg(one)
    assert chart_png(one) == chart_png(one)


def test_two_charts_of_one_page_share_no_id():
    ids = [
        set(re.findall(r' id="([^"]+)"', chart_svg(chart(line("whole", [1.0, 2.0]), name=name))))
        for name in ("requests", "errors")
    ]
    assert all(ids)
    assert not ids[0] & ids[1]


def test_a_name_from_outside_is_text_and_never_a_tag():
    drawn = chart_svg(chart(line("<b>&", [1.0, 2.0]), marks=(Mark(NOON + 60, "release", "<script>"),)))
    assert "<script" not in drawn
    assert "<b>&" in words(drawn)
    assert "<script>" in words(drawn)


def test_nothing_to_draw_is_none_and_not_an_empty_picture():
    empty = chart(line("whole", [math.nan, math.nan]))
    assert empty.empty
    assert chart_svg(empty) is None
    assert chart_png(empty) is None
    assert said(empty) == "nothing"


def test_marks_within_the_span_are_drawn_and_others_are_left_out():
    marks = (
        Mark(NOON - 1, "release", "before"),
        Mark(NOON + HOUR / 2, "since", "since 12:30"),
        Mark(NOON + HOUR + 1, "resolved", "later"),
    )
    found = words(chart_svg(chart(line("whole", [1.0, 2.0]), marks=marks)))
    assert "since 12:30" in found
    assert not {"before", "later"} & set(found)


def test_words_of_marks_that_are_near_stand_on_lines_of_their_own():
    marks = tuple(Mark(NOON + HOUR / 2 + 10 * at, "opened", f"mark number {at}") for at in range(3))
    drawn = ElementTree.fromstring(chart_svg(chart(line("whole", [1.0, 2.0]), marks=marks)))
    places = {
        element.text: re.search(r"translate\([\d.]+ ([\d.]+)\)|^", element.get("transform", ""))[1] or element.get("y")
        for element in drawn.iter("{http://www.w3.org/2000/svg}text")
        if (element.text or "").startswith("mark")
    }
    assert len(set(places.values())) == 3


def test_the_eight_largest_series_are_drawn():
    lines = [line(f"series {at}", [float(at), float(at)]) for at in range(12)]
    found = set(words(chart_svg(chart(*lines))))
    assert {f"series {at}" for at in range(4, 12)} <= found
    assert not {f"series {at}" for at in range(4)} & found


def test_a_lone_value_is_a_dot():
    lone = chart_svg(chart(line("p99", [math.nan, 1.0, math.nan, 2.0, 3.0])))
    none = chart_svg(chart(line("p99", [1.0, 1.0, 1.0, 2.0, 3.0])))
    assert lone.count("<use") == none.count("<use") + 1


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("share", [0.5, 0.25], "x: 25 % at last, 50 % at most"),
        ("seconds", [0.0421, 2.0], "x: 2 s at last, 2 s at most"),
        ("seconds", [0.0421, 0.0421], "x: 42.1 ms at last, 42.1 ms at most"),
        ("seconds", [7200.0, 86_400.0], "x: 24 h at last, 24 h at most"),
        ("per second", [1234.0, 12.34], "x: 12.3 at last, 1,234 at most"),
    ],
)
def test_values_are_said_with_their_unit(unit, values, expected):
    assert said(chart(line("x", values), unit=unit)) == expected


@given(st.lists(st.floats(min_value=-1e12, max_value=1e12) | st.just(math.nan), min_size=1, max_size=20))
def test_whatever_the_values_are_the_words_are_finite(values):
    text = said(chart(line("x", values)))
    assert "nan" not in text
    assert "inf" not in text


@pytest.mark.parametrize("dark", [False, True])
def test_a_png_has_the_ground_of_the_style_sheet(dark, tmp_path):
    from matplotlib.image import imread

    file = tmp_path / "chart.png"
    file.write_bytes(chart_png(chart(line("whole", [1.0, 2.0])), dark=dark))
    corner = [round(255 * part) for part in imread(file)[1, 1, :3]]
    assert "#" + "".join(f"{part:02x}" for part in corner) == palette(dark=dark)["page"]


def column(count, **more):
    labels = tuple(f"bin {at}" for at in range(count))
    window = tuple([0.5] + [0.5 / (count - 1)] * (count - 1))
    bins = Shares(labels=labels, reference=tuple([1 / count] * count), window=window)
    return ColumnDrift(name="items.budget", kind="numeric", table="items", verdict="drifted", bins=bins, **more)


def test_a_column_shows_its_bins_in_both_periods():
    found = words(bins_svg(column(5), "bins-0"))
    assert {"reference", "window", *(f"bin {at}" for at in range(5))} <= set(found)


def test_of_many_bins_those_that_moved_most_are_shown_and_the_rest_is_one():
    found = words(bins_svg(column(40), "bins-0"))
    assert "bin 0" in found
    assert "27 others" in found
    assert len([word for word in found if word.startswith("bin ")]) == 40 - 27


def test_a_column_without_bins_has_no_chart():
    assert bins_svg(ColumnDrift(name="x", kind="text", table="items", verdict="stable"), "bins-0") is None


def test_charts_that_are_drawn_at_once_are_those_that_are_drawn_alone():
    one = chart(line("whole", [1.0, 2.0, 3.0]))
    alone = chart_svg(one), chart_png(one, dark=True)
    with ThreadPoolExecutor(8) as pool:
        drawn = [pool.submit(*((chart_svg, one) if at % 2 else (lambda: chart_png(one, dark=True),))) for at in range(12)]
        assert {own.result() for own in drawn} == set(alone)
