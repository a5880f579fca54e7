"""Where values are kept, for tests that must not know it: in memory, on Redis, and on a Redis that is down.

A ``Place`` is one process with a cache whose clock is turned by hand; ``Pair`` are two over one Redis. What a load
leaves in the server is written behind the caller's back: ``settle`` waits for it where the next call asks the server.
"""

import asyncio
import gc
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from hotplate import Cache
from hotplate.testing import ManualClock
from tests.driver import START
from tests.fleet import Fleet
from tests.redis_servers import RedisServer, free_port
from tests.waiting import eventually, until

PLACES = ["memory", "redis", "redis without local", "redis down"]
SHARED = ["redis", "redis without local"]


class Product(BaseModel):
    """What most shops sell."""

    id: int
    name: str = "chair"
    price: float = 9.5


@dataclass
class Settings:
    theme: str
    size: int = 10


class Place:
    """One process: ``cache``, and the ``clock`` it reads."""

    def __init__(self, name: str, cache: Cache, clock: ManualClock, fleet: Fleet | None = None) -> None:
        self.name = name
        self.cache = cache
        self.clock = clock
        self.fleet = fleet

    @property
    def is_shared(self) -> bool:
        """Whether values are written for other processes."""
        return self.cache.is_shared

    @property
    def keeps_objects(self) -> bool:
        """Whether a value that was stored comes back as the object it is."""
        return self.name != "redis without local"

    def settle(self) -> None:
        """Waits, and holds up the loop, until what was loaded so far is where the next call looks for it."""
        fleet = self.fleet
        if fleet is not None:
            until(lambda: not fleet.names(":l"), "every lease given back")

    def read_log(self) -> None:
        """Waits until the cache has applied what others have invalidated up to now."""
        fleet, cache = self.fleet, self.cache
        if fleet is not None and any(name.endswith(":head") for name in fleet.names()):
            position = fleet.position
            until(lambda: _seen(cache).position >= position, f"the log read to {position}")


def _seen(cache: Cache) -> Any:
    return cache.shared_stats()


def connected(fleet: Fleet, **settings: Any) -> Cache:
    """A cache that reads the log already."""
    cache = fleet.cache(**settings)
    cache.core.start()
    until(lambda: bool(_seen(cache).up and _seen(cache).certain), f"connected: {_seen(cache)}")
    return cache


def place_of(name: str, redis: Callable[[], RedisServer], **settings: Any) -> Place:
    """A new process of this kind; ``redis`` is asked for only where one is needed."""
    clock = ManualClock(START)
    if name == "memory":
        return Place(name, Cache(clock=clock, **settings), clock)
    if name == "redis down":
        url = f"redis://127.0.0.1:{free_port()}/0"
        return Place(name, Cache(url, prefix="nobody", clock=clock, **settings), clock)
    fleet = Fleet(redis(), local=name == "redis")
    return Place(name, connected(fleet, **settings), fleet.clock, fleet)


class Pair:
    """Two processes over one Redis."""

    def __init__(self, name: str, redis: RedisServer, **settings: Any) -> None:
        fleet = Fleet(redis, local=name == "redis", **settings)
        self.fleet = fleet
        self.clock = fleet.clock
        self.one, self.other = (Place(name, connected(fleet), fleet.clock, fleet) for _ in range(2))

    def __iter__(self) -> Iterator[Place]:
        return iter((self.one, self.other))

    def settle(self) -> None:
        """Waits until what was loaded is in the server, and each has read the whole log."""
        self.one.settle()
        for place in self:
            place.read_log()


class Runs:
    """Counts, and holds up a function until the test lets it go on: ``await runs()`` or ``runs.now()``."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.count = 0
        self._open = asyncio.Event()
        self._open_now = threading.Event()
        if is_open:
            self.open()

    def open(self) -> None:
        """Lets all go on, from here on."""
        self._open.set()
        self._open_now.set()

    def close(self) -> None:
        """Holds up who comes from here on."""
        self._open.clear()
        self._open_now.clear()

    async def __call__(self) -> int:
        """The number of this run, when it may go on."""
        self.count += 1
        number = self.count
        await self._open.wait()
        return number

    def now(self) -> int:
        """As a call, in a thread."""
        self.count += 1
        number = self.count
        assert self._open_now.wait(30), "the test never opened the gate"
        return number

    def reach_and_pass(self) -> int:
        """The number of this run, without a halt."""
        self.count += 1
        return self.count

    async def begun(self, times: int = 1) -> None:
        """Waits until so many runs have begun."""
        await eventually(lambda: self.count >= times, lambda: f"{times} runs begun, not {self.count}")

    def reached(self, times: int = 1) -> None:
        """Waits with this thread until so many runs have begun."""
        until(lambda: self.count >= times, lambda: f"{times} runs begun, not {self.count}")


def numbered(place: Place, runs: Runs, failures: Collection[int] = (), **settings: Any) -> Any:
    """A cached function that gives the number of its run, and raises it where it is one of ``failures``."""

    @place.cache.cached("1m", key="number", tags=["tag"], **settings)
    async def number() -> int:
        run = await runs()
        if run in failures:
            raise LookupError(run)
        return run

    return number


def collected(is_gone: Callable[[], object]) -> bool:
    """Whether something is gone after the garbage collector has run."""
    for _ in range(3):
        gc.collect()
    return bool(is_gone())
