"""The engine of hotplate. Use the package ``hotplate``; this module is its inside."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar, final, overload

from hotplate.asgi import Message, Scope, Send
from hotplate.cache import Cache
from hotplate.headers import RequestHead
from hotplate.objects import CacheInfo, LocalCacheInfo
from hotplate.rules import Duration, Partition, Rule

__all__ = [
    "MISSING",
    "PENDING",
    "Bridge",
    "CacheCore",
    "Claim",
    "Exchange",
    "HttpCache",
    "LocalCache",
    "ManualClock",
    "Memo",
    "Outbox",
    "PolicyCore",
    "Relay",
    "Step",
    "Stored",
    "ValueCore",
    "ValuePlan",
    "ValueStep",
    "WatchCore",
    "after_fork",
    "before_fork",
    "seconds",
]

def seconds(setting: str, value: object) -> float:
    """The seconds of a duration, which there must be."""

def before_fork() -> None:
    """To be called right before a fork, by the thread that forks."""

def after_fork(is_child: bool) -> None:
    """To be called right after a fork, in both processes."""

@final
class Bridge:
    """One for each event loop. ``loop.add_reader(bridge.fileno(), bridge.drain)`` connects it."""

    def __new__(cls) -> Bridge: ...
    def fileno(self) -> int: ...
    def drain(self) -> None: ...
    def flush(self) -> None: ...

@final
class ManualClock:
    """A clock that stands still until it is turned; ``now`` in seconds since 1970."""

    def __new__(cls, now: float = 1_700_000_000.0) -> ManualClock: ...
    def advance(self, seconds: float) -> None: ...
    def now(self) -> float: ...

@final
class CacheCore:
    """The engine behind ``hotplate.Cache``."""

    def __new__(
        cls,
        *,
        max_bytes: int | str,
        clock: ManualClock | None = None,
        url: str | None = None,
        local: bool = True,
        **settings: object,
    ) -> CacheCore: ...
    def start(self) -> None: ...
    def only_look(self) -> None: ...
    def after_fork(self) -> None: ...
    def invalidate(
        self,
        tags: Sequence[str],
        paths: Sequence[str],
        prefixes: Sequence[str],
        keys: Sequence[str],
        soft: bool,
        bridge: Bridge | None = None,
        future: Future[int | None] | None = None,
    ) -> int | None: ...
    def clear(self) -> None: ...
    def shared_stats(self) -> bytes | None: ...
    def stats(self) -> dict[str, Any]: ...

@final
class PolicyCore:
    """What a route's dependency says about its responses; checked when the route is declared."""

    def __new__(
        cls,
        *,
        ttl: Duration | None,
        client_ttl: Duration | None,
        tags: Sequence[str],
        stale_while_revalidate: Duration | None,
        stale_if_error: Duration | None,
        cache: bool,
    ) -> PolicyCore: ...

@final
class Exchange:
    """One run of the application: told every message it sends, it says what the client gets."""

    @property
    def for_all(self) -> bool: ...
    @property
    def passing(self) -> bool: ...
    @property
    def seconds(self) -> float: ...
    @property
    def cache(self) -> Cache: ...
    def fail(self, error: BaseException) -> tuple[Message, Message] | None: ...
    def end(self) -> bool: ...
    def abandon(self) -> None: ...
    def set_aside(self) -> None: ...
    def set_policy(self, policy: PolicyCore, parameters: Mapping[str, str]) -> None: ...
    def load_scope(self, scope: Scope) -> dict[str, Any]: ...
    def give_back(self, of_load: dict[str, Any], scope: Scope) -> None: ...

@final
class Relay:
    """The send channel of an application that runs for one client alone."""

    def __new__(
        cls, exchange: Exchange, send: Send, send_each: Callable[[Send, tuple[Message, ...]], Awaitable[None]]
    ) -> Relay: ...
    def __call__(self, message: Message) -> Awaitable[None]: ...

@final
class Outbox:
    """Where what a load sends waits for its client."""

    def __new__(cls, exchange: Exchange) -> Outbox: ...
    def __len__(self) -> int: ...
    def tell(self, message: Message) -> bool: ...
    @property
    def is_complete(self) -> bool: ...
    def put(self, messages: tuple[Message, ...]) -> None: ...
    def take(self) -> Message | None: ...
    def wait(self, future: Future[None]) -> None: ...
    def close(self) -> None: ...
    def end(self) -> None: ...

