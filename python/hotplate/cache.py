"""The handle of a cache: what an application holds to invalidate, to look at numbers and to set policies."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotplate._core import CacheCore, ManualClock
from hotplate.errors import ConfigError
from hotplate.loads import Loads
from hotplate.rules import Duration

if TYPE_CHECKING:
    from hotplate.fastapi import Policy

__all__ = ["Cache", "Stats"]

DRAIN_SECONDS = 10.0
"""How long ``Cache.lifespan`` waits at shutdown for loads that are under way."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers since the cache was made. Each request is counted once, under what it got."""

    hits: int
    """Answered from a fresh stored response, waiters of one load included."""
    misses: int
    """Forwarded, with the aim of storing the answer."""
    stale: int
    """Answered from a stale stored response: while refreshing, or because the load failed."""
    validated: int
    """Answered from a stored response after the application confirmed it (304)."""
    collapsed: int
    """Requests that waited for another one's load instead of running the handler; each also counts as what it got."""
    stored: int
    """Responses stored."""
    failed_loads: int
    """Loads that ended in an exception or a server error."""
    invalidations: int
    """Records in the invalidation log."""
    evictions: int
    """Stored responses dropped for room."""
    entries: int
    """Stored responses and markers of variants held now."""
    bytes: int
    """Bytes they weigh, index included."""
    max_bytes: int
    """The bound on ``bytes``."""
    bypass: Mapping[str, int]
    """Requests answered without looking for or making a stored response, by reason."""
    not_stored: Mapping[str, int]
    """Responses of misses that could not be stored, by reason."""

    @property
    def hit_rate(self) -> float:
        """Share of requests the cache could have answered that it did answer: 0 to 1."""
        answered = self.hits + self.stale + self.validated
        asked = answered + self.misses
        return answered / asked if asked else 0.0


class Cache:
    """A cache in this process.

        cache = Cache("memory://", max_bytes="256MiB")

    ``url``: ``memory://``. ``max_bytes``: bound on everything stored, in bytes or as text such as ``"256MiB"``
    (default 64 MiB). ``clock``: a ``hotplate.testing.ManualClock`` for tests.

    One cache may stand behind the middlewares of several applications, and in several threads: they share its room and
    its invalidations, and no responses. Several *processes* on ``memory://`` have a cache each and
    do not see each other's invalidations.
    """

    def __init__(
        self, url: str = "memory://", *, max_bytes: int | str = 64 * 2**20, clock: ManualClock | None = None
    ) -> None:
        if url != "memory://":
            raise ConfigError(f"url={url!r} is not a cache this version knows: write 'memory://'")
        self.url = url
        self.core = CacheCore(max_bytes=max_bytes, clock=clock)
        self.loads = Loads()

    async def invalidate(
        self,
        *,
        tags: Iterable[str] = (),
        paths: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        keys: Iterable[str] = (),
        soft: bool = False,
    ) -> int:
        """Makes stored responses untrue, in constant time however many there are.

        - ``tags``: every response stored with one of these tags.
        - ``paths``: every response for exactly these paths: any host, query, variant and partition. A path is as rules
          see it: percent-decoded, without query, without the prefix the application is mounted under.
        - ``prefixes``: every response for these paths and all below (``/products`` covers ``/products/42``).
        - ``keys``: cache keys as 32 hexadecimal digits.
        - ``soft``: mark stale instead: served, at most for its old lifetime, until one refresh has brought an answer.

        What was loaded, or began to load, before this call is not served after it. Returns the position of the
        last record in the log. Asynchronous because a shared tier will need it; in memory it never waits.
        """
        for name, targets in (("tags", tags), ("paths", paths), ("prefixes", prefixes), ("keys", keys)):
            if isinstance(targets, str):
                raise ConfigError(f"{name}={targets!r} is one text where several are meant: write {name}=[{targets!r}]")
        return self.core.invalidate(list(tags), list(paths), list(prefixes), list(keys), soft)

    def clear(self) -> None:
        """Invalidates everything and frees its memory. The numbers go on counting."""
        self.core.clear()

    def stats(self) -> Stats:
        """The numbers of this moment."""
        return Stats(**self.core.stats())

    def policy(
        self,
        *,
        ttl: Duration | None = None,
        client_ttl: Duration | None = None,
        tags: Sequence[str] = (),
        stale_while_revalidate: Duration | None = None,
        stale_if_error: Duration | None = None,
        cache: bool = True,
    ) -> "Policy":
        """A FastAPI dependency that says how the response of one route is cached.

            @app.get("/slow/{name}", dependencies=[Depends(cache.policy(ttl="10m", tags=["slow:{name}"]))])

        It outranks rules and the response's own ``Cache-Control``. ``tags`` may name path parameters.
        ``cache=False`` keeps the response out of the cache.
        """
        from hotplate.fastapi import Policy

        return Policy(
            ttl=ttl,
            client_ttl=client_ttl,
            tags=tags,
            stale_while_revalidate=stale_while_revalidate,
            stale_if_error=stale_if_error,
            cache=cache,
        )

    @asynccontextmanager
    async def lifespan(self, app: Any = None) -> AsyncIterator[None]:
        """A lifespan for FastAPI and Starlette: at shutdown, loads and refreshes under way are waited for."""
        try:
            yield
        finally:
            await self.loads.drain(DRAIN_SECONDS)
