"""What the call of an invalidation takes in process, by how much is stored: by tag and by prefix."""

import asyncio
import time

from bench.figures import Row, Table, in_turns, rows
from bench.in_process import receive, request, send
from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import Receive, Scope, Send

FEW, MANY = 1_000, 1_000_000
SECTIONS = 1_000
"""So many tags, each on its part of the values; and so many prefixes, each of one response."""

NAMES = {
    "hotplate-tag-1k": f"by tag, {FEW:,} entries",
    "hotplate-tag": f"by tag, {MANY:,} entries",
    "hotplate-prefix-1k": f"by prefix, {FEW:,} entries",
    "hotplate-prefix": f"by prefix, {MANY:,} entries",
}


class Stored:
    """A cache in memory with so many entries: values with a tag each, and one response for each prefix."""

    def __init__(self, entries: int) -> None:
        self.cache = Cache("memory://", max_bytes="4GiB")
        self._values = entries
        self._runs = 0
        rules = [Rule("/section/{number}/*", ttl=3600)]
        self._app = CacheMiddleware(self._answers, cache=self.cache, rules=rules)
        for number in range(entries):
            self.cache.sync.set(f"value:{number}", b"value", ttl=3600, tags=[f"section:{number % SECTIONS}"])
        self._by_tag = self._by_prefix = 0
        asyncio.run(self._ask(range(SECTIONS)))
        stored = self.cache.stats()
        if self._runs != SECTIONS or stored.entries < entries or stored.evictions:
            raise SystemExit(f"not everything was stored: {stored}")

    def by_tag(self) -> float:
        """Microseconds of one call, each for another tag."""
        tag = f"section:{self._by_tag}"
        self._by_tag += 1
        began = time.perf_counter_ns()
        self.cache.sync.invalidate(tags=[tag])
        return (time.perf_counter_ns() - began) / 1e3

    def by_prefix(self) -> float:
        """Microseconds of one call, each for another prefix."""
        prefix = f"/section/{self._by_prefix}"
        self._by_prefix += 1
        began = time.perf_counter_ns()
        self.cache.sync.invalidate(prefixes=[prefix])
        return (time.perf_counter_ns() - began) / 1e3

    def verify(self) -> None:
        """That of what was invalidated nothing is served, and of the rest everything."""
        for number in range(self._values):
            found = self.cache.sync.get(f"value:{number}")
            if (found is None) != (number % SECTIONS < self._by_tag):
                raise SystemExit(f"value:{number} is {found!r} after {self._by_tag} tags were invalidated")
        for numbers, runs in (
            (range(self._by_prefix, SECTIONS), 0),
            (range(self._by_prefix), self._by_prefix),
        ):
            before = self._runs
            asyncio.run(self._ask(numbers))
            if self._runs - before != runs:
                raise SystemExit(f"the handler ran {self._runs - before} times and not {runs}")

    async def _ask(self, numbers: range) -> None:
        """Asks for one response of each of these prefixes."""
        for number in numbers:
            await self._app(request(f"/section/{number}/page"), receive, send)

    async def _answers(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._runs += 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"a page"})


def calls(rounds: int) -> Table:
    """The table; at most as many rounds as there are tags."""
    few, many = Stored(FEW), Stored(MANY)
    contenders = {
        "hotplate-tag-1k": few.by_tag,
        "hotplate-tag": many.by_tag,
        "hotplate-prefix-1k": few.by_prefix,
        "hotplate-prefix": many.by_prefix,
    }
    found: list[Row] = rows(in_turns(contenders, rounds), NAMES)
    few.verify()
    many.verify()
    note = "Budget: under 1 ms over a million entries. Microseconds of one call of `cache.sync.invalidate`, in memory."
    return Table("call", "The call, by how much is stored", "µs", False, found, note)
