"""Runs a section, in a process of its own: what it leaves behind (cores, threads, memory) meets no other section."""

import importlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

from bench import kept, machine
from bench.figures import Effort, Section


def section(name: str) -> Section:
    """The section that a module of `bench.sections` defines."""
    found = importlib.import_module(f"bench.sections.{name}").SECTION
    assert isinstance(found, Section)
    return found


def run(name: str, effort: Effort, folder: Path) -> Path:
    """Measures one section; gives the file its figures are in."""
    chosen = section(name)
    versions, commit = kept.versions(chosen.packages), kept.commit()
    listening, began = machine.Listening(), time.monotonic()
    tables = chosen.measure(effort)
    return kept.Result(
        section=chosen.id,
        title=chosen.title,
        how=chosen.how,
        effort=effort.value,
        seconds=round(time.monotonic() - began),
        noise=listening.heard(),
        measured=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        commit=commit,
        machine=machine.described(),
        versions=versions,
        environments=kept.environments(),
        tables=tables,
    ).write(folder)


def run_alone(name: str, effort: Effort, folder: Path) -> Path:
    """The same in a process of its own; what it raises comes back."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as processes:
        return processes.submit(run, name, effort, folder).result()
