"""An ASGI application under uvicorn (uvloop, httptools), in a process of its own, for as long as it is measured."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.machine import pin

START_DEADLINE_SECONDS = 20.0
STOP_DEADLINE_SECONDS = 10.0
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    port: int
    pid: int


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started inside stays on a core from its first instruction on, with all its threads and processes."""
    if core is None or sys.platform != "linux":
        yield
        return
    everywhere = os.sched_getaffinity(0)
    pin(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, everywhere)


@contextmanager
def serving(
    app: str,
    *,
    core: int | None = None,
    python: str = sys.executable,
    workers: int = 1,
    lifespan: bool = False,
    factory: bool = False,
    quiet: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Starts `app` (`bench.apps.hotplate:app`) on a free port of 127.0.0.1, kept on a core, and ends it by its pid.

    `python` is the interpreter of the environment that has what the application imports; `environment` is added to
    this process's. With `factory`, `app` names a function that makes the application. With several `workers` the port
    listens before they have imported it: the first request waits for that. With `quiet`, what it and its libraries
    write is shown only if it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [python, "-m", "uvicorn", app, "--port", str(port), "--workers", str(workers)]
    # A connection must outlast the turns of all other contenders.
    command += ["--timeout-keep-alive", "600"]
    command += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error"]
    command += ["--lifespan", "on" if lifespan else "off"]
    command += ["--factory"] if factory else []
    with tempfile.TemporaryFile() as written:
        settings = {**os.environ, **(environment or {})}
        with on_core(core):  # before it starts: its workers and threads inherit it
            server = subprocess.Popen(command, cwd=ROOT, env=settings, stderr=written if quiet else None)
        try:
            deadline = time.monotonic() + START_DEADLINE_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError as error:
                    if server.poll() is not None or time.monotonic() > deadline:
                        said = _read(written) if quiet else "what it wrote is above"
                        raise RuntimeError(f"{app} does not answer on port {port}: {said}") from error
                    time.sleep(0.02)
            yield Server(port, server.pid)
        finally:
            _end(server)


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(timeout=STOP_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:  # it still works at what nobody waits for any more
        server.kill()
        server.wait()


def _read(written: IO[bytes]) -> str:
    written.seek(0)
    return written.read().decode(errors="replace")
