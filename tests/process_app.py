"""The application that ``test_processes.py`` runs in several processes: ``uvicorn tests.process_app:app``.

What it does is written down in ``PROCESS_APP_DIRECTORY``, for all processes together: a line for each run.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict
from pathlib import Path

from fastapi import FastAPI, Response

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 100_000

FEW_FAULTS = "5s"
"""A ``command_timeout`` that two slow cores keep to."""


def note(directory: Path, name: str) -> int:
    """Writes a run of a name's handler down, whole, whoever else does. Returns which run of this name it is."""
    descriptor = os.open(directory / "runs", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{name} {os.getpid()}\n".encode())
        # Where the own line ends: what others have written since does not count.
        return len(_runs(os.pread(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR), 0), name))
    finally:
        os.close(descriptor)


def runs(directory: Path, name: str) -> list[int]:
    """The process of each run of one name's handler, in their order."""
    path = directory / "runs"
    return _runs(path.read_bytes(), name) if path.exists() else []


def _runs(noted: bytes, name: str) -> list[int]:
    lines = (line.split() for line in noted.decode().splitlines())
    return [int(pid) for what, pid in lines if what == name]


class Signed:
    """Says in every response which process has sent it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-pid", str(os.getpid()).encode())]}
            await send(message)

        await self.app(scope, receive, signed)


def make(cache: Cache, directory: Path) -> ASGIApp:
    """The application: handlers that count their runs, wait, wait for a file, or read one."""
    api = FastAPI(lifespan=cache.lifespan)
    api.add_middleware(CacheMiddleware, cache=cache, ttl=300)

    def body(name: str, number: int) -> bytes:
        line = f"{name} {os.getpid()} {number}\n".encode()
        return line + b"x" * (BODY_BYTES - len(line))

    @api.get("/pid")
    async def pid() -> Response:
        # Held up, this process accepts no further connection, and the other one does.
        time.sleep(0.005)  # noqa: ASYNC251
        return Response(str(os.getpid()), headers={"cache-control": "no-store"})

    @api.get("/slow/{name}")
    async def slow(name: str) -> Response:
        number = note(directory, name)
        await asyncio.sleep(0.2)
        return Response(body(name, number))

    @api.get("/gated/{name}")
    async def gated(name: str) -> Response:
        number = note(directory, name)
        gates = [directory / f"{name}.open", directory / f"{name}.open.{number}", directory / "end"]
        while not any(gate.exists() for gate in gates):  # noqa: ASYNC110 - opened by another process
            await asyncio.sleep(0.005)
        return Response(body(name, number))

    @api.get("/value")
    async def value() -> Response:
        return Response((directory / "value").read_text())

    @api.post("/invalidate")
    async def invalidate() -> dict[str, int]:
        return {"position": await cache.invalidate(paths=["/value"])}

    @api.get("/stats")
    async def stats() -> Response:
        numbers = {"shared": cache.shared_stats(), "own": cache.stats(), "loads": len(cache.loads)}
        return Response(json.dumps(numbers, default=asdict), headers={"cache-control": "no-store"})

    return Signed(api)


def __getattr__(name: str) -> ASGIApp:
    """``app``, made when a server asks for it: this module is imported by the tests too."""
    if name != "app":
        raise AttributeError(name)
    cache = Cache(
        os.environ["PROCESS_APP_URL"],
        prefix=os.environ.get("PROCESS_APP_PREFIX", "processes"),
        command_timeout=os.environ.get("PROCESS_APP_TIMEOUT", FEW_FAULTS),
        lease=os.environ.get("PROCESS_APP_LEASE", "3s"),
    )
    return make(cache, Path(os.environ["PROCESS_APP_DIRECTORY"]))
