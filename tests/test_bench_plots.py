"""The plots of the benchmark: well-formed SVG in which everything has its name."""

from xml.etree import ElementTree as ET

import pytest

from bench import plots
from bench.budgets import FIGURE, Bound, Budget, of_table
from bench.figures import Spread, Table
from bench.kept import Result
from bench.svg import Scale
from tests import bench_samples as samples

SVG = "{http://www.w3.org/2000/svg}"
AWKWARD = "a <b> & \"c\" 'd' ]]> µs"


def words(drawn: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(drawn).iter(f"{SVG}text")]


def drawn_as(drawn: str, kind: str) -> list[ET.Element]:
    return [one for one in ET.fromstring(drawn).iter() if one.get("class") == kind]


@pytest.mark.parametrize("one", samples.whole(), ids=lambda one: one.section)
def test_every_plot_is_well_formed_and_has_each_row(one: Result) -> None:
    for table in one.tables:
        drawn = plots.plot(table, of_table(one.section, table.id))
        shown = words(drawn)
        assert table.title in shown
        sized = all(plots.SIZED.fullmatch(row.id) for row in table.rows)
        for row in table.rows:
            assert (f"{int(row.id.rpartition('-')[2]):,}" if sized else row.name) in shown


def test_names_are_shown_as_they_are_and_code_without_its_ticks() -> None:
    table = Table(AWKWARD, f"{AWKWARD} `x`", AWKWARD, True, [samples.row(AWKWARD, 1.0)])
    shown = words(plots.bars(table))
    assert AWKWARD in shown
    assert f"{AWKWARD} x" in shown


def test_there_are_colours_for_dark_and_light_and_no_background() -> None:
    drawn = plots.plot(samples.table("keys", samples.row("raw", 1.0)))
    assert "@media (prefers-color-scheme: dark)" in drawn
    assert 'width="100%"' not in drawn
    assert [one.get("class") for one in ET.fromstring(drawn).iter(f"{SVG}rect")] == ["bar"]


def test_ratios_have_the_reference_at_one_and_ours_are_another_colour() -> None:
    table = samples.table("keys", samples.row("raw", 100.0, 104.0), samples.row("hotplate", 90.0, 91.0, ratio=0.9))
    drawn = plots.plot(table, of_table("http", "keys"))
    assert len(drawn_as(drawn, "reference")) == 1
    assert len(drawn_as(drawn, "ours")) == 1
    assert "0.900 (90.5 requests/s)" in words(drawn)
    reference, limit = (drawn_as(drawn, kind)[-1].get("x1", "") for kind in ("reference", "budget"))
    hotplate, raw = (drawn_as(drawn, kind)[0] for kind in ("ours", "bar"))
    assert float(reference) == pytest.approx(float(raw.get("x", "")) + float(raw.get("width", "")), abs=0.1)
    budget_legend, *budget = drawn_as(drawn, "budget")
    assert len(budget) == 1
    assert float(limit) == pytest.approx(float(hotplate.get("x", "")) + float(hotplate.get("width", "")), abs=0.1)
    assert float(budget_legend.get("x1", "")) < 20


def test_a_table_whose_budgets_are_figures_is_drawn_in_figures() -> None:
    table = samples.table("objects", samples.row("dict", 1174.0), samples.row("hotplate", 1200.0, ratio=1.02), unit="B")
    limit = Budget("An entry", "memory", "objects", "hotplate", Bound.AT_MOST, 1240, "B", FIGURE)
    assert "1,200 B" in words(plots.plot(table, [limit]))
    assert drawn_as(plots.plot(table, [limit]), "reference") == []


@pytest.mark.parametrize(("largest", "logarithmic"), [(29.0, False), (31.0, True)])
def test_a_wide_range_is_logarithmic_and_says_so(largest: float, logarithmic: bool) -> None:
    drawn = plots.bars(samples.table("async", samples.row("plain", 1.0), samples.row("x", largest, ratio=largest)))
    assert ("logarithmic" in " ".join(words(drawn))) is logarithmic


def test_a_further_column_can_be_drawn_in_place_of_the_figures_and_failures_are_named() -> None:
    lossy: samples.Beside = {"handler runs": 500.0, "failed requests": Spread.of([0.0, 400.0])}
    table = samples.table("stampede", samples.row("limit", 0.2), samples.row("other", 0.4, ratio=2.0, beside=lossy))
    shown = words(plots.bars(table, title="Handler runs", column="handler runs", logarithmic=False))
    assert "Handler runs" in shown
    assert "500 (0.400 requests/s, 400 failed)" in shown


def test_what_grows_is_a_line_over_sizes_with_nothing_before_the_smallest() -> None:
    sizes = (0, 1_000, 100_000)
    rows = [samples.row(f"hotplate-{size}", 100.0, ratio=None if size == 0 else 1.0) for size in sizes]
    drawn = plots.plot(samples.table("markers", *rows))
    (line,) = ET.fromstring(drawn).iter(f"{SVG}polyline")
    xs = [float(point.partition(",")[0]) for point in line.get("points", "").split()]
    assert len(xs) == 3
    assert xs[1] - xs[0] == pytest.approx((xs[2] - xs[1]) / 2, abs=0.2)
    assert {"0", "1,000", "100,000", "hotplate"} <= set(words(drawn))


@pytest.mark.parametrize("values", [[0.0], [1e-6, 3e-6], [0.2, 0.9], [7.0, 1e9], [1000.0, 1001.0]])
def test_scales_have_ticks_for_whatever_is_measured(values: list[float]) -> None:
    scale = Scale.of(values, 100)
    assert 2 <= len(scale.ticks()) <= 12
    assert all(0 <= scale.at(tick) <= 100 for tick in scale.ticks())