@final
class Step:
    """What a lookup found to be done, where that is neither to send two messages nor to run the application."""

    @property
    def kind(self) -> str: ...
    @property
    def exchange(self) -> Exchange: ...
    @property
    def messages(self) -> tuple[Message, Message]: ...
    @property
    def error(self) -> Exception: ...
    @property
    def limit(self) -> int: ...
    def start(self, bridge: Bridge, future: Future[None]) -> bool: ...
    def is_mine(self) -> bool: ...
    def abandon(self) -> None: ...
    def subscribe(
        self, event_loop: AbstractEventLoop, resolve: Callable[[Future[None]], None], future: Future[None]
    ) -> bool: ...

@final
class HttpCache:
    """The HTTP side of a cache: the settings of one middleware."""

    def __new__(
        cls,
        core: CacheCore,
        cache: Cache,
        request_head: type[RequestHead],
        *,
        ttl: Duration | None = ...,
        client_ttl: Duration | None = ...,
        include: Sequence[str] | None = ...,
        exclude: Sequence[str] = ...,
        rules: Sequence[Rule] = ...,
        partition: Partition | None = ...,
        max_body: int = ...,
        allowed_hosts: Sequence[str] | None = ...,
        x_cache: bool = ...,
        profile: str = ...,
        request_directives: str | None = ...,
        jitter: float = ...,
        wait_timeout: Duration = ...,
    ) -> HttpCache: ...
    @property
    def wait_seconds(self) -> float: ...
    def explain(self, scope: Scope) -> str: ...
    def views(self, scope: Scope, partition: str | None = None) -> list[tuple[bytes, bytes | None]]: ...
    def look(
        self,
        scope: Scope,
        partition: str | None = None,
        bridge: Bridge | None = None,
        future: Future[Any] | None = None,
    ) -> Any: ...
    def rule_of(self, method: str, path: str) -> tuple[str | None, str | None]: ...
    def lookup(
        self, scope: Scope, body: bytes | None = None, previous: Step | None = None
    ) -> tuple[Message, Message] | Exchange | Step: ...

