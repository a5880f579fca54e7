"""What the benchmark writes: the page of a day, what stands in the terminal, and the figures of README.md."""

from pathlib import Path

import pytest

from bench import __main__ as program
from bench import headline, page, running
from bench.figures import Effort
from bench.kept import RESULTS, ROOT, Result
from tests import bench_samples as samples


def http() -> Result:
    return samples.result(
        "http",
        samples.table(
            "keys",
            samples.row("raw", 37_712.0, 37_712.0),
            samples.row("hotplate", 34_000.0, 34_000.0, ratio=0.85, beside={"CPU": 29.1}),
        ),
    )


def test_the_page_has_the_machine_the_budgets_and_each_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.budgets._PAGES", {})
    lines = page.page([http()], RESULTS / "2026-11-22").splitlines()
    for line in (
        "# Benchmark, 2026-11-22",
        "| command | make bench-full |",
        "| commit | 0123456789ab |",
        "| processor | a fast one, 2 cores |",
        "* **bench**: cashews 7.6.0",
        "## Budgets",
        "| **[Section http](#http)** | | | |",
        "| Hit in memory: 200 keys, requests/s | ≥ 0.9 of raw ASGI | 0.850 | **missed by 5.6 %** |",
        "| Hit in memory: 49 kB, requests/s | ≥ 0.85 of raw ASGI |  | not measured |",
        '<a id="http"></a>',
        "## Section http",
        "Answers were **compared**.",
        "### keys",
        "![keys](http-keys.svg)",
        "|  | requests/s | ratio (middle half) | CPU | budget |",
        "| **hotplate** | **34,000** | **0.850** | **29.1** | **≥ 0.9 of raw ASGI: missed by 5.6 %** |",
    ):
        assert line in lines
    noise = next(line for line in lines if "Noise" in line)
    for part in ("make bench-full ONLY=http", "in 93 s", "0.25 before, 1.50 after", "0.21 %", "cashews 7.6.0"):
        assert part in noise


def test_a_missed_budget_links_the_page_that_says_what_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.budgets._PAGES", {"http": "border"})
    text = page.page([http()], RESULTS / "2026-11-22")
    assert "**missed by 5.6 %**: [what stands between](../../../docs/design/2026-11-21-border.md) |" in text


def test_the_page_is_written_with_a_plot_for_each_table_and_old_ones_go(tmp_path: Path) -> None:
    http().write(tmp_path)
    (tmp_path / "http-gone.svg").write_text("")
    assert page.write(tmp_path) == tmp_path / "README.md"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "http-keys.svg", "http.json"]


def test_the_terminal_has_the_tables_and_the_budgets_of_what_was_measured() -> None:
    shown = page.terminal(http())
    assert "Section http (ONLY=http, full, 93 s)" in shown
    assert "* hotplate" in shown
    budgets = page.terminal_budgets([http()])
    assert "0 of 3 budgets are met, 1 missed, 2 not measured" in budgets
    assert "missed by 5.6 %" in budgets
    assert page.terminal_budgets([samples.result("loops")]) == ""


def test_a_section_that_fails_is_named_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_alone(name: str, effort: Effort, folder: Path) -> Path:
        if name == "values":
            raise SystemExit("cargo is not there")
        return samples.result(name, effort=effort.value).write(folder)

    monkeypatch.setattr(program, "run_alone", run_alone)
    monkeypatch.setattr("bench.kept.QUICK", tmp_path)
    assert program.main(["--only", "values,loops"]) == 1
    written, errors = capsys.readouterr()
    assert "Section loops (ONLY=loops, quick, 93 s)" in written
    assert "FAILED values: SystemExit: cargo is not there" in errors
    assert program.main(["--only", "loops"]) == 0


def test_an_error_comes_back_from_the_process_of_a_section(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_section"):
        running.run_alone("no_such_section", Effort.QUICK, tmp_path)


def test_a_section_that_is_not_there_is_named_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.main(["--only", "http,nonsense"])
    assert "no section nonsense; there are http, " in capsys.readouterr().err


# --- README.md -------------------------------------------------------------------------------------------------------


def test_the_headline_fills_its_block_and_nothing_else(tmp_path: Path) -> None:
    results, root = tmp_path / "results", tmp_path / "root"
    for one in samples.whole():
        one.write(results / "2026-11-22")
    (root / "docs" / "images").mkdir(parents=True)
    before, behind = "# hotplate\n\n", "\n\n## Status\n"
    (root / "README.md").write_text(f"{before}{headline.BEGIN}\nof another day\n{headline.END}{behind}")
    headline.write("2026-11-22", results, root)
    written = (root / "README.md").read_text("utf-8")
    assert written.startswith(before + headline.BEGIN)
    assert written.endswith(headline.END + behind)
    assert "of another day" not in written
    for part in (
        "Measured 2026-11-22 on a fast one, 2 cores, Python 3.13.0: ",
        "(bench/results/2026-11-22/README.md)",
        "| Hit on Redis with the local tier, of the same | **0.800** |",
        "two workers on Redis | **0.500 runs, 0.500 failed, 90 requests/s** | 0.500 runs",
        "(cashews) |",
        "](docs/images/bench-http.svg)",
        "](docs/images/bench-stampede.svg)",
        "](docs/images/bench-values.svg)",
    ):
        assert part in written
    assert sorted(path.name for path in (root / "docs" / "images").iterdir()) == [
        "bench-http.svg",
        "bench-stampede.svg",
        "bench-values.svg",
    ]
    headline.write("2026-11-22", results, root)
    assert (root / "README.md").read_text("utf-8") == written


def test_nothing_is_written_of_what_was_not_measured(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"{headline.BEGIN}{headline.END}")
    http().write(tmp_path / "2026-11-22")
    with pytest.raises(LookupError, match="stampede"):
        headline.write("2026-11-22", tmp_path, tmp_path)
    assert (tmp_path / "README.md").read_text() == f"{headline.BEGIN}{headline.END}"
    assert not (tmp_path / "docs").exists()


@pytest.mark.parametrize("text", ["", headline.BEGIN, f"{headline.END}{headline.BEGIN}", headline.BEGIN * 2])
def test_a_text_without_the_block_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one <!-- bench -->"):
        headline.filled(text, "figures")


def test_the_readme_has_the_block() -> None:
    assert headline.filled((ROOT / "README.md").read_text("utf-8"), "figures")
