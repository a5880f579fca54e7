"""A running cache, reached on the Redis or Valkey that it is on: the program is one more process of it, for a moment.

It has nothing in memory and answers no requests. What only the application's processes know (their rules, what is in
their memory) it does not, unless the application itself was named.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from hotplate.cli.applications import application
from hotplate.cli.connection import Targets
from hotplate.cli.ends import FOUND, UNREACHABLE, USAGE, End
from hotplate.cli.figures import age_text
from hotplate.stacks import cache_middlewares
from hotplate.watching import Report, summed

__all__ = ["RedisConnection", "cache_at", "cache_of"]

COMMAND_SECONDS = 5.0
"""How long one command may take, unless the URL says."""

CONNECT_SECONDS = 5.0
"""How long the server may take to be there."""

TELL_SECONDS = 2.5
"""How long processes may take to tell their numbers, which they do once a second, and in full while somebody asks."""

_PAUSE_SECONDS = 0.02

T = TypeVar("T")


def cache_at(url: str, prefix: str | None) -> tuple[Cache, list[CacheMiddleware]]:
    """The cache at a URL, with secrets and prefix from the environment; its rules are not known."""
    if url == "memory://":
        raise End(USAGE, f"--url {url}: a cache in memory is reached by --admin only")
    keys = [key for key in os.environ.get("HOTPLATE_ENCRYPTION_KEYS", "").split(",") if key]
    cache = Cache(
        url,
        prefix=prefix or os.environ.get("HOTPLATE_PREFIX"),
        max_bytes="1MiB",
        # No request waits here: an answer that is late is better than none.
        command_timeout=None if "command_timeout=" in url else COMMAND_SECONDS,
        encryption_keys=keys or None,
        signing_key=os.environ.get("HOTPLATE_SIGNING_KEY"),
    )
    return cache, []


def cache_of(name: str) -> tuple[Cache, list[CacheMiddleware]]:
    """The cache before an application, and its middlewares, which have the rules."""
    made = cache_middlewares(application(name))
    shared = [middleware.cache for middleware in made if middleware.cache.is_shared]
    if not shared:
        raise End(USAGE, f"{name} has no cache on Redis: one in memory is reached by --admin only")
    return shared[0], made


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never called."""


class RedisConnection:
    """Asks a cache on Redis, by an event loop of its own."""

    def __init__(self, cache: Cache, middlewares: list[CacheMiddleware]) -> None:
        # What goes wrong is said by this program.
        logging.getLogger("hotplate").addHandler(logging.NullHandler())
        self._cache = cache
        self._knows_rules = bool(middlewares)
        # The cache looks at its middlewares, and does not keep them.
        self._middlewares = middlewares or [CacheMiddleware(_nothing, cache=cache)]
        self._loop = asyncio.new_event_loop()
        cache.core.only_look()  # it is none of the processes whose numbers are shown
        cache.core.start()
        try:
            self._await_server()
        except BaseException:
            self.close()
            raise

    def stats(self) -> dict[str, Any]:
        """As ``Running.stats``; without this process."""
        deadline = time.monotonic() + TELL_SECONDS
        while True:
            others = self._run(self._cache.watch.reports())[1:]
            # The first who asks finds what processes tell while nobody does; one that has just begun has told nothing.
            if (others and all(map(_is_full, others))) or time.monotonic() >= deadline:
                break
            self._run(asyncio.sleep(_PAUSE_SECONDS))
        if not others:
            raise End(FOUND, "no process of this cache is alive: none has told its numbers within ten seconds")
        return {"sum": summed(others), "processes": others}

    def entries(self, *, url: str | None, key: str | None, partition: str | None, body: bool) -> list[dict[str, Any]]:
        """As ``Running.entries``; of what is in Redis."""
        found = self._run(self._cache.watch.entry(url=url, key=key, partition=partition, body=body))
        if not found and key is not None and re.fullmatch(r"[0-9a-f]{32}", key):
            raise End(FOUND, "a response is found by its key in a process that has it: use --admin, or name its URL")
        return [dict(entry) for entry in found]

    def explain(self, url: str) -> str:
        """As ``Running.explain``, where the rules are known.

        This process has nothing in memory: what it would find in the shared tier is said beside.
        """
        if not self._knows_rules:
            raise End(
                USAGE, "what a request would get is for the application's rules to say: use --admin, or --app main:app"
            )
        sentence = self._run(self._cache.watch.explain(url))
        found = self._run(self._cache.watch.entry(url=url))
        stored = [entry for entry in found if entry["kind"] == "response" and entry["valid"]]
        if stored:
            ages = ", ".join(f"age {age_text(entry['age'])}, {age_text(entry['ttl'])} left" for entry in stored)
            sentence += f" In the shared tier there is a response ({ages}), which a request would find there first."
        return sentence

    def preview(self, targets: Targets) -> None:
        """Nothing: this process has nothing in memory."""

    def invalidate(self, targets: Targets, *, soft: bool) -> int:
        """As ``Running.invalidate``. Raises where the server could not be told: this process does not stay to retry."""
        named = {name: targets[name] for name in ("tags", "paths", "prefixes", "keys")}
        if targets["everything"]:
            named = {"prefixes": ["/"]}
        position = self._run(self._cache.invalidate(**named, soft=soft))
        if not position:
            raise End(UNREACHABLE, f"nothing was invalidated: the server could not be told ({self._trouble()})")
        return position

    def close(self) -> None:
        """Ends the connection."""
        self._loop.close()

    def _run(self, question: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(question)

    def _await_server(self) -> None:
        deadline = time.monotonic() + CONNECT_SECONDS
        while (stats := self._cache.shared_stats()) is None or not (stats.up and stats.certain):
            if time.monotonic() >= deadline:
                raise End(UNREACHABLE, f"the server cannot be reached: {self._trouble()}")
            time.sleep(_PAUSE_SECONDS)

    def _trouble(self) -> str:
        stats = self._cache.shared_stats()
        return (stats.trouble if stats else None) or "it does not answer in time"


def _is_full(report: Report) -> bool:
    return not report["entries"] or any(report["top"].values())
