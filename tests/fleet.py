"""Several caches over one Redis, each as it would be in a process of its own, and what stands in that Redis.

A ``Node`` is one process: a cache with its own connection and its own memory, an origin, the middleware, a client.
A ``Fleet`` makes nodes over one server under one prefix that no other test uses. The clock of all is turned by hand,
as that of a ``Site``; Redis keeps its own time, so what has a lifetime of a minute is still there after the test has
turned the clock by an hour, unless the cache refuses it.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from hotplate import Cache
from hotplate.testing import ManualClock
from tests.driver import START, Answer, Reply, Response, Site
from tests.redis_servers import RedisServer
from tests.waiting import eventually

_numbers = itertools.count(1)


class Gate:
    """A handler's answer that waits until the test lets it go on. ``started`` counts who has come to it."""

    def __init__(self, reply: Reply | bytes = b"slow") -> None:
        self.reply = reply
        self.started = 0
        self._open = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def __call__(self, scope: object) -> Reply | bytes:
        self.started += 1
        await self._open.wait()
        return self.reply

    async def reached(self, times: int = 1) -> None:
        """Waits until so many handlers stand here."""
        await eventually(lambda: self.started >= times, f"{times} handlers at the gate")


class Node(Site):
    """One process of a fleet."""

    @property
    def seen(self) -> Any:
        """What it has seen of the shared tier."""
        return self.cache.shared_stats()

    async def ready(self) -> "Node":
        """Waits until it is connected and reads the log."""
        self.cache.core.start()
        await eventually(lambda: self.seen.up and self.seen.certain, f"connected: {self.seen}")
        return self

    async def shares(self, number: int) -> None:
        """Waits until it has written so many responses and values since it was made."""
        await eventually(lambda: self.seen.stored >= number, f"{number} written: {self.seen}")

    async def reads_to(self, position: int) -> None:
        """Waits until it has applied the log up to this position."""
        await eventually(lambda: self.seen.position >= position, f"the log read to {position}: {self.seen}")


class Fleet:
    """Processes over one Redis. ``settings`` are those of every node's cache."""

    def __init__(self, redis: RedisServer, **settings: Any) -> None:
        self.redis = redis
        self.clock = ManualClock(START)
        self.prefix = f"fleet{next(_numbers)}"
        # Longer than any pause of a test machine: how faults are met is tested elsewhere.
        self.settings = {"command_timeout": 10, **settings}

    def cache(self, **settings: Any) -> Cache:
        """A cache that is not connected yet."""
        given = {"prefix": self.prefix, "clock": self.clock, "max_bytes": "16MiB", **self.settings, **settings}
        return Cache(self.redis.url, **given)

    async def node(self, answer: Answer | None = None, *, cache: Cache | None = None, **settings: Any) -> Node:
        """A process that is connected. ``settings`` are those of the middleware."""
        return await Node(answer, cache=cache or self.cache(), clock=self.clock, **settings).ready()

    async def nodes(self, number: int, answer: Answer | None = None, **settings: Any) -> list[Node]:
        """So many processes of one program. Without ``answer`` each origin says which it is and which run it was."""
        return [
            await self.node(signed(f"node {place}") if answer is None else answer, **settings)
            for place in range(number)
        ]

    # What stands in the server.

    def names(self, kind: str = "") -> list[str]:
        """The names of this fleet's keys that end in ``kind``: ``:v`` are the values, ``:l`` the leases."""
        with self.redis.connect() as connection:
            keys = connection.command("KEYS", f"{self.prefix}:*")
        assert isinstance(keys, list)
        return sorted(str(key) for key in keys if str(key).endswith(kind))

    def values(self) -> dict[str, bytes]:
        """Everything stored under a cache key, as it stands there."""
        return {name: self.read(name) for name in self.names(":v")}

    def read(self, name: str) -> bytes:
        """The octets under a name."""
        value = self.redis.command("GET", name)
        assert isinstance(value, str)
        return value.encode(errors="surrogateescape")

    def write(self, name: str, value: bytes) -> None:
        """Replaces the octets under a name; what is left of their time stays."""
        self.redis.command("SET", name, value, "KEEPTTL")

    @property
    def position(self) -> int:
        """The last record in the log."""
        return int(self.read(f"{self.prefix}:{{log}}:head").partition(b":")[2])

    def dump(self) -> bytes:
        """Every octet in the server, names included: to look for what must not be there."""
        parts: list[str] = []
        with self.redis.connect() as connection:
            for name in self.names():
                kind = str(connection.command("TYPE", name))
                read: dict[str, list[str]] = {
                    "string": ["GET", name],
                    "hash": ["HGETALL", name],
                    "stream": ["XRANGE", name, "-", "+"],
                }
                # A lease that was given back meanwhile is none.
                parts += [name, _flat(connection.command(*read[kind])) if kind in read else kind]
        return "\n".join(parts).encode(errors="surrogateescape")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[list[str]]:
        """The commands for keys that the processes send inside, complete at the end. Reading the log is none."""
        commands: list[str] = []
        names = re.compile(rf'"{self.prefix}:{{[0-9a-f]{{32}}}}')
        with self.redis.connect() as watching:
            watching.command("MONITOR")
            yield commands
            end = f"end of what {self.prefix} asks"
            self.redis.command("ECHO", end)
            while end not in (line := str(watching._reply())):
                # What a script does is marked so; it is the one command that called it.
                if names.search(line) and " lua]" not in line:
                    commands.append(line)

    @asynccontextmanager
    async def asks(self, number: int) -> AsyncIterator[None]:
        """Inside, the processes send exactly so many commands for keys. Begins when no load is under way."""
        await eventually(lambda: not self.names(":l"), "every lease given back")
        async with self.watched() as commands:
            yield
        assert len(commands) == number, commands


def _flat(reply: object) -> str:
    if isinstance(reply, list):
        return "\n".join(_flat(part) for part in reply)
    return str(reply)


def signed(name: str) -> Callable[[object], bytes]:
    """An answer that says who gave it, and which run it was."""
    runs = itertools.count(1)
    return lambda scope: f"{name}, run {next(runs)}".encode()


def total(nodes: Iterable[Site]) -> int:
    """How often the handlers of these have run."""
    return sum(node.runs for node in nodes)


async def bodies(nodes: Iterable[Site], target: str = "/", **request: Any) -> set[bytes]:
    """What each of these answers, one after another."""
    return {(await node.get(target, **request)).body for node in nodes}


def without(response: Response, *names: str) -> list[tuple[bytes, bytes]]:
    """Its header lines in order, but for these."""
    left_out = {name.encode() for name in names}
    return [(name, value) for name, value in response.headers if name.lower() not in left_out]
