"""Scenarios of processes that end in the middle of their operations: see ``process_scenarios``."""

import asyncio
import functools
import os
import signal
import sys
import threading

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from tests.driver import call
from tests.process_use import name_of


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
