"""The handle of a cache: what an application holds to invalidate, to look at numbers and to set policies."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from hotplate._core import CacheCore, ManualClock
from hotplate.bridges import bridge_of
from hotplate.errors import ConfigError
from hotplate.forking import watch_forks
from hotplate.loads import Loads
from hotplate.rules import Duration

if TYPE_CHECKING:
    from hotplate.fastapi import Policy

__all__ = ["Cache", "SharedStats", "Stats"]

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


@dataclass(frozen=True, slots=True)
class SharedStats:
    """What this process has seen of the shared tier since the cache was made."""

    up: bool
    """Connected, and answering."""
    certain: bool
    """The log of invalidations is being read: what is served from memory is known to be true."""
    server: str | None
    """Who answers, and in which version."""
    trouble: str | None
    """Why it is not connected."""
    epoch: int
    """The log's epoch: changes whenever invalidations may have been lost (a flush, a failover)."""
    position: int
    """The last record of the log this process has applied."""
    hits: int
    """Usable responses and values found in the shared tier."""
    misses: int
    """Lookups there that found nothing usable."""
    stored: int
    """Responses and values written."""
    older: int
    """Writes that found something newer and left it."""
    leases: int
    """Loads this process ran for all."""
    waits: int
    """Lookups that waited for a load of another process."""
    outdated: int
    """Found, and no longer true by the log."""
    behind: int
    """Found before this process had read the log that far, and given up."""
    gaps: int
    """Times the whole log had to be read."""
    epochs: int
    """Times the epoch changed under way."""
    faults: Mapping[str, int]
    """Calls without an answer, by reason: ``down``, ``timeout``, ``lost``, ``refused``, ``garbled``."""
    unreadable: Mapping[str, int]
    """Stored values that are none, by reason: ``version``, ``checksum``, ``unknown-key``, ``forged``, ..."""


