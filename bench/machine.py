"""The machine a benchmark runs on: what it is, which cores are whose, and how quiet it was."""

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


def cores() -> tuple[int | None, int | None]:
    """A core for the server and one for the load, or none where they cannot be told apart."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return None, None
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


def pin(pid: int, core: int | None) -> None:
    """Keep a process on one core, where the system can; 0 is this process, and what it starts later inherits it."""
    if core is not None and sys.platform == "linux":
        os.sched_setaffinity(pid, {core})


def described() -> dict[str, str]:
    """Processor, system, compilers and interpreters, by name."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or "unknown",
    )
    return {
        "processor": f"{cpu}, {os.cpu_count()} cores",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "rustc": _output("rustc", "--version"),
        "redis-server": _output("redis-server", "--version"),
    }


def versions(*packages: str) -> dict[str, str]:
    """Of packages in this environment."""
    return {package: version(package) for package in packages}


@dataclass(frozen=True)
class Noise:
    """How quiet it was while something ran."""

    load_before: float
    """The load average of the last minute, of all processes, when it began."""
    load_after: float
    stolen: float
    """The share of all processor time that the host took for others, 0 to 1; 0 where it cannot be told."""


class Listening:
    """Listens for noise from here on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._times = _times()

    def heard(self) -> Noise:
        """What there was until now."""
        passed: list[int] = [now - before for now, before in zip(_times(), self._times, strict=True)]
        total = sum(passed)
        stolen = passed[7] / total if len(passed) > 7 and total else 0.0
        return Noise(round(self._load, 2), round(os.getloadavg()[0], 2), round(stolen, 4))


def _times() -> list[int]:
    """Processor time by kind: user, nice, system, idle, iowait, irq, softirq, steal."""
    first = next(iter(_lines("/proc/stat")), "")
    return [int(part) for part in first.split()[1:9]]


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not there"
