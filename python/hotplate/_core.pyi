"""The engine of hotplate. Use the package ``hotplate``; this module is its inside."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from hotplate.asgi import Message, Scope
from hotplate.cache import Cache
from hotplate.headers import RequestHead
from hotplate.rules import Duration, Partition, Rule

__all__ = [
    "MISSING",
    "PENDING",
    "Bridge",
    "CacheCore",
    "Exchange",
    "HttpCache",
    "ManualClock",
    "Mark",
    "PolicyCore",
    "Step",
    "Stored",
    "ValueCore",
    "ValuePlan",
    "ValueStep",
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
    def shared_stats(self) -> dict[str, Any] | None: ...
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
    def recording(self) -> bool: ...
    @property
    def passing(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    @property
    def decided(self) -> bool: ...
    @property
    def cache(self) -> Cache: ...
    def message(self, message: Message) -> tuple[Message, ...] | None: ...
    def fail(self, error: BaseException) -> tuple[Message, Message] | None: ...
    def end(self) -> bool: ...
    def abandon(self) -> None: ...
    def set_policy(self, policy: PolicyCore, parameters: Mapping[str, str]) -> None: ...
    def load_scope(self, scope: Scope) -> dict[str, Any]: ...

@final
class Step:
    """What a lookup found to be done, where that is more than sending two messages."""

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
    def lookup(
        self, scope: Scope, body: bytes | None = None, previous: Step | None = None
    ) -> tuple[Message, Message] | Step: ...

@final
class Mark:
    """What stands for a value where there is none, or none yet."""

    Missing: Mark
    Pending: Mark
    def __int__(self) -> int: ...

MISSING: Mark
PENDING: Mark

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

    def __new__(cls, core: CacheCore) -> ValueCore: ...
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