class Cache:
    """A cache: in the memory of this process, or shared by many processes and machines on Redis or Valkey.

        cache = Cache("memory://", max_bytes="256MiB")
        cache = Cache("redis://localhost:6379/0", prefix="myapi")

    - ``url``: ``memory://``; ``redis://[user:password@]host:port/db``, ``rediss://`` for TLS,
      ``redis+unix:///path/to.sock``, ``redis+sentinel://host:port,host:port/name``, ``redis+cluster://host:port,host:port``;
      ``valkey`` may be written for ``redis``.
    - ``max_bytes``: bound on everything kept in this process, in bytes or as text such as ``"256MiB"`` (64 MiB).
    - ``clock``: a ``hotplate.testing.ManualClock`` for tests.

    For a shared cache, each also as a parameter of the URL's query (but for the last four):

    - ``prefix``: what every name in the server begins with. Caches with one prefix are one cache.
    - ``command_timeout`` (50 ms), ``connect_timeout`` (1 s): no request waits longer for the server.
    - ``lease`` (3 s): after this long another process loads what a process that died was loading.
    - ``sentinel_username``, ``sentinel_password``, ``ca_file``, ``cert_file``, ``key_file``, ``db``.
    - ``on_outage``: while the server cannot be read, ``"serve-local"``: what this process has, each response for its
      lifetime; or ``"bypass"``: nothing.
    - ``local``: whether this process keeps what it has found in memory too. Without, every lookup asks the server, and
      is not behind an invalidation; requests that wait for one load together are as old as that load.
    - ``encryption_keys``: secrets of 32 bytes as text; the first writes, all read. What is stored is then encrypted,
      and what somebody else wrote there is not used.
    - ``compress_above``: larger responses and values are compressed (zstd) in the server, as ``"16KiB"``.

    One cache may stand behind the middlewares of several applications, and in several threads: they share its room and
    its invalidations, and no responses. Several *processes* on ``memory://`` have a cache each and
    do not see each other's invalidations; on Redis they are one cache.
    """

    def __init__(
        self,
        url: str = "memory://",
        *,
        max_bytes: int | str = 64 * 2**20,
        clock: ManualClock | None = None,
        prefix: str | None = None,
        command_timeout: Duration | None = None,
        connect_timeout: Duration | None = None,
        lease: Duration | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        cert_file: str | PathLike[str] | None = None,
        key_file: str | PathLike[str] | None = None,
        db: int | None = None,
        on_outage: Literal["serve-local", "bypass"] | None = None,
        local: bool | None = None,
        encryption_keys: Sequence[str] | None = None,
        compress_above: int | str | None = None,
    ) -> None:
        shared = {
            "prefix": prefix,
            "command_timeout": command_timeout,
            "connect_timeout": connect_timeout,
            "lease": lease,
            "sentinel_username": sentinel_username,
            "sentinel_password": sentinel_password,
            "ca_file": ca_file,
            "cert_file": cert_file,
            "key_file": key_file,
            "db": db,
            "on_outage": on_outage,
            "encryption_keys": encryption_keys,
            "compress_above": compress_above,
        }
        self.url = url
        self._is_shared = url != "memory://"
        if not self._is_shared:
            given = [name for name, value in {**shared, "local": local}.items() if value is not None]
            if given:
                raise ConfigError(
                    f"{given[0]}=... cannot be used with url='memory://', a cache of this process alone: "
                    "write a URL such as 'redis://localhost:6379/0', or leave it out"
                )
            self.core = CacheCore(max_bytes=max_bytes, clock=clock)
        else:
            shared["on_outage"] = on_outage or "serve-local"
            self.core = CacheCore(url=url, max_bytes=max_bytes, clock=clock, local=local is not False, **shared)
        self.loads = Loads()
        watch_forks(self.core)

    async def invalidate(
        self,
        *,
        tags: Iterable[str] = (),
        paths: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        keys: Iterable[str] = (),
        soft: bool = False,
    ) -> int:
        """Makes stored responses and values untrue, in constant time however many there are.

        - ``tags``: everything stored with one of these tags.
        - ``paths``: every response for exactly these paths: any host, query, variant and partition. A path is as rules
          see it: percent-decoded, without query, without the prefix the application is mounted under.
        - ``prefixes``: every response for these paths and all below (``/products`` covers ``/products/42``); ``/`` is
          everything that is stored, values too.
        - ``keys``: cache keys as 32 hexadecimal digits.
        - ``soft``: mark stale instead: served, at most for its old lifetime, until one refresh has brought an answer.

        What was loaded, or began to load, before this call is not served after it: by this process at once, also while
        it is awaited; by the others within milliseconds. Returns the position of the record in the log, or 0 while
        the shared tier cannot be told: then it is told first thing when it is back. In memory it never waits.
        """
        for name, targets in (("tags", tags), ("paths", paths), ("prefixes", prefixes), ("keys", keys)):
            if isinstance(targets, str):
                raise ConfigError(f"{name}={targets!r} is one text where several are meant: write {name}=[{targets!r}]")
        named = (list(tags), list(paths), list(prefixes), list(keys), soft)
        if not self._is_shared:
            return self.core.invalidate(*named) or 0
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[int | None] = loop.create_future()
        position = self.core.invalidate(*named, bridge_of(loop), acknowledged)
        return (await acknowledged if position is None else position) or 0

    @property
    def is_shared(self) -> bool:
        """Whether other processes have a part in it."""
        return self._is_shared

    async def get(self, key: str) -> bytes | None:
        """The value stored under ``key``, or ``None``.

        From this process's memory without waiting, else from the shared tier. A fault of the shared tier is ``None``.
        """
        if not self._is_shared:
            value = self.core.get(key)
            return None if value is False else value
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes | None] = loop.create_future()
        value = self.core.get(key, bridge_of(loop), found)
        return await found if value is False else value

    async def set(self, key: str, value: bytes, *, ttl: Duration, tags: Iterable[str] = ()) -> bool:
        """Stores bytes under ``key``, in place of what was there, for ``ttl``.

        This process has it at once; every other drops its copy of the one before. Returns whether the shared tier
        has it too (always ``True`` in memory). ``tags`` are for ``invalidate``.
        """
        if isinstance(tags, str):
            raise ConfigError(f"tags={tags!r} is one text where several are meant: write tags=[{tags!r}]")
        if not self._is_shared:
            self.core.set(key, value, ttl, list(tags))
            return True
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[bool] = loop.create_future()
        return await stored if self.core.set(key, value, ttl, list(tags), bridge_of(loop), stored) else False

    async def delete(self, key: str) -> bool:
        """Removes the value under ``key``, for every process. Returns whether the shared tier could be told."""
        if not self._is_shared:
            self.core.delete(key)
            return True
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()
        return await told if self.core.delete(key, bridge_of(loop), told) else False

    def clear(self) -> None:
        """Invalidates everything, for every process, and frees this one's memory. The numbers go on counting."""
        self.core.clear()

    def shared_stats(self) -> SharedStats | None:
        """What this process has seen of the shared tier; ``None`` for a cache in memory."""
        numbers = self.core.shared_stats()
        return None if numbers is None else SharedStats(**numbers)

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
