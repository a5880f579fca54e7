"""Traces: the requests that caches of `bench/sections/hit_ratio.py` are asked, the same numbers for all of them.

A trace is what the program `hit_ratio` of bench/engine reads and writes: four bytes a request, the lowest first, the
number of a key; the highest bit says that the request does not count.

The real one is a million requests to one of Twitter's clusters of caches (cluster 52, March 2020), made anonymous and
published by Twitter under CC BY 4.0: https://github.com/twitter/cache-trace. The source package of `libcachesim` on
PyPI has it among its sample data. It is fetched with pip, by version and hash, when it is first asked for. Of that
package nothing is kept but these numbers, and nothing runs but what pip asks of its build for a name and a version.
"""

import subprocess
import sys
import tarfile
import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.programs import ENGINE, built

UNCOUNTED = 1 << 31
"""Marks a request that does not count."""

FETCHED = Path(sys.prefix) / "traces"
"""In the environment of the bench: removed with it."""

PACKAGE = "libcachesim==0.3.5"
SHA256 = "a1512046ab45bc0e5f0a81e5673cd02209477ffeefcb17a05fa714a06371abfb"
MEMBER = "libcachesim-0.3.5/src/libCacheSim/data/twitter_cluster52.csv"
REQUESTS = 1_000_000
"""In that file."""


@dataclass(frozen=True)
class Trace:
    """Requests, written."""

    written: bytes

    @classmethod
    def of(cls, requests: Iterable[int]) -> "Trace":
        """Of numbers of keys."""
        return cls(_swapped(array("I", requests)).tobytes())

    def requests(self) -> tuple[list[int], list[bool]]:
        """The keys that are asked for, in order, and which of the requests count."""
        numbers = array("I")
        numbers.frombytes(self.written)
        read = _swapped(numbers)
        return [number & ~UNCOUNTED for number in read], [number < UNCOUNTED for number in read]


def _swapped(numbers: "array[int]") -> "array[int]":
    """From the order of this machine into that of a trace, or back."""
    assert numbers.itemsize == 4
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def zipf(scan: int = 0) -> Trace:
    """A million requests for 100,000 keys; with `scan`, so many keys between them that are asked for once."""
    ran = subprocess.run([built(*ENGINE, "hit_ratio"), "trace", str(scan)], check=True, capture_output=True)
    return Trace(ran.stdout)


def twitter() -> Trace:
    """Requests to a cache of Twitter. The first call takes a minute or two: 81 MB are fetched."""
    kept = FETCHED / "twitter_cluster52.trace"
    if not kept.exists():
        FETCHED.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FETCHED) as folder:
            trace = _numbered(_fetched(Path(folder)))
            part = Path(folder) / kept.name
            part.write_bytes(trace.written)
            part.rename(kept)
    return Trace(kept.read_bytes())


def _fetched(folder: Path) -> Iterable[str]:
    """The lines of the file in the package."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip += ["--no-binary", "libcachesim", "--dest", str(folder)]
    ran = subprocess.run(
        [*pip, "--require-hashes", "--requirement", str(wanted)], check=False, capture_output=True, text=True
    )
    if ran.returncode != 0:
        raise SystemExit(f"the trace of {PACKAGE} cannot be fetched:\n{ran.stderr}")
    (package,) = folder.glob("*.tar.gz")
    with tarfile.open(package) as opened:
        member = opened.extractfile(MEMBER)
        assert member is not None
        yield from member.read().decode("ascii").splitlines()


def _numbered(lines: Iterable[str]) -> Trace:
    """`time, object, size, next` lines as a trace: objects numbered as they come."""
    numbers: dict[str, int] = {}
    objects = [line.split(",")[1] for line in lines if not line.startswith("#")]
    if len(objects) != REQUESTS:
        raise SystemExit(f"{MEMBER} has {len(objects):,} requests and not {REQUESTS:,}")
    return Trace.of(numbers.setdefault(name, len(numbers)) for name in objects)
