"""Scenarios of processes that fork: see ``process_scenarios``."""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from hotplate import Cache
from tests.driver import call
from tests.process_app import BODY_BYTES, FEW_FAULTS, make
from tests.process_use import check, content_of, deadline, fill, fork, join, name_of, shared_cache, use
from tests.servers import HOST


class Unharmed:
    """What a process has of a server before others are forked off it: it keeps it, and nothing goes wrong."""

    def __init__(self, cache: Cache, url: str) -> None:
        self._cache = cache
        self._port = int(url.partition("//")[2].partition("/")[0].rpartition(":")[2])
        self._before = self._connections()
        assert self._before, "it is not connected"

    def _connections(self) -> set[int]:
        """The own ports of the connections to the server."""
        ports = set()
        for path in Path("/dev/fd").iterdir():
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as one:
                if one.family == socket.AF_INET and one.getpeername()[1] == self._port:
                    ports.add(one.getsockname()[1])
        return ports

    def check(self) -> None:
        numbers = self._cache.shared_stats()
        assert numbers is not None
        assert numbers.up, numbers
        assert numbers.certain, numbers
        assert not numbers.faults, numbers
        assert not numbers.epochs, numbers
        assert self._connections() == self._before, "it had to connect anew"


def forked_children(url: str) -> None:
    """A cache made and used, then four children that use it while the parent goes on."""
    cache = shared_cache(url, local=True)

    async def parent() -> None:
        await fill(cache, 64)
        await use(cache)
        connected = Unharmed(cache, url)
        going = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(64)]
        await asyncio.sleep(0)
        children = [fork(lambda: asyncio.run(use(cache))) for _ in range(4)]
        assert await asyncio.gather(*going) == [content_of(n) for n in range(64)]
        for _ in range(20):
            await check(cache, 64)
        await asyncio.to_thread(join, children)
        await use(cache)
        connected.check()

    asyncio.run(parent())
    asyncio.run(use(cache))


def forks_in_flight(url: str) -> None:
    """Fifty forks, each while 64 operations are on their way."""
    cache = shared_cache(url)

    async def parent() -> None:
        await fill(cache, 64)
        await check(cache, 64)
        connected = Unharmed(cache, url)
        for turn in range(50):
            going = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(64)]
            # Not all forks at the same moment of the operations: some early, some with half the answers there.
            for _ in range(turn % 4):
                await asyncio.sleep(0)
            child = fork(lambda: asyncio.run(check(cache, 64)))
            found = await asyncio.gather(*going)
            crossed = {n: value for n, value in enumerate(found) if value != content_of(n)}
            assert not crossed, f"fork {turn}: {crossed}, {cache.shared_stats()}"
            await asyncio.to_thread(join, [child])
        await use(cache)
        connected.check()

    asyncio.run(parent())


def forks_of_forks(url: str) -> None:
    """A child that has used the cache forks as well."""
    cache = shared_cache(url)

    def generation(left: int) -> None:
        asyncio.run(use(cache))
        if left:
            join([fork(lambda: generation(left - 1))])
            asyncio.run(use(cache))

    asyncio.run(fill(cache, 64))
    generation(3)


def forks_from_threads(url: str) -> None:
    """Two threads fork at once, while a third one's loop has operations on their way all the time."""
    cache = shared_cache(url)
    asyncio.run(fill(cache, 64))
    connected = Unharmed(cache, url)
    failures: list[BaseException] = []
    ended = threading.Event()

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    def busy() -> None:
        async def loop() -> None:
            while not ended.is_set():
                await check(cache, 64)

        asyncio.run(loop())

    def forking() -> None:
        for _ in range(15):
            join([fork(lambda: asyncio.run(check(cache, 16)))])

    user = threading.Thread(target=guarded, args=(busy,))
    forkers = [threading.Thread(target=guarded, args=(forking,)) for _ in range(2)]
    for thread in (user, *forkers):
        thread.start()
    for thread in forkers:
        thread.join()
    ended.set()
    user.join()
    assert not failures, failures
    connected.check()


def orphaned_child(url: str, told: str) -> None:
    """The parent ends at once, in the middle of its own operations; the child goes on."""
    cache = shared_cache(url)

    async def parent() -> None:
        await fill(cache, 64)
        going = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(64)]
        await asyncio.sleep(0)
        reading, writing = os.pipe()

        def child() -> None:
            os.close(writing)
            os.read(reading, 1)  # returns when the parent is gone
            asyncio.run(use(cache))
            Path(told).touch()

        fork(child)
        os.close(reading)
        del going
        os._exit(0)

    asyncio.run(parent())


_inherited: Cache | None = None


def _work(url: str) -> None:
    """In a process that ``multiprocessing`` has started: the parent's cache, if this process has it, or a new one."""
    with deadline():
        asyncio.run(use(_inherited or shared_cache(url)))


def multiprocessing_method(method: str, url: str) -> None:
    """Four processes of ``multiprocessing``, beside a parent that has used a cache and goes on."""
    global _inherited
    cache = _inherited = shared_cache(url)

    async def parent() -> None:
        await fill(cache, 64)
        await use(cache)
        connected = Unharmed(cache, url)
        context: Any = multiprocessing.get_context(method)
        processes = [context.Process(target=_work, args=(url,)) for _ in range(4)]
        going = [asyncio.ensure_future(cache.get(name_of(n))) for n in range(64)]
        await asyncio.sleep(0)
        for process in processes:
            process.start()
        assert await asyncio.gather(*going) == [content_of(n) for n in range(64)]
        while any(process.is_alive() for process in processes):
            await check(cache, 64)
        for process in processes:
            process.join()
        ends = [process.exitcode for process in processes]
        assert ends == [0] * 4, ends
        connected.check()

    asyncio.run(parent())


def preloading(url: str, directory: str, port: str) -> None:
    """As gunicorn with ``--preload``: the parent makes and uses cache and application, four forked children serve."""
    cache = Cache(url, prefix="preload", command_timeout=FEW_FAULTS)
    app = make(cache, Path(directory))
    listener = socket.create_server((HOST, int(port)), backlog=2048)

    def serve() -> None:
        config = uvicorn.Config(
            app, log_level="warning", lifespan="on", timeout_graceful_shutdown=5, timeout_keep_alive=120
        )
        uvicorn.Server(config).run(sockets=[listener])

    async def parent() -> None:
        await fill(cache, 64)
        for _ in range(2):
            answer = await call("GET", "/slow/before").run(app)
            assert len(answer.body) == BODY_BYTES
        connected = Unharmed(cache, url)
        children = [fork_server(serve) for _ in range(4)]
        listener.close()
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        (Path(directory) / "pid").write_text(str(os.getpid()))
        (Path(directory) / "serving").touch()
        while not ended.is_set():
            await check(cache, 64)
            await asyncio.sleep(0.01)
        for child in children:
            os.kill(child, signal.SIGTERM)
        await asyncio.to_thread(join, children)
        await check(cache, 64)
        connected.check()

    asyncio.run(parent())


def fork_server(serve: Callable[[], None]) -> int:
    """A forked server. It ends by the signal that ends it, which uvicorn raises again: that is well."""

    def ended_by_signal() -> None:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            serve()

    return fork(ended_by_signal)
