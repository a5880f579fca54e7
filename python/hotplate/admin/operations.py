"""What the admin API does: one function for each request, without a framework.

Each takes the cache and what is ``Asked``, and returns an ``Answer`` or raises ``Unanswerable``; who may ask has been
found out before. The first line of its docstring is its summary in the OpenAPI schema, the rest its description.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotplate.admin.answers import Answer, Unanswerable, json_answer
from hotplate.admin.auth import Refusals
from hotplate.admin.questions import Asked, Lookup, Targets, most_of, query_of, url_of
from hotplate.errors import ConfigError
from hotplate.metrics import CONTENT_TYPE, scrape
from hotplate.watching import summed

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["OPERATIONS", "Operation"]


async def stats(cache: "Cache", _asked: Asked) -> Answer:
    """The numbers of the cache: of each process, and their sum.

    `processes` has one report of each process that is alive; a cache in memory has one, its own. `auth_failures` are
    the requests that this process has refused for want of a valid token.
    """
    reports = await cache.watch.reports()
    return json_answer({"sum": summed(reports), "processes": reports, "auth_failures": Refusals.of(cache).count})


async def entry(cache: "Cache", asked: Asked) -> Answer:
    """What is stored for a URL, all variants, or under a key.

    First what this process has in memory, then what the shared tier has. The body of an entry (base64) is there with
    `body=true` only, and that of a partitioned entry only if its `partition` is named too.
    """
    wanted = Lookup.of(asked)
    found = await cache.watch.entry(url=wanted.url, key=wanted.key, partition=wanted.partition, body=wanted.body)
    return json_answer({"entries": found})


async def explain(cache: "Cache", asked: Asked) -> Answer:
    """What a GET for a URL would get now, and why, in one sentence."""
    url = url_of(asked)
    return json_answer({"sentence": await cache.watch.explain(url)})


async def decisions(cache: "Cache", asked: Asked) -> Answer:
    """The last decisions of this process, newest first, each with a sentence that explains it.

    Hits are recorded for a minute after somebody has asked; everything else always.
    """
    most = most_of(asked)
    return json_answer({"decisions": cache.watch.decisions(most)})


async def preview(cache: "Cache", asked: Asked) -> Answer:
    """What an invalidation would match in the memory of this process. Changes nothing."""
    targets = Targets.of(asked.body, soft=False)
    # It looks at everything that is stored, which can be much.
    return json_answer(
        await asyncio.to_thread(
            cache.watch.preview,
            tags=targets.tags,
            paths=targets.paths,
            prefixes=targets.prefixes,
            keys=targets.keys,
            everything=targets.everything,
        )
    )


async def invalidate(cache: "Cache", asked: Asked) -> Answer:
    """Makes stored responses and values untrue, in every process.

    By tag, path, prefix, key, or all of them; `soft` marks them stale instead: they are served until one refresh has
    brought an answer. `position` is that of the record in the log of invalidations, or 0 while the shared tier cannot
    be told: then it is told first thing when it is back.
    """
    targets = Targets.of(asked.body, soft=True)
    if targets.everything:
        if not targets.soft:
            cache.clear()  # frees the memory of this process; the other call waits for the position and tells it
        position = await cache.invalidate(prefixes=["/"], soft=targets.soft)
    else:
        position = await cache.invalidate(
            tags=targets.tags, paths=targets.paths, prefixes=targets.prefixes, keys=targets.keys, soft=targets.soft
        )
    return json_answer({"position": position})


async def metrics(cache: "Cache", asked: Asked) -> Answer:
    """The numbers as Prometheus reads them.

    Of every process that shares the cache, whichever answers; with `processes=own` of the one that answers, for
    scrapers that ask each of them.
    """
    processes: Any = asked.query.get("processes", "all")
    return Answer((await scrape(cache, processes=processes)).encode(), CONTENT_TYPE)


@dataclass(frozen=True)
class Operation:
    """One request of the API."""

    method: str
    path: str
    run: Callable[["Cache", Asked], Awaitable[Answer]]
    parameters: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Its name, such as ``stats``."""
        return self.run.__name__

    async def answer(self, cache: "Cache", query: bytes, body: bytes, origin: str) -> Answer:
        """Answers; what cannot be answered is an answer too."""
        try:
            return await self.run(cache, Asked(query_of(query, self.parameters), body, origin))
        except Unanswerable as error:
            return error.answer()
        except ConfigError as error:
            return Unanswerable(str(error)).answer()


OPERATIONS: Sequence[Operation] = (
    Operation("GET", "/stats", stats),
    Operation("GET", "/entry", entry, Lookup.PARAMETERS),
    Operation("GET", "/explain", explain, ("url",)),
    Operation("GET", "/decisions", decisions, ("most",)),
    Operation("POST", "/preview", preview),
    Operation("POST", "/invalidate", invalidate),
    Operation("GET", "/metrics", metrics, ("processes",)),
)
