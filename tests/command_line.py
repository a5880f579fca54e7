"""The program ``hotplate`` as people run it: in this process, as a process of its own, and on a terminal."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import ROOT
from tests.waiting import DEADLINE_SECONDS

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("HOTPLATE_", "WEB_CONCURRENCY"))}


@dataclass(frozen=True)
class Done:
    """How a run ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document it wrote."""
        return json.loads(self.out)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a process: this checkout's packages, and none of the program's settings but ``more``."""
    path = os.pathsep.join(filter(None, [str(ROOT / "python"), str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**CLEAN, "PYTHONPATH": path, **(more or {})}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hotplate", *arguments]


def run(*arguments: str, cwd: Path | None = None, stdin: str = "", **settings: str) -> Done:
    """A process of its own, into pipes. ``settings`` are of its environment."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(settings),
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def on_terminal(*arguments: str, cwd: Path | None = None, typed: str = "", **settings: str) -> Done:
    """A process of its own on a terminal: what both its streams wrote there is ``out``. ``typed`` is on its input."""
    leader, follower = pty.openpty()
    known = {"TERM": "xterm-256color", "COLUMNS": "200", **settings}
    process = subprocess.Popen(
        command(*arguments), stdin=follower, stdout=follower, stderr=follower, cwd=cwd, env=environment(known)
    )
    os.close(follower)
    written = bytearray()
    try:
        if typed:
            os.write(leader, typed.encode())
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 0.1)[0]:
                if process.poll() is not None:
                    break
                continue
            try:
                data = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            written += data
        return Done(process.wait(DEADLINE_SECONDS), written.decode(errors="replace"), "")
    finally:
        process.kill()
        process.wait()
        os.close(leader)
