"""Processes that tell each other: an invalidation of hotplate's, and beside it a plain PUBLISH of Redis.

One process is the first; the others ask again and again whether what it did has reached them: without pause, which
keeps every core busy, or with one. All clocks are one: `time.monotonic_ns`.

* `hotplate`: each process has a cache of its own on one Redis, and keeps what it reads in its local tier. The first
  stores a value and, when all others have it in memory, awaits `invalidate(tags=[...])`. The others tell when they
  first did not get it. It may not come back after that, nor a value of an earlier round appear.
* `publish`: the others have subscribed to a channel with redis-py, read it in a task of the same loop, and tell when
  they first find the round's message there.
"""

import asyncio
import importlib
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import uvloop

from hotplate import Cache

PREFIX = "invalidation"
TAG = "tag"
KEY = "value"
CHANNEL = "published"
PATIENCE_SECONDS = 20.0
MORE_CALLS = 20
"""How often a process asks on once it has not got the value: it must not come back."""


# --- A process -------------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], Awaitable[bool]], what: str, pause: float) -> None:
    """Asks again and again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS} s: {what}")
        await asyncio.sleep(pause)


def told_to_go_on() -> None:
    """Says that this process is ready, and waits for a line. The loop waits too: nothing else is to run meanwhile."""
    print("ready", flush=True)
    sys.stdin.readline()


class Participant:
    """What a process does in a round; what it says at the end of it are times, in nanoseconds."""

    def __init__(self, url: str) -> None:
        self._cache = Cache(url, prefix=PREFIX, command_timeout="5s")
        # Of .venv-bench, where no types are checked.
        client: Any = importlib.import_module("redis.asyncio")
        self._redis = client.from_url(url)
        self._channel = self._redis.pubsub(ignore_subscribe_messages=True)
        self._published = b""

    async def invalidates(self, value: bytes, pause: float) -> str:
        """Stores the value and invalidates it: when it called, and when that returned."""
        await until(lambda: self._cache.set(KEY, value, ttl="1h", tags=[TAG]), "a value is stored", pause)
        told_to_go_on()
        called = time.monotonic_ns()
        position = await self._cache.invalidate(tags=[TAG])
        returned = time.monotonic_ns()
        if position == 0:
            raise ValueError("the shared tier was not told")
        return f"{called} {returned}"

    async def misses(self, value: bytes, pause: float) -> str:
        """Says when it first did not get what it has in memory."""

        async def is_there() -> bool:
            found = await self._cache.get(KEY)
            if found not in (None, value):
                raise ValueError(f"a value of an earlier round: {found!r}")
            return found is not None

        async def is_gone() -> bool:
            return not await is_there()

        await until(is_there, "the value is found", pause)
        asked = self._cache.shared_stats()
        if not await is_there() or asked != self._cache.shared_stats():
            raise ValueError("the value was not read from memory")
        print("ready", flush=True)
        await until(is_gone, "the value is not served any more", pause)
        seen = time.monotonic_ns()
        for _ in range(MORE_CALLS):
            if await is_there():
                raise ValueError("an invalidated value came back")
        return str(seen)

    async def publishes(self, value: bytes, pause: float) -> str:
        """Publishes the value: when it called, and when that returned."""
        told_to_go_on()
        called = time.monotonic_ns()
        reached = await self._redis.publish(CHANNEL, value)
        returned = time.monotonic_ns()
        if reached == 0:
            raise ValueError("nobody has subscribed")
        return f"{called} {returned}"

    async def receives(self, value: bytes, pause: float) -> str:
        """Says when it first found the value published."""
        if not self._channel.subscribed:
            await self._channel.subscribe(CHANNEL)
            await self._channel.get_message(timeout=PATIENCE_SECONDS)  # Redis has answered: from here on it is told

        async def is_published() -> bool:
            if self._published not in (b"", value):
                raise ValueError(f"a message of an earlier round: {self._published!r}")
            return self._published == value

        async def read() -> None:
            async for message in self._channel.listen():
                self._published = message["data"]
                return

        self._published = b""
        reading = asyncio.get_running_loop().create_task(read())
        print("ready", flush=True)
        await until(is_published, "the message is there", pause)
        seen = time.monotonic_ns()
        await reading
        return str(seen)

    async def round(self, act: str, value: str, pause: str) -> str:
        """What it is told to do."""
        acts = {
            "invalidates": self.invalidates,
            "misses": self.misses,
            "publishes": self.publishes,
            "receives": self.receives,
        }
        return await acts[act](value.encode(), float(pause))


async def take_part(url: str) -> None:
    """One round for each line `ACT VALUE PAUSE` of standard input."""
    participant = Participant(url)
    for line in sys.stdin:  # nothing else is to run between rounds
        print(await participant.round(*line.split()), flush=True)


# --- All of them -----------------------------------------------------------------------------------------------------


class Process:
    """A process that takes part, driven by lines."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "bench.invalidation", url]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str) -> None:
        """Writes a line to it."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[str]:
        """The words of the line it writes next."""
        assert self._process.stdout is not None
        words = self._process.stdout.readline().split()
        if not words:
            raise RuntimeError("a process ended; what it wrote is above")
        return words

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE_SECONDS)


@dataclass(frozen=True)
class Heard:
    """What one round measured, in milliseconds."""

    call: float
    """From the call to its return."""
    seen: tuple[float, ...]
    """From the call until each of the others saw it."""


def heard(first: Process, others: list[Process], acts: tuple[str, str], value: str, pause: float) -> Heard:
    """One round: what the first does and what the others do."""
    act, reaction = acts
    for participant, what in ((first, act), *((other, reaction) for other in others)):
        participant.tell(f"{what} {value} {pause}")
        participant.answer()
    first.tell("")
    called, returned = map(int, first.answer())
    seen = tuple((int(other.answer()[0]) - called) / 1e6 for other in others)
    return Heard((returned - called) / 1e6, seen)


if __name__ == "__main__":
    uvloop.run(take_part(sys.argv[1]))
