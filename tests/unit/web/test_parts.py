"""Pure parts of pages: filters and links, tables as CSV and JSON, charts, ages and sizes."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.model.errors import TocsinError
from tocsin.model.ports import AlertFilter
from tocsin.web import charts
from tocsin.web.filters import alert_filter, incident_filter, link, number, query_of
from tocsin.web.rendering import NAME, age, complete, moment, size, stamp
from tocsin.web.tables import Column, Table, as_csv, as_json, schema_of

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_a_filter_and_its_link_mean_the_same() -> None:
    where = AlertFilter(
        since=NOW, min_severity="high", cluster="a&b", user="é=?", technique="T1611", text="#%"
    )
    assert alert_filter(query_of(where), 0.0) == where
    assert query_of(AlertFilter()) == {}


def test_ages_are_counted_from_now() -> None:
    found = incident_filter({"since": "24h", "state": "open,closed"}, NOW.timestamp())
    assert found.since == NOW - timedelta(hours=24)
    assert found.states == ("open", "closed")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"since": "soon"}, "since 'soon' is neither an age"),
        ({"since": "9" * 30 + "d"}, "is neither an age"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "is neither an age"),
        ({"severity": "worst"}, "severity 'worst' is not one of info, low"),
        ({"q": "x" * 201}, "q is longer than 200 characters"),
        ({"user": "x" * 1001}, "user is longer than 1000 characters"),
    ],
)
def test_what_means_nothing_is_refused(query: dict[str, str], problem: str) -> None:
    with pytest.raises(TocsinError, match=problem):
        alert_filter(query, NOW.timestamp())


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "٣", "9" * 19])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(TocsinError, match="is no whole number"):
        number({"before": text}, "before")


def test_a_link_holds_any_text() -> None:
    assert link("/alerts", {"q": "a&b=c#d\r\n", "x": None, "y": ""}) == (
        "/alerts?q=a%26b%3Dc%23d%0D%0A"
    )


COLUMNS = (
    Column("text", "Text", lambda row: row[0]),
    Column("count", "Count", lambda row: row[1], "integer"),
    Column("list", "List", lambda row: row[2], "array"),
)
FORMULAS = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_becomes_a_formula(text: str) -> None:
    table = Table("x", COLUMNS, [(text, -1, [text, "y"])])
    _, row = csv.reader(io.StringIO(as_csv(table), newline=""))
    assert row == [f"'{text}", "-1", f"'{text} y"]


@pytest.mark.parametrize("text", ['a"b', "a,b", "a\nb", "", "é\u202e\x00"])
def test_csv_can_be_read_back(text: str) -> None:
    rows = list(csv.reader(io.StringIO(as_csv(Table("x", COLUMNS, [(text, 1, [])])), newline="")))
    assert rows == [["text", "count", "list"], [text, "1", ""]]


def test_json_holds_the_same_rows_and_the_way_on() -> None:
    table = Table("x", COLUMNS, [("a", 1, ["b"]), (None, None, [])])
    assert json.loads(as_json(table, "/x.json?before=2")) == {
        "rows": [
            {"text": "a", "count": 1, "list": ["b"]},
            {"text": None, "count": None, "list": []},
        ],
        "next": "/x.json?before=2",
    }
    assert schema_of(COLUMNS)["required"] == ["rows", "next"]


def test_bars_stand_on_the_floor_and_do_not_overlap() -> None:
    starts = [NOW + timedelta(minutes=10 * n) for n in range(6)]
    counts = [{"low": n, "high": 2 * n} for n in range(6)]
    chart = charts.stacked(starts, counts, NOW + timedelta(hours=1), ("low", "high"))
    assert [bar.total for bar in chart.bars] == [0, 3, 6, 9, 12, 15]
    assert chart.total == 45
    for one, two in zip(chart.bars, chart.bars[1:], strict=False):
        assert one.x + one.width <= two.x
    low, high = chart.bars[5].segments
    assert low.y + low.height == pytest.approx(chart.frame.floor)
    assert high.y + high.height == pytest.approx(low.y)
    assert high.y >= chart.frame.top
    assert [tick.label for tick in chart.y_ticks] == ["0", "10", "20"]
    assert [tick.label for tick in chart.x_ticks] == [f"12:{n}0" for n in range(6)]


def test_one_among_thousands_is_seen() -> None:
    chart = charts.stacked(
        [NOW, NOW + timedelta(hours=1)], [{"a": 1}, {"a": 9000}], NOW + timedelta(hours=2), ("a",)
    )
    assert chart.bars[0].segments[0].height >= 2


@pytest.mark.parametrize("span", [60, 3600, 86400, 86400 * 30, 86400 * 400, 86400 * 4000])
def test_no_range_has_too_many_marks(span: int) -> None:
    chart = charts.stacked([NOW], [{}], NOW + timedelta(seconds=span), ("a",))
    assert len(chart.x_ticks) <= 11
    assert all(chart.frame.left <= tick.at <= chart.frame.width for tick in chart.x_ticks)


def test_a_chart_of_nothing() -> None:
    chart = charts.stacked([NOW], [{}], NOW, ("a",))
    assert chart.total == 0
    assert charts.sparkline([]) == ""
    assert charts.sparkline([0, 1, 2], 100, 20) == "0.0,19.0 50.0,10.0 100.0,1.0"


def test_ages_sizes_and_times_for_people() -> None:
    assert [age(seconds) for seconds in (-1, 0, 119, 120, 7200, 172800)] == [
        "0 s", "0 s", "119 s", "2 min", "2 h", "2 d",
    ]  # fmt: skip
    assert [size(number) for number in (0, 1023, 1024, 1 << 30, 1 << 50)] == [
        "0 B", "1023 B", "1.0 KiB", "1.0 GiB", "1024.0 TiB",
    ]  # fmt: skip
    for when in (NOW, NOW.timestamp(), "2026-11-23T13:00:00.000000+01:00"):
        assert stamp(when) == "2026-11-23 12:00:00"
        assert moment(when) == "2026-11-23T12:00:00Z"


def test_a_name_cannot_break_a_page() -> None:
    assert complete("", "n", "x") == b""
    assert complete(NAME, "n", "<b>\x00") == b"&lt;b&gt;\\x00"
