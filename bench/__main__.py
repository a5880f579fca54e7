"""Runs the benchmark, or sections of it: `make bench`, `make bench-full`, `make bench ONLY=http,values`.

Each section runs in a process of its own, so that what one leaves behind (cores, threads, memory) meets no other. Its
tables are printed and kept as soon as it has ended; one that fails is named, and the others run. At the end stand the
page, its plots and the budgets. Exit code 1: a section failed.
"""

import argparse
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from bench import headline, kept, page
from bench.figures import Effort
from bench.running import run_alone
from bench.sections import SECTIONS


def measure(names: Sequence[str], effort: Effort, folder: Path) -> list[str]:
    """Measures, prints and keeps sections; gives what failed: names with errors."""
    failed = []
    for name in names:
        print(f"\n{name} ...", file=sys.stderr, flush=True)
        try:
            print(page.terminal(kept.Result.read(run_alone(name, effort, folder))), flush=True)
        # A program that cannot be built ends its section by SystemExit.
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, or write of what was measured; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="as long as steady figures need; kept in bench/results")
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"with commas between them, of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--keep", action="store_true", help="keep a quick run in bench/results, too")
    parser.add_argument("--page", metavar="DATE", help="measure nothing: make a day's page and plots anew")
    parser.add_argument("--headline", metavar="DATE", help="measure nothing: put a day's figures into README.md")
    chosen = parser.parse_args(arguments)
    if chosen.page or chosen.headline:
        if chosen.page:
            print(page.write(kept.kept(chosen.page)))
        if chosen.headline:
            print(headline.write(chosen.headline))
        return 0
    names = [name for name in chosen.only.split(",") if name] or list(SECTIONS)
    if unknown := [name for name in names if name not in SECTIONS]:
        parser.error(f"no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    effort = Effort.FULL if chosen.full else Effort.QUICK
    folder = kept.folder_of(f"{datetime.now(timezone.utc):%Y-%m-%d}", effort, chosen.keep)
    failed = measure(names, effort, folder)
    if any(folder.glob("*.json")):
        written = page.write(folder)
        print(f"{page.terminal_budgets(kept.results(folder))}\n\n{written}")
    for failure in failed:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
