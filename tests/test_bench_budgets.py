"""The budgets of the benchmark, and what a run says of them."""

import pytest

from bench.budgets import BUDGETS, FIGURE, RATIO, Bound, Budget, Verdict, judge, of_table, summary
from bench.figures import Spread
from bench.kept import ROOT
from tests import bench_samples as samples


def budget(bound: Bound, limit: float, measure: str = RATIO, *, every_round: bool = False) -> Budget:
    return Budget("Hit", "http", "keys", "hotplate", bound, limit, "of raw", measure, every_round=every_round)


@pytest.mark.parametrize(
    ("bound", "limit", "value", "said"),
    [
        (Bound.AT_LEAST, 0.9, 0.95, "met"),
        (Bound.AT_LEAST, 0.9, 0.9, "met"),
        (Bound.AT_LEAST, 0.9, 0.81, "missed by 10 %"),
        (Bound.AT_MOST, 200, 150, "met"),
        (Bound.AT_MOST, 200, 200, "met"),
        (Bound.AT_MOST, 200, 203, "missed by 1.5 %"),
        (Bound.AT_MOST, 0, 3, "missed by 3"),
        (Bound.AT_MOST, 0, 0, "met"),
    ],
)
def test_a_verdict_says_whether_a_budget_is_met_or_by_how_much_it_is_missed(
    bound: Bound, limit: float, value: float, said: str
) -> None:
    verdict = Verdict(budget(bound, limit), Spread.of([value]))
    assert verdict.shown == said
    assert verdict.met is (said == "met")


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    verdict = Verdict(budget(Bound.AT_LEAST, 0.9), None)
    assert (verdict.met, verdict.shown) == (None, "not measured")


def test_a_figure_is_judged_by_its_median_and_a_count_by_its_worst_round() -> None:
    rounds = Spread.of([1, 1, 1, 2])
    assert Verdict(budget(Bound.AT_MOST, 1), rounds).met is True
    assert Verdict(budget(Bound.AT_MOST, 1, every_round=True), rounds).met is False
    assert Verdict(budget(Bound.AT_LEAST, 2, every_round=True), rounds).missing == 0.5


def test_judging_finds_ratios_figures_and_further_columns() -> None:
    stampede = samples.table(
        "one-worker",
        samples.row("limit", 0.2),
        samples.row("hotplate", 0.24, 0.26, ratio=1.25, beside={"handler runs": Spread.of([1.0, 2.0])}),
        unit="s",
    )
    verdicts = {one.budget.text.rpartition(": ")[2]: one for one in judge({"stampede": [stampede]}) if one.value}
    assert {text: one.shown for text, one in verdicts.items()} == {
        "all have answers": "met",
        "handler runs": "missed by 100 %",
    }
    keys = samples.table("keys", samples.row("raw", 100.0), samples.row("hotplate", 81.0, ratio=0.81))
    assert [one.shown for one in judge({"http": [keys]}) if one.value] == ["missed by 10 %"]


def test_a_column_of_words_is_not_a_measurement() -> None:
    words = samples.row("hotplate", 0.2, beside={"failed requests": "none"})
    assert all(
        one.value is None
        for one in judge({"stampede": [samples.table("one-worker", words)]})
        if one.budget.measure == "failed requests"
    )


def test_every_budget_is_addressed_to_what_a_section_gives() -> None:
    for one in BUDGETS:
        assert one.row in samples.ADDRESSES[one.section][one.table], one
        assert one.measure in (RATIO, FIGURE, *samples.BESIDE), one
    assert all(verdict.value is not None for verdict in judge({one.section: one.tables for one in samples.whole()}))


def test_budgets_differ_and_name_pages_that_exist() -> None:
    assert len({(one.section, one.table, one.row, one.measure) for one in BUDGETS}) == len(BUDGETS)
    assert len({one.text for one in BUDGETS}) == len(BUDGETS)
    assert all((ROOT / one.page).is_file() for one in BUDGETS if one.page)


def test_limits_are_those_that_were_set() -> None:
    limits = [(one.measure, one.limit_shown) for one in of_table("objects", "memoize-async")]
    assert limits == [(FIGURE, "≤ 200 ns"), (RATIO, "≤ 1.9 of a plain coroutine (200/105)")]
    assert [one.limit_shown for one in of_table("invalidation", "call")] == ["≤ 1,000 µs"] * 2
    assert [one.limit_shown for one in of_table("hit_ratio", "zipf-10000")] == ["≥ 0.67"] * 2


def test_the_summary_counts() -> None:
    met, missed = (Verdict(budget(Bound.AT_LEAST, 1), Spread.of([value])) for value in (1.0, 0.5))
    assert summary([met, met, missed]) == "2 of 3 budgets are met, 1 missed"
    assert (
        summary([met, Verdict(budget(Bound.AT_LEAST, 1), None)]) == "1 of 2 budgets are met, 0 missed, 1 not measured"
    )
