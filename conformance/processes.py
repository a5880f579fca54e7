"""Starting the suite's origin and the application under test, and running the suite's client between them."""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["HERE", "UnavailableError", "install", "node", "serving"]

HERE = Path(__file__).parent
SUITE = HERE / "node_modules" / "http-cache-tests"
START_SECONDS = 20.0
LISTENING = re.compile(r"^Listening on http://(127\.0\.0\.1:\d+)/$", re.MULTILINE)


class UnavailableError(Exception):
    """Something the run needs is missing or did not start; the text says what, and what to do."""


def node() -> str:
    """The path of Node.js."""
    return _program("node")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UnavailableError(
            f"the suite needs Node.js 18 or later with npm ({name} is not on the PATH)\n"
            "  Install: apt-get install nodejs npm   (macOS: brew install node; else https://nodejs.org)"
        )
    return found


def install() -> None:
    """Installs the suite as the lock file pins it, unless that is done already."""
    npm, lock, stamp = _program("npm"), HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if SUITE.is_dir() and stamp.is_file() and stamp.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"npm could not install the suite:\n{done.stderr.strip()}")


@contextmanager
def serving(command: Sequence[str], directory: Path) -> Iterator[tuple[str, Path]]:
    """Runs a server until the block ends; gives the `host:port` it listens on, and the file of what it prints."""
    with tempfile.TemporaryDirectory(prefix="hotplate-conformance-") as scratch:
        log = Path(scratch, "log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield _address(server, log), log
        finally:
            server.terminate()
            try:
                server.wait(timeout=5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _address(server: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if said := LISTENING.search(log.read_text(errors="replace")):
            return said[1]
        if server.poll() is not None:
            break
        time.sleep(0.02)
    raise UnavailableError(f"{server.args!r} did not start:\n{log.read_text(errors='replace').strip()}")


def origin_command() -> list[str]:
    """What starts the suite's origin."""
    return [node(), str(HERE / "suite" / "origin.mjs")]


def forward_command(origin: str) -> list[str]:
    """What starts the application under test in front of the origin."""
    return [sys.executable, "-m", "conformance.forward", origin]
