"""What is kept of a run: a JSON file for each section, in a folder for each day.

What was measured with `--full` is kept in `bench/results/DATE/`, which is part of the repository. A quick run is for
the one who made it and goes to `target/bench/DATE/`, where it replaces nothing that is kept.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.figures import Effort, Table, recalled
from bench.machine import Noise
from bench.sections import SECTIONS

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
QUICK = ROOT / "target" / "bench"


@dataclass(frozen=True)
class Result:
    """A section as it was measured once."""

    section: str
    title: str
    how: str
    effort: str
    measured: str
    """When it had ended: ISO 8601, UTC."""
    seconds: float
    commit: str
    """Of the repository, with a `+` if files differed from it; empty where there is no git."""
    noise: Noise
    machine: dict[str, str]
    versions: dict[str, str]
    """Of the section's packages."""
    environments: dict[str, dict[str, str]]
    """What each virtual environment of the benchmark is pinned to."""
    tables: Sequence[Table]

    def write(self, folder: Path) -> Path:
        """Keeps it in a folder, in place of what that had of this section."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.section}.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", "utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "Result":
        """What `write` wrote."""
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return cls(**{**kept, "noise": Noise(**kept["noise"]), "tables": recalled(kept["tables"])})


def results(folder: Path) -> list[Result]:
    """All that a folder has, in the order of the page."""
    found = [Result.read(path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: (_place(one.section), one.section))


def _place(section: str) -> int:
    return SECTIONS.index(section) if section in SECTIONS else len(SECTIONS)


def folder_of(date: str, effort: Effort, keep: bool = False) -> Path:
    """Where a day's results go; `keep` puts quick ones among those of the repository."""
    return (RESULTS if keep or effort is Effort.FULL else QUICK) / date


def kept(date: str) -> Path:
    """Where a day's results are: the repository's, or else those of a quick run. Raises `FileNotFoundError`."""
    for folder in (RESULTS / date, QUICK / date):
        if any(folder.glob("*.json")):
            return folder
    raise FileNotFoundError(f"no results of {date} in {RESULTS} or {QUICK}")


def environments(requirements: Path = ROOT / "requirements") -> dict[str, dict[str, str]]:
    """What the environments are pinned to, by `requirements/bench.txt` and `requirements/bench/NAME.txt`."""
    return {path.stem: _pins(path) for path in (requirements / "bench.txt", *sorted(requirements.glob("bench/*.txt")))}


def _pins(path: Path) -> dict[str, str]:
    lines = (re.match(r"([\w.-]+)(?:\[[^]]*\])?==([\w.+!-]+)", line) for line in path.read_text("utf-8").splitlines())
    return {line[1]: line[2] for line in lines if line}


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Of packages, as they are installed here, or else pinned for the environment of a peer.

    Raises `LookupError` for one that is neither, with its name.
    """
    pinned = {name.lower(): one for pins in environments().values() for name, one in pins.items()}
    return {package: _version(package, pinned) for package in packages}


def _version(package: str, pinned: dict[str, str]) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        if package.lower() not in pinned:
            raise LookupError(f"{package} is neither installed nor pinned in requirements/bench") from None
        return pinned[package.lower()]


def commit() -> str:
    """The commit that is checked out, with a `+` if tracked files differ from it; empty where git cannot tell."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: S607
    return ran.stdout.strip()
