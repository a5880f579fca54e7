"""The handle of a cache: what an application holds to invalidate, to look at numbers and to set policies."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from hotplate._core import MISSING, PENDING, CacheCore, ManualClock, Stored, ValueCore
from hotplate.bridges import bridge_of
from hotplate.decorators import Cached, Invalidates, WriteThrough
from hotplate.errors import ConfigError
from hotplate.events import Events, Handler
from hotplate.faults import Faults
from hotplate.forking import watch_forks
from hotplate.functions import Call, pending
from hotplate.loads import Loads
from hotplate.namespaces import Namespace
from hotplate.observing import Observing
from hotplate.rules import Duration
from hotplate.stored import StoredValues, as_tags
from hotplate.sync import SyncCache
from hotplate.targets import EVERYTHING, as_targets
from hotplate.texts import several
from hotplate.watching import Watch

if TYPE_CHECKING:
    from hotplate.codecs import Codec
    from hotplate.fastapi import Policy

__all__ = ["Cache", "SharedStats", "Stats"]

T = TypeVar("T")

OF_THE_SERVER = (
    *("prefix", "command_timeout", "connect_timeout", "sentinel_username", "sentinel_password"),
    *("ca_file", "cert_file", "key_file", "db"),
)
"""The settings that lead to the server, beside the URL."""

DRAIN_SECONDS = 10.0
"""How long ``Cache.lifespan`` waits at shutdown for loads that are under way."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Numbers since the cache was made: requests, lookups of values, calls of cached functions, each counted once."""

    hits: int
    """Answered from a fresh stored response or value, waiters of one load included."""
    misses: int
    """Forwarded with the aim of storing the answer; functions that ran; lookups that found nothing."""
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
    refreshes: int
    """Loads that nobody waited for, because something stale was served meanwhile."""
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

    For a shared cache, each also as a parameter of the URL's query (but for the last five):

    - ``prefix``: what every name in the server begins with. Caches with one prefix are one cache. (In memory it says
      nothing, so that one line can serve both.)
    - ``command_timeout`` (50 ms), ``connect_timeout`` (1 s): no request waits longer for the server.
    - ``lease`` (3 s): after this long another process loads what a process that died was loading.
    - ``sentinel_username``, ``sentinel_password``, ``ca_file``, ``cert_file``, ``key_file``, ``db``.
    - ``on_outage``: while the server cannot be read, ``"serve-local"``: what this process has, each response for its
      lifetime; or ``"bypass"``: nothing.
    - ``local``: whether this process keeps what it has found in memory too. Without, every lookup asks the server, and
      is not behind an invalidation; requests that wait for one load together are as old as that load.
    - ``encryption_keys``: secrets of 32 bytes as text; the first writes, all read. What is stored is then encrypted,
      and what somebody else wrote there is not used.
    - ``signing_key``: a secret of 32 bytes or more that signs what codecs write, where entries are not encrypted.
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
        signing_key: str | bytes | None = None,
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
        # What else leads to the server; may hold a password.
        self.server_settings: Mapping[str, Any] = MappingProxyType(
            {name: value for name in OF_THE_SERVER if (value := shared[name]) is not None}
        )
        self._is_shared = url != "memory://"
        if not self._is_shared:
            # A prefix says nothing about a cache that is alone, and one line is to serve both.
            given = [
                name for name, value in {**shared, "local": local}.items() if value is not None and name != "prefix"
            ]
            if given:
                raise ConfigError(
                    f"{given[0]}=... cannot be used with url='memory://', a cache of this process alone: "
                    "write a URL such as 'redis://localhost:6379/0', or leave it out"
                )
            self.core = CacheCore(max_bytes=max_bytes, clock=clock)
        else:
            shared["on_outage"] = on_outage or "serve-local"
            self.core = CacheCore(url=url, max_bytes=max_bytes, clock=clock, local=local is not False, **shared)
        self.values = ValueCore(self.core, self._is_shared and signing_key is not None)
        self.faults = Faults()
        self.observing = Observing()
        self.loads = Loads(self.faults)
        self.stored = StoredValues(self, signing_key, encrypted=bool(encryption_keys))
        self.events = Events(self)
        self._sync = SyncCache(self)
        self._watch = Watch(self)
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
        - ``keys``: the names of values; a response's key as 32 hexadecimal digits.
        - ``soft``: mark stale instead: served, at most for its old lifetime, until one refresh has brought an answer.

        What was loaded, or began to load, before this call is not served after it: by this process at once, also while
        it is awaited; by the others within milliseconds. Returns the position of the record in the log, or 0 while
        the shared tier cannot be told: then it is told first thing when it is back. In memory it never waits.
        """
        named = as_targets(tags, paths, prefixes, keys, soft)
        with self.observing.invalidating(named):
            if not self._is_shared:
                return self.core.invalidate(*named) or 0
            loop = asyncio.get_running_loop()
            acknowledged: asyncio.Future[int | None] = loop.create_future()
            position = self.core.invalidate(*named, bridge_of(loop), acknowledged)
            return (await acknowledged if position is None else position) or 0

    def codec_of(self, function: Callable[..., Any], codec: "str | Codec | None") -> "Codec":
        """The codec for what a function returns."""
        return self.stored.codec_of(function, codec)

    @property
    def is_shared(self) -> bool:
        """Whether other processes have a part in it."""
        return self._is_shared

    # Values under names.

    async def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """The value stored under ``key``, or ``default``.

        From this process's memory without waiting, as the object it is; else from the shared tier. ``type``: what was
        stored there (a model, ``list[Product]``), where it is more than built-in types. A fault of the shared tier, and
        a value that cannot be read as ``type``, is ``default``.
        """
        if not self._is_shared:
            value = self.values.get(key)
        else:
            loop = asyncio.get_running_loop()
            found: asyncio.Future[Any] = loop.create_future()
            value = self.values.get(key, bridge_of(loop), found)
            if value is PENDING:
                value = await found
        if value is MISSING:
            return default
        return self.stored.decoded(value, type, default) if value.__class__ is Stored else value

    async def set(
        self, key: str, value: Any, *, ttl: Duration, tags: Iterable[str] = (), type: Any = None, codec: Any = None
    ) -> bool:
        """Stores a value under ``key``, in place of what was there, for ``ttl``.

        This process has it at once, as the object it is; every other drops its copy of the one before. Returns whether
        the shared tier has it too (always ``True`` in memory). ``tags`` are for ``invalidate``. ``type``, ``codec``:
        how it is written for other processes; see ``cached``. Raises ``EncodeError`` for what would not come back as
        it is.
        """
        return await self.put(key, value, ttl=ttl, tags=tags, codec=self.stored.codec(value, type, codec))

    async def put(self, key: str, value: Any, *, ttl: Duration, tags: Iterable[str], codec: "Codec | None") -> bool:
        """As ``set``, by a codec at hand; ``None``: the bytes themselves."""
        return bool(await self._answer(self.values.set, *self.stored.given(key, value, ttl, tags, codec)))

    async def delete(self, key: str) -> bool:
        """Removes the value under ``key``, for every process. Returns whether the shared tier could be told."""
        return bool(await self._answer(self.values.delete, key))

    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        ttl: Duration,
        tags: Iterable[str] = (),
        type: Any = None,
        codec: Any = None,
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: Duration,
        tags: Iterable[str] = (),
        type: Any = None,
        codec: Any = None,
    ) -> T: ...
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: Duration,
        tags: Iterable[str] = (),
        type: Any = None,
        codec: Any = None,
    ) -> Any:
        """The value under ``key``; where there is none, what ``loader()`` gives, which is stored.

        The loader, sync or async, runs once for all who ask at once, in every process. What it raises is raised.
        """
        results = self.stored.results(ttl, type, codec, loader)

        async def run() -> Any:
            value = loader()
            return await value if inspect.isawaitable(value) else value

        value = results.core.recall(results.plan, key)
        return value if value is not MISSING else await results.find(key, Call(run, as_tags(tags)))

    async def get_many(self, keys: Iterable[str], default: Any = None, *, type: Any = None) -> dict[str, Any]:
        """The values under several keys, by key; asked for in one round trip."""
        names = list(dict.fromkeys(keys))
        values = await asyncio.gather(*(self.get(name, default, type=type) for name in names))
        return dict(zip(names, values, strict=True))

    async def set_many(
        self, values: Mapping[str, Any], *, ttl: Duration, tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """Stores several values. Returns whether the shared tier has them all."""
        tags = several("tags", tags)
        setting = (self.set(key, value, ttl=ttl, tags=tags, type=type) for key, value in values.items())
        return all(await asyncio.gather(*setting))

    async def touch(self, key: str, *, ttl: Duration) -> bool:
        """Has the value under ``key`` live for ``ttl`` from now on. Returns whether there is one."""
        return bool(await self._answer(self.values.touch, key, ttl))

    async def incr(self, key: str, amount: int = 1, *, ttl: Duration) -> int | None:
        """Adds to the counter under ``key``, for every process, and returns what it is then.

        It begins at 0, and again ``ttl`` after its first addition. Counters have names of their own: ``get`` does not
        see them. ``None``: the shared tier could not be told.
        """
        count: int | None = await self._answer(self.values.tally, key, amount, ttl)
        return count

    async def _answer(self, ask: Callable[..., Any], *given: Any) -> Any:
        """What ``ask`` answers: in memory at once, and else when the shared tier has."""
        if not self._is_shared:
            return ask(*given)
        return await pending(lambda bridge, future: ask(*given, bridge, future))

    @property
    def sync(self) -> "SyncCache":
        """The same for code that has no event loop: every method waits with its thread."""
        return self._sync

    def namespace(self, name: str, *, ttl: Duration | None = None) -> "Namespace":
        """A part of the cache: its keys and tags begin with ``name:``, and one call invalidates all of it."""
        return Namespace(self, name, ttl)

    # Functions.

    def cached(
        self,
        ttl: "Duration | Callable[[Any], Duration | None]",
        *,
        key: str | Callable[..., str] | None = None,
        prefix: str | None = None,
        tags: "Sequence[str] | Callable[[Any], Iterable[str]]" = (),
        exclude: Iterable[str] = (),
        stale_while_revalidate: Duration | None = None,
        stale_if_error: Duration | None = None,
        refresh_ahead: float | None = None,
        soft_timeout: Duration | None = None,
        condition: Callable[[Any], object] | None = None,
        codec: "str | Codec | None" = None,
        local_only: bool = False,
        lock: bool = True,
        copy: Literal["deep"] | None = None,
        freeze: bool = False,
    ) -> Cached:
        """A decorator that keeps the results of a function, sync or async.

            @cache.cached("10m", key="product:{product_id}", tags=["products", "product:{product_id}"])
            async def get_product(product_id: int) -> Product | None: ...

        However many call at once, in every process, the function runs once. ``None`` is a result. What raises is raised
        to everybody who waits, and not stored.

        - ``ttl``: for how long a result is fresh; or a function of the result, where ``None`` stores nothing.
        - ``key``: a template over the parameters (``"{self.tenant}:{filters.status}"``), or a function of them.
          Without, module, name and arguments by type. ``prefix`` stands for module and name; ``exclude`` names
          parameters that do not matter, such as a database session.
        - ``tags``: templates over parameters and ``{result.id}``, or a function of the result.
        - ``stale_while_revalidate``: for how long after that a result is used while one call loads it anew.
        - ``stale_if_error``: for how long after that it is used when the function raises.
        - ``refresh_ahead``: the part of the ttl after which a result that is used is loaded anew, such as 0.8.
        - ``soft_timeout``: after this long a stale result is used while the load goes on (async functions).
        - ``condition``: a function of the result: whether it is stored.
        - ``codec``: how results are written for other processes: ``"auto"`` by the return annotation, ``"json"``,
          ``"msgpack"``, ``"pickle"`` (with ``encryption_keys`` or ``signing_key``), or an object with ``encode`` and
          ``decode``. What would not come back as it is raises ``EncodeError``.
        - ``local_only``: results stay in this process, and their invalidations come from all.
        - ``lock``: ``False``: every call that finds nothing runs the function.
        - ``copy="deep"``, ``freeze=True``: without, callers in this process share one object, and must not change it.

        The function gets ``invalidate``, ``refresh``, ``bypass``, ``key`` and ``cache_info``; the first four take its
        arguments.
        """
        return Cached(
            self,
            ttl,
            key=key,
            prefix=prefix,
            tags=tags,
            exclude=exclude,
            stale_while_revalidate=stale_while_revalidate,
            stale_if_error=stale_if_error,
            refresh_ahead=refresh_ahead,
            soft_timeout=soft_timeout,
            condition=condition,
            codec=codec,
            local_only=local_only,
            lock=lock,
            copy=copy,
            freeze=freeze,
        )

    def write_through(
        self,
        ttl: Duration,
        *,
        key: str,
        tags: "Sequence[str] | Callable[[Any], Iterable[str]]" = (),
        codec: "str | Codec | None" = None,
    ) -> WriteThrough:
        """A decorator that stores what a function returns, in place of what was there, after it has succeeded.

            @cache.write_through("10m", key="settings:{user_id}")
            async def save_settings(user_id: int, settings: Settings) -> Settings: ...

        ``key`` and ``tags`` may name ``{result.id}``.
        """
        return WriteThrough(self, ttl, key=key, tags=tags, codec=codec)

    def invalidates(
        self,
        *,
        tags: Iterable[str] = (),
        keys: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        soft: bool = False,
    ) -> Invalidates:
        """A decorator that invalidates after a function has succeeded; templates name parameters and ``{result.id}``.

            @cache.invalidates(tags=["product:{product_id}", "products:list"])
            async def update_product(product_id: int, change: Change) -> Product: ...

        For an endpoint it is a dependency too, whose templates name path parameters:

            @app.put("/products/{id}", dependencies=[Depends(cache.invalidates(tags=["product:{id}"]))])

        """
        return Invalidates(self, soft, tags=tags, keys=keys, prefixes=prefixes)

    # Events.

    def on(
        self,
        event: Hashable,
        *,
        invalidate_tags: Iterable[str] = (),
        invalidate_keys: Iterable[str] = (),
        invalidate_prefixes: Iterable[str] = (),
    ) -> "Callable[[Handler], Handler]":
        """What an event makes untrue; and, as a decorator, who handles it.

            cache.on(ProductEvent.UPDATED, invalidate_tags=["product:{product_id}", "products:list"])

            @cache.on(ProductEvent.UPDATED)
            async def reindex(product_id: int) -> None: ...

        Templates and parameters name what ``emit`` is given. Handlers run in the process that emits.
        """
        self.events.invalidates(event, tags=invalidate_tags, keys=invalidate_keys, prefixes=invalidate_prefixes)
        return lambda handler: self.events.handler(event, handler)

    async def emit(self, event: Hashable, /, **names: object) -> tuple[Exception, ...]:
        """Tells that an event has happened: invalidates for every process, then runs every handler.

        Returns what handlers raised, which is logged; one does not silence the others.
        """
        return await self.events.emit(event, names)

    def clear(self) -> None:
        """Invalidates everything, for every process, and frees this one's memory. The numbers go on counting."""
        with self.observing.invalidating(EVERYTHING):
            self.core.clear()

    @property
    def watch(self) -> Watch:
        """What can be seen of it while it runs: numbers of every process, decisions, what is stored."""
        return self._watch

    def shared_stats(self) -> SharedStats | None:
        """What this process has seen of the shared tier; ``None`` for a cache in memory."""
        text = self.core.shared_stats()
        if text is None:
            return None
        numbers = json.loads(text)
        return SharedStats(**{field.name: numbers[field.name] for field in fields(SharedStats)})

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
