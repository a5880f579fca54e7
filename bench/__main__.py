"""Runs the benchmark, or sections of it: `make bench`, `make bench-full`, `make bench ONLY=http`.

Each section's figures are kept as soon as it has ended, in `bench/results/DATE/SECTION.json`.
"""

import argparse
import importlib
import json
import time
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from bench import machine
from bench.figures import Effort, Section, record

RESULTS = Path(__file__).parent / "results"
SECTIONS: tuple[str, ...] = ()
"""Modules of `bench.sections`, in the order of the page."""


def section(name: str) -> Section:
    """The section that a module of `bench.sections` defines."""
    found = importlib.import_module(f"bench.sections.{name}").SECTION
    assert isinstance(found, Section)
    return found


def run(name: str, effort: Effort, folder: Path) -> Path:
    """Measures one section; gives the file its figures are in."""
    chosen = section(name)
    listening, began = machine.Listening(), time.monotonic()
    tables = chosen.measure(effort)
    written = {
        "section": chosen.id,
        "title": chosen.title,
        "how": chosen.how,
        "effort": effort.value,
        "measured": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began),
        "noise": asdict(listening.heard()),
        "machine": machine.described(),
        "tables": record(tables),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{chosen.id}.json"
    path.write_text(json.dumps(written, indent=1) + "\n", "utf-8")
    return path


def main() -> None:
    """Measure what is asked for."""
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument("--full", action="store_true", help="as long as steady figures need")
    arguments.add_argument("--only", default="", help="names of sections, with commas between them")
    chosen = arguments.parse_args()
    effort = Effort.FULL if chosen.full else Effort.QUICK
    folder = RESULTS / f"{datetime.now(timezone.utc):%Y-%m-%d}"
    for name in filter(None, chosen.only.split(",")) if chosen.only else SECTIONS:
        print(f"{name}: kept in {run(name, effort, folder)}", flush=True)


if __name__ == "__main__":
    main()