PENDING: Final[object]
MISSING: Final[object]
"""What stands where there is no value: ``None`` is one."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_V_co = TypeVar("_V_co", covariant=True)
_D = TypeVar("_D")

class _Keyed(Protocol[_K, _V_co]):
    def keys(self) -> Iterable[_K]: ...
    def __getitem__(self, key: _K, /) -> _V_co: ...

@final
class LocalCache(Generic[_K, _V]):
    """Objects in this process under hashable keys: at most so many, and each for so long.

    Used like a ``dict`` that forgets: what is asked for least goes first when room is needed, and nothing is found
    after its ``ttl``. Safe to use from any number of threads and tasks. Two keys of one hash replace each other.

    ``maxsize``: how many entries there may be; ``None`` with ``max_bytes`` only. ``ttl``: how long an entry lives
    unless it says otherwise, in seconds, as a timedelta, or text such as ``"5m"``, to within a few milliseconds;
    ``None`` for as long as there is room. ``max_bytes``: what all values may take together, by ``weigh(value)``, which
    gives a value's bytes; a value that takes more than 97 % of that is not stored. ``clock``: a
    ``hotplate.testing.ManualClock`` for tests. A setting that cannot be meant raises ``ConfigError``.
    """

    def __new__(
        cls,
        maxsize: int | None = 1024,
        ttl: Duration | None = None,
        *,
        max_bytes: int | str | None = None,
        weigh: Callable[[_V], int] | None = None,
        clock: ManualClock | None = None,
    ) -> LocalCache[_K, _V]: ...
    def __class_getitem__(cls, key: Any) -> Any: ...
    def __getitem__(self, key: _K, /) -> _V: ...
    def __setitem__(self, key: _K, value: _V, /) -> None: ...
    def __delitem__(self, key: _K, /) -> None: ...
    def __contains__(self, key: object, /) -> bool:
        """Whether there is a value. Not a use of it, and not counted."""

    def __len__(self) -> int:
        """How many values there are; walks over all of them if any has an end."""

    def __iter__(self) -> Iterator[_K]: ...
    @overload
    def get(self, key: _K, /, default: None = None) -> _V | None:
        """The value under ``key``, or ``default``."""

    @overload
    def get(self, key: _K, /, default: _V) -> _V: ...
    @overload
    def get(self, key: _K, /, default: _D) -> _V | _D: ...
    def set(self, key: _K, value: _V, /, ttl: Duration | None = None) -> None:
        """Stores a value; ``ttl`` instead of the cache's."""

    @overload
    def setdefault(self: LocalCache[_K, _D | None], key: _K, default: None = None, /) -> _D | None:
        """The value under ``key``, or, if there is none, ``default``, which is stored."""

    @overload
    def setdefault(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def pop(self, key: _K, /) -> _V:
        """Takes the value under ``key`` out. Without one: ``default``, or ``KeyError`` if none was given."""

    @overload
    def pop(self, key: _K, default: _V, /) -> _V: ...
    @overload
    def pop(self, key: _K, default: _D, /) -> _V | _D: ...
    def clear(self) -> None:
        """Takes everything out. What is being loaded is not stored any more. The numbers of ``info`` go on."""

    @overload
    def update(self, other: _Keyed[_K, _V], /) -> None:
        """Stores what ``other``, a mapping or pairs, and the keyword arguments have."""

    @overload
    def update(self, other: Iterable[tuple[_K, _V]], /) -> None: ...
    @overload
    def update(
        self: LocalCache[str, _V], other: _Keyed[str, _V] | Iterable[tuple[str, _V]] | None = None, /, **more: _V
    ) -> None: ...
    def keys(self) -> list[_K]:
        """The keys as they are now, in no order that means anything."""

    def values(self) -> list[_V]:
        """The values as they are now."""

    def items(self) -> list[tuple[_K, _V]]:
        """The pairs of key and value as they are now."""

    def get_or_set(self, key: _K, loader: Callable[[], _V], /, ttl: Duration | None = None) -> _V:
        """The value under ``key``, or what ``loader()`` gives, which is stored.

        Of several threads that ask for one key, one runs its loader and the others wait. What it raises, each of them
        raises, and nothing is stored. What is set, deleted or cleared meanwhile is not overwritten by it.
        """

    async def aget_or_set(self, key: _K, loader: Callable[[], Awaitable[_V]], /, ttl: Duration | None = None) -> _V:
        """As ``get_or_set``, with a loader that is awaited: one load for each key among the tasks of an event loop.

        The load is a task of its own: whoever is cancelled, the others still get its value.
        """

    def _claim(self, key: _K, load: object, ttl: Duration | None, /) -> Claim: ...
    def info(self) -> LocalCacheInfo:
        """The numbers since the cache was made: hits, misses, evictions; and now: size, bytes."""

    def __reduce__(self) -> NoReturn: ...

@final
class Memo:
    """A function, and its results by its arguments."""

    def __new__(
        cls,
        function: Callable[..., Any],
        positional: Sequence[tuple[str | None, tuple[Any, ...]]],
        /,
        *,
        maxsize: int | None,
        ttl: Duration | None,
        weigh: Callable[[Any], int] | None,
        max_bytes: int | str | None,
        typed: bool,
        key: Callable[..., Hashable] | None,
        clock: ManualClock | None,
    ) -> Memo: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    def __get__(self, instance: object, owner: type | None = None, /) -> Any: ...
    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, /) -> Any: ...
    def find_one(self, only: object, /) -> Any: ...
    def claim(self, args: tuple[Any, ...], kwargs: dict[str, Any], load: object, /) -> Claim: ...
    def cache_info(self) -> CacheInfo: ...
    def cache_clear(self) -> None: ...
    def cache_discard(self, *args: Any, **kwargs: Any) -> bool: ...
    def cache_parameters(self) -> dict[str, Any]: ...
    def __reduce__(self) -> str: ...
    def __copy__(self) -> Memo: ...
    def __deepcopy__(self, _memo: object, /) -> Memo: ...

