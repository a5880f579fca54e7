"""Figures of the benchmark: spreads, ratios of one round, and how they are kept and written."""

from functools import partial
from pathlib import Path

import pytest

from bench import kept
from bench.figures import Effort, Spread, in_turns, ratios, rows
from bench.numbers import Cells, number, percent, remark
from bench.sections import SECTIONS
from tests import bench_samples as samples


def test_a_spread_has_the_median_the_middle_half_and_the_extremes() -> None:
    assert Spread.of([5, 1, 3, 2, 4]) == Spread(3, 2, 4, 1, 5, 5)
    assert Spread.of([7]) == Spread(7, 7, 7, 7, 7, 1)


def test_contenders_take_turns_within_a_round() -> None:
    order: list[str] = []

    def measured(name: str) -> float:
        order.append(name)
        return 1.0

    found = in_turns({name: partial(measured, name) for name in ("a", "b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([10, 40], [100, 200]) == Spread.of([0.1, 0.2])
    with pytest.raises(ValueError, match="shorter"):
        ratios([10, 40], [100])


def test_rows_relate_to_the_first_contender_which_has_no_ratio() -> None:
    reference, other = rows({"raw": [100, 200], "hotplate": [50, 100]}, {"raw": "raw ASGI"})
    assert (reference.name, reference.ratio, reference.ours) == ("raw ASGI", None, False)
    assert (other.name, other.ratio, other.ours) == ("hotplate", Spread.of([0.5, 0.5]), True)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    beside: samples.Beside = {"p99, ms": Spread.of([1, 2]), "handler runs": 1.0, "checked": "yes"}
    written = samples.result("http", samples.table("keys", samples.row("raw", 1.0), samples.row("x", 2.0, ratio=2.0)))
    with_beside = samples.result("values", samples.table("sync", samples.row("plain", 1.0, beside=beside)))
    for one in (with_beside, written):
        one.write(tmp_path)
    read = kept.results(tmp_path)
    assert [one.section for one in read] == ["http", "values"]
    assert [list(one.tables) for one in read] == [list(written.tables), list(with_beside.tables)]
    assert read[0].noise == written.noise


def test_quick_results_do_not_go_where_full_ones_are_kept() -> None:
    full, quick = (kept.folder_of("2026-11-22", effort) for effort in (Effort.FULL, Effort.QUICK))
    assert full.relative_to(kept.ROOT) == Path("bench/results/2026-11-22")
    assert quick.relative_to(kept.ROOT) == Path("target/bench/2026-11-22")
    assert kept.folder_of("2026-11-22", Effort.QUICK, keep=True) == full


def test_a_day_without_results_is_said() -> None:
    with pytest.raises(FileNotFoundError, match="1999-01-01"):
        kept.kept("1999-01-01")


def test_pinned_versions_are_read_of_each_environment(tmp_path: Path) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench.txt").write_text("# a remark, x==1\nuvloop==0.23.0 ; sys_platform != 'win32'\n")
    (tmp_path / "bench" / "hishel.txt").write_text("hishel[redis]==2.0.0\noutcome==1.3.0.post0\n")
    assert kept.environments(tmp_path) == {
        "bench": {"uvloop": "0.23.0"},
        "hishel": {"hishel": "2.0.0", "outcome": "1.3.0.post0"},
    }


def test_the_version_of_a_package_is_the_installed_one_or_the_pinned_one() -> None:
    pinned = kept.environments()["bench"]["cachebox"]
    assert kept.versions(["cachebox"]) == {"cachebox": pinned}
    with pytest.raises(LookupError, match="no-such-package"):
        kept.versions(["no-such-package"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.92134, "0.921"),
        (0.04991, "0.0499"),
        (12.345, "12.3"),
        (99.96, "100"),
        (345.6, "346"),
        (1239.4, "1,239"),
        (34_712.0, "34,700"),
        (1_234_567.0, "1,230,000"),
        (-0.5, "-0.500"),
        (float("inf"), "not known"),
    ],
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.00041, "0.041 %"), (0.0413, "4.1 %"), (1.234, "123 %"), (0.09999, "10 %")]
)
def test_shares_are_written_in_per_cent(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_table_has_ratios_further_columns_and_budgets() -> None:
    shown = samples.table(
        "keys",
        samples.row("raw|1", 37_712.0, 37_712.0),
        samples.row("hotplate", 100.0, 300.0, ratio=0.5, beside={"CPU": 2.5}),
    )
    cells = Cells.of(shown, {"hotplate": "met"})
    assert cells.markdown().splitlines() == [
        "|  | requests/s | ratio (middle half) | CPU | budget |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| raw\\|1 | 37,700 | 1 |  |  |",
        "| **hotplate** | **200** | **0.500** | **2.50** | **met** |",
    ]
    assert cells.plain().splitlines() == [
        "            requests/s  ratio (middle half)   CPU  budget",
        "  raw|1         37,700                    1",
        "* hotplate         200                0.500  2.50     met",
    ]
    assert remark(shown) == (
        "Medians of 2 rounds; more is better. "
        "Ratios are to “raw|1” in the same round, whose own middle half is 0 % wide."
    )


def test_a_table_without_ratios_has_the_middle_half_of_its_figures() -> None:
    shown = samples.table("http", samples.row("hotplate", 1.0, 2.0, 3.0), unit="bytes", more_is_better=False)
    assert "| **hotplate** | **2 (1.50 to 2.50)** |" in Cells.of(shown).markdown()
    assert remark(shown) == "Medians of 3 rounds; less is better."


def test_sections_have_an_order() -> None:
    assert len(set(SECTIONS)) == len(SECTIONS) == 13
