"""What ``test_processes.py`` and ``test_bridge.py`` run as programs: an application, and processes that fork and end.

``uvicorn tests.process_app:app`` is the application. ``python -m tests.process_app SCENARIO URL`` is one of the
functions at the end; its exit status is the answer, with a line on standard error for what was wrong.
What the application does is written down in ``PROCESS_APP_DIRECTORY``, for all processes together: a line for each run.
"""

import asyncio
import contextlib
import faulthandler
import functools
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI, Response

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send
from tests.driver import call
from tests.servers import HOST

DEADLINE_SECONDS = 30
"""After this long a scenario prints every thread's stack and ends."""

BODY_BYTES = 100_000
LATE = 77
"""The exit status of a process that did not end in time."""

FEW_FAULTS = "5s"
"""A ``command_timeout`` that two slow cores keep to."""


# --- The application -------------------------------------------------------------------------------------------------


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


# --- Processes that fork ---------------------------------------------------------------------------------------------


def shared_cache(url: str, *, local: bool = False) -> Cache:
    """Without a local tier every lookup is an operation of the runtime's thread."""
    return Cache(url, prefix="programs", local=local, command_timeout=FEW_FAULTS)


def name_of(number: int) -> str:
    return f"value-{number}"


def content_of(number: int) -> bytes:
    return f"content of {number} ".encode() * 20


async def fill(cache: Cache, count: int) -> None:
    stored = await asyncio.gather(*(cache.set(name_of(n), content_of(n), ttl=300) for n in range(count)))
    assert all(stored), f"not stored: {stored.count(False)}, {cache.shared_stats()}"


async def check(cache: Cache, count: int) -> None:
    """Many lookups at once: each gets its own."""
    found = await asyncio.gather(*(cache.get(name_of(n)) for n in range(count)))
    crossed = {n: value for n, value in enumerate(found) if value != content_of(n)}
    assert not crossed, f"in {os.getpid()}: {crossed}, {cache.shared_stats()}"


async def use(cache: Cache, count: int = 64) -> None:
    """All that a process does with a cache: look up, store, remove, invalidate, answer requests."""
    await check(cache, count)
    own = f"own-{os.getpid()}"
    assert await cache.set(own, own.encode(), ttl=300, tags=[own])
    assert await cache.get(own) == own.encode()
    assert await cache.delete(own)
    assert await cache.get(own) is None
    assert await cache.invalidate(tags=[own]) > 0

    handled = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal handled
        handled += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    site = CacheMiddleware(app, cache=cache, ttl=300)
    answers = await asyncio.gather(*(call("GET", f"/{own}").run(site) for _ in range(8)))
    assert {answer.body for answer in answers} == {f"/{own}".encode()}
    assert handled == 1, f"the handler ran {handled} times"


@contextlib.contextmanager
def deadline(seconds: int = DEADLINE_SECONDS) -> Iterator[None]:
    """Ends this process, with every thread's stack, when it is late."""
    timer = threading.Timer(seconds, _late)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _late() -> NoReturn:
    faulthandler.dump_traceback(all_threads=True)
    os._exit(LATE)


def fork(child: Callable[[], None]) -> int:
    """Runs ``child`` in a forked process, which then ends: 0, or 1 with what was raised on standard error."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        with deadline():
            child()
        status = 0
    except BaseException as error:
        sys.stderr.write(f"child {os.getpid()}: {error!r}\n")
    finally:
        sys.stderr.flush()
        os._exit(status)


def join(children: list[int]) -> None:
    """Waits for all; each has to end well."""
    ends = {pid: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children}
    assert not any(ends.values()), f"children ended with {ends}"


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


# --- Processes that end ----------------------------------------------------------------------------------------------


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


def begin(cache: Cache) -> "list[asyncio.Future[object]]":
    """Operations of every kind, on their way; held by the loop."""
    site = CacheMiddleware(endless, cache=cache, ttl=60)
    work = [
        *(cache.get(name_of(n)) for n in range(64)),
        *(cache.set(f"ending-{n}", b"x" * 1000, ttl=60) for n in range(16)),
        *(cache.delete(f"ending-{n}") for n in range(16)),
        cache.invalidate(tags=["ending"]),
        *(call("GET", f"/ending/{n}").run(site) for n in range(16)),
    ]
    return [asyncio.ensure_future(one) for one in work]


def lasting_cache(url: str) -> Cache:
    return Cache(url, prefix="ending", local=False, command_timeout="30s", connect_timeout="30s")


def exits_in_a_coroutine(url: str) -> None:
    async def main() -> None:
        going = begin(lasting_cache(url))
        await asyncio.sleep(0.01)
        assert going
        sys.exit(3)

    asyncio.run(main())


def exits_beside_an_open_loop(url: str) -> None:
    """The loop is neither run on nor closed."""
    loop = asyncio.new_event_loop()

    async def main() -> None:
        going.extend(begin(lasting_cache(url)))
        await asyncio.sleep(0.01)

    going: list[asyncio.Future[object]] = []
    loop.run_until_complete(main())
    sys.exit(4)


def raises(url: str) -> None:
    async def main() -> None:
        going = begin(lasting_cache(url))
        await asyncio.sleep(0)
        assert not going

    try:
        asyncio.run(main())
    except AssertionError:
        sys.exit(5)


def exits_at_once(url: str) -> None:
    async def main() -> None:
        going = begin(lasting_cache(url))
        await asyncio.sleep(0.01)
        assert going
        os._exit(6)

    asyncio.run(main())


def is_interrupted(url: str) -> None:
    # Whoever runs the tests in the background has this signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    async def main() -> None:
        begun = begin(lasting_cache(url))
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.gather(*begun)

    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(7)


def leaves_a_daemon_thread(url: str) -> None:
    """The interpreter ends while another thread's loop starts operations all the time."""
    cache = lasting_cache(url)
    started = threading.Event()

    async def busy() -> None:
        while True:
            going = begin(cache)
            await asyncio.sleep(0)
            started.set()
            await asyncio.sleep(0.001)
            for one in going:
                one.cancel()

    threading.Thread(target=lambda: asyncio.run(busy()), daemon=True).start()
    started.wait()
    sys.exit(8)


def keeps_everything_global(url: str) -> None:
    """Caches, loop and tasks are still there when the interpreter takes modules apart."""
    module = sys.modules[__name__]
    loop = asyncio.new_event_loop()
    cache = lasting_cache(url)

    async def main() -> None:
        module.__dict__["kept"] = (loop, cache, begin(cache))
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    import atexit

    atexit.register(functools.partial(loop.run_until_complete, asyncio.sleep(0.01)))
    sys.exit(9)


SCENARIOS: dict[str, Callable[..., None]] = {
    scenario.__name__: scenario
    for scenario in (
        forked_children,
        forks_in_flight,
        forks_of_forks,
        forks_from_threads,
        orphaned_child,
        multiprocessing_method,
        preloading,
        exits_in_a_coroutine,
        exits_beside_an_open_loop,
        raises,
        exits_at_once,
        is_interrupted,
        leaves_a_daemon_thread,
        keeps_everything_global,
    )
}

if __name__ == "__main__":
    faulthandler.enable()
    with deadline(100):
        SCENARIOS[sys.argv[1]](*sys.argv[2:])