@final
class Claim:
    """A place in the one load of a key.

    ``leads``: the load that was given is the one; run it, then ``store`` or ``release``. ``value``: what a load gave
    meanwhile, or ``MISSING``. ``other``: the load that is under way, to be awaited, or ``None``. Without any of these,
    run alone and ``store``.
    """

    @property
    def leads(self) -> bool: ...
    @property
    def value(self) -> Any: ...
    @property
    def other(self) -> object | None: ...
    def store(self, value: object, /) -> None: ...
    def release(self) -> None: ...
    def outdate(self) -> None: ...
    def joined(self) -> None: ...

@final
class Stored:
    """A value as another process wrote it."""

    @property
    def data(self) -> bytes: ...
    def keep(self, value: object, size: int) -> None: ...
    def reject(self) -> None: ...

@final
class ValuePlan:
    """How the results of one function are kept; and how often it was used."""

    def __new__(
        cls,
        *,
        stale_while_revalidate: Duration | None = None,
        stale_if_error: Duration | None = None,
        refresh_ahead: float | None = None,
        local_only: bool = False,
        lock: bool = True,
    ) -> ValuePlan: ...
    def counts(self) -> tuple[int, int, int, int]: ...

@final
class ValueCore:
    """The values of a cache. A method without ``bridge`` and ``future`` waits, where it has to, with its thread."""

    def __new__(cls, core: CacheCore, coded_only: bool = False) -> ValueCore: ...
    def get(self, name: str, bridge: Bridge | None = None, future: Future[Any] | None = None) -> Any: ...
    def set(
        self,
        name: str,
        value: object,
        size: int | None,
        coded: bytes | None,
        ttl: Duration,
        tags: Sequence[str],
        bridge: Bridge | None = None,
        future: Future[Any] | None = None,
    ) -> Any: ...
    def delete(self, name: str, bridge: Bridge | None = None, future: Future[Any] | None = None) -> Any: ...
    def touch(
        self, name: str, ttl: Duration, bridge: Bridge | None = None, future: Future[Any] | None = None
    ) -> Any: ...
    def tally(
        self, name: str, number: int, ttl: Duration, bridge: Bridge | None = None, future: Future[Any] | None = None
    ) -> Any: ...
    def recall(self, plan: ValuePlan, name: str) -> Any: ...
    def ask(self, plan: ValuePlan, name: str) -> ValueStep: ...
    def load(self, plan: ValuePlan, name: str) -> ValueStep: ...

@final
class ValueStep:
    """What is to be done for a call."""

    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def next_step(self) -> ValueStep | None: ...
    @property
    def data(self) -> bytes: ...
    @property
    def error(self) -> Exception: ...
    def stale_value(self) -> Any: ...
    def start(self, bridge: Bridge, future: Future[None]) -> None: ...
    def subscribe(
        self, event_loop: AbstractEventLoop, resolve: Callable[[Future[None]], None], future: Future[None]
    ) -> bool: ...
    def wait(self, seconds: float | None = None) -> bool: ...
    def resume(self, timed_out: bool = False) -> ValueStep: ...
    def accept(self, value: object, size: int) -> ValueStep: ...
    def reject(self) -> ValueStep: ...
    def finish(self, value: object, size: int, coded: bytes | None, ttl: Duration, tags: Sequence[str]) -> None: ...
    def give(self, value: object) -> None: ...
    def fail(self, error: BaseException) -> Any: ...
    def abandon(self) -> None: ...

@final
class WatchCore:
    """Looks at a cache; what it says is JSON. See ``hotplate.watching``."""

    def __new__(cls, core: CacheCore) -> WatchCore: ...
    def report(self, with_top: bool) -> bytes: ...
    def reports(self, bridge: Bridge | None = None, future: Future[Any] | None = None) -> Any: ...
    def decisions(self, most: int) -> bytes: ...
    def preview(
        self,
        tags: list[str],
        paths: list[str],
        prefixes: list[str],
        keys: list[str],
        everything: bool,
        most: int,
    ) -> bytes: ...
    def views(self, name: str) -> list[tuple[bytes, bytes | None]]: ...
    def look(self, name: str, bridge: Bridge | None = None, future: Future[Any] | None = None) -> Any: ...
