"""The middleware: one line gives an ASGI application a cache.

This module only moves messages. What is stored, served, validated or forwarded, and why, is decided in the
extension ``hotplate._core``; one call of ``lookup`` answers a hit with two ready ASGI messages.
"""

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from hotplate._core import Exchange, HttpCache, Relay, Step
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send
from hotplate.bridges import bridge_of
from hotplate.cache import Cache
from hotplate.deadlines import Deadlines
from hotplate.errors import ConfigError
from hotplate.headers import RequestHead
from hotplate.loads import Load
from hotplate.observing import Lookup, Observer
from hotplate.per_loop import PerLoop
from hotplate.rules import Duration, Partition, Rule
from hotplate.waiters import wake

__all__ = ["CacheMiddleware"]

_WAITS = frozenset({"wait", "seek", "need-body"})
"""Steps after which a request is looked up once more."""


class CacheMiddleware:
    """Caches the responses of an ASGI application.

        app.add_middleware(CacheMiddleware, ttl=30)

    Every argument is keyword-only and checked here; ``ConfigError`` names the setting, its value and the remedy.

    - ``cache``: the ``Cache`` to use; without it one is made in memory, of ``max_bytes``.
    - ``ttl``: freshness lifetime of responses that say nothing themselves: seconds, a ``timedelta``, or text such
      as ``"5m"``. Without it only what responses allow by ``Cache-Control`` or ``Expires`` is stored.
    - ``client_ttl``: lifetime told to clients in ``Cache-Control`` and ``Expires``.
    - ``include``, ``exclude``: path prefixes (``/admin``) and globs (``/static/*.js``); ``exclude`` wins.
    - ``rules``: a sequence of ``Rule``; the first that matches speaks.
    - ``partition``: who may share a stored response; see ``hotplate.rules.Partition``.
    - ``max_body``: larger bodies (bytes) pass through and are not stored.
    - ``allowed_hosts``: only requests for these hosts are cached; ``*.example.org`` covers all below it.
    - ``x_cache``: also send ``X-Cache``.
    - ``profile``: ``"safe"``, or ``"rfc9111"`` for the letter of the RFC.
    - ``request_directives``: whether the request's own ``Cache-Control`` is honoured (``"honor"``) or not
      (``"ignore"``, the default of ``safe``). ``no-store`` in a request always keeps its response out.
    - ``jitter``: shortens each lifetime by a random part of up to this fraction.
    - ``wait_timeout``: how long a request waits for another one's load of the same key before it is forwarded.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        cache: Cache | None = None,
        ttl: Duration | None = None,
        client_ttl: Duration | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        rules: Sequence[Rule] = (),
        partition: Partition | None = None,
        max_body: int = 8 * 2**20,
        allowed_hosts: Sequence[str] | None = None,
        x_cache: bool = False,
        profile: Literal["safe", "rfc9111"] = "safe",
        request_directives: Literal["honor", "ignore"] | None = None,
        jitter: float = 0.0,
        wait_timeout: Duration = 60,
        max_bytes: int | str | None = None,
    ) -> None:
        if cache is not None and max_bytes is not None:
            raise ConfigError("max_bytes is a setting of the cache: give it to Cache(...) instead of the middleware")
        if cache is None:
            cache = Cache() if max_bytes is None else Cache(max_bytes=max_bytes)
        elif not isinstance(cache, Cache):
            raise ConfigError(f"cache={cache!r} is not a Cache: write Cache('memory://')")
        if hasattr(rules, "__iter__"):
            rules = tuple(rules)  # asked for later too
        self.app = app
        self.cache = cache
        self.settings: Mapping[str, Any] = MappingProxyType(
            {
                "ttl": ttl,
                "client_ttl": client_ttl,
                "include": include,
                "exclude": exclude,
                "rules": rules,
                "partition": partition,
                "max_body": max_body,
                "allowed_hosts": allowed_hosts,
                "x_cache": x_cache,
                "profile": profile,
                "request_directives": request_directives,
                "jitter": jitter,
                "wait_timeout": wait_timeout,
            }
        )
        http = HttpCache(cache.core, cache, RequestHead, **self.settings)
        self._http = http
        wait_seconds = http.wait_seconds
        self._deadlines = PerLoop(lambda _loop: Deadlines(wait_seconds))
        cache.watch.add(http)
        cache.observing.add(self)

    def rule_of(self, method: str, path: str) -> tuple[Rule | None, str | None]:
        """The rule that speaks for requests with this method and path, as the engine finds it.

        ``None`` for the settings of the middleware themselves. And in one word why such a request is not cached
        whatever its fields say (``"excluded"``, ``"method"``, ``"rule-no-store"``), or ``None``.
        """
        pattern, reason = self._http.rule_of(method, path)
        if pattern is None:
            return None, reason
        wanted = "GET" if method == "HEAD" else method
        # Of several with one pattern, the first that names the method.
        return next(rule for rule in self.settings["rules"] if rule.pattern == pattern and _names(rule, wanted)), reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request from the cache, or runs the application. Lifespan and WebSocket pass untouched."""
        if scope["type"] != "http" or ("hotplate" in scope and self._is_inside(scope)):
            if scope["type"] == "lifespan":
                self._start()
            await self.app(scope, receive, send)
            return
        try:
            found = self._lookup(scope)
        except Exception as error:
            # A fault of the cache is not a fault of the service.
            self._report(error, scope)
            await self.app(scope, receive, send)
            return
        if isinstance(found, tuple):
            await send(found[0])
            await send(found[1])
        elif isinstance(found, Exchange):
            await self._run(found, scope, receive, send)
        else:
            await self._conduct(found, scope, receive, send)

    def observe(self, observer: Observer | None) -> None:
        """Has an observer see requests and loads from here on, or nobody; called by the cache."""
        lookup: Lookup = self._http.lookup
        self._observer = observer
        self._lookup = lookup if observer is None else observer.lookup(lookup)

    def _start(self) -> None:
        try:
            self.cache.core.start()  # connected by the time the first request comes
        except Exception as error:
            self.cache.faults.report("start", "the shared tier cannot be reached from this process", error=error)

    def _is_inside(self, scope: Scope) -> bool:
        """Whether a middleware of the same cache stands outside: what it loads must not wait for itself."""
        exchange = scope["hotplate"]
        return isinstance(exchange, Exchange) and exchange.cache is self.cache

    def _report(self, error: Exception, scope: Scope) -> None:
        text = "a request could not be looked up and is forwarded"
        self.cache.faults.report("lookup", text, error=error, path=scope.get("path"))

    async def _conduct(self, step: Step, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for what is to be waited for, until it is known who answers."""
        body: bytes | None = None
        while (kind := step.kind) in _WAITS:
            if kind == "need-body":
                body, early = await _read_body(receive, step.limit)
                receive = _replay(early, receive)
            else:
                await self._wait(step, kind)
            try:
                found = self._lookup(scope, body, step)
            except Exception as error:
                self._report(error, scope)
                await self.app(scope, receive, send)
                return
            if isinstance(found, tuple):
                await _send_each(send, found)
                return
            if isinstance(found, Exchange):
                await self._run(found, scope, receive, send, body)
                return
            step = found
        if self._observer is None:
            app = self.app
        else:
            app, send = self._observer.answering(kind, self.app, send)
        if kind == "raised":
            raise step.error
        refresh = Load(app, step.exchange, scope, body, None)
        asyncio.get_running_loop().call_soon(self.cache.loads.start_refresh, refresh, step)
        await _send_each(send, step.messages)

    async def _wait(self, step: Step, kind: str) -> None:
        """Waits for the shared tier, or for the load this step stands behind; for that at most ``wait_timeout``."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        if kind == "wait":
            self.cache.loads.give_up_closed()
        if not (step.start(bridge_of(loop), ended) if kind == "seek" else step.subscribe(loop, wake, ended)):
            return
        deadlines = self._deadlines.of(loop)
        deadlines.add(loop, ended)
        try:
            await ended
        except BaseException:
            step.abandon()
            raise
        finally:
            deadlines.remove(ended)

    def _run(
        self, exchange: Exchange, scope: Scope, receive: Receive, send: Send, body: bytes | None = None
    ) -> Awaitable[None]:
        """Runs the application: on a task of the cache's own where others may wait for the answer, else on this one."""
        app = self.app
        if self._observer is not None:
            app, send = self._observer.answering("load" if exchange.for_all else "forward", app, send)
        if not exchange.for_all:
            return _forward(app, exchange, scope, receive, send)
        load = Load(app, exchange, scope, body, receive)
        self.cache.loads.start(load)
        return load.lead(send)


async def _forward(app: ASGIApp, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
    """Runs the application for this client alone, on the client's own task."""
    scope["hotplate"] = exchange
    try:
        await app(scope, receive, Relay(exchange, send, _send_each))
    except Exception as error:
        stale = exchange.fail(error)
        if stale is None:
            raise
        await _send_each(send, stale)
    except BaseException:
        exchange.abandon()
        raise
    else:
        exchange.end()


async def _send_each(send: Send, messages: tuple[Message, ...]) -> None:
    for message in messages:
        await send(message)


def _names(rule: Rule, method: str) -> bool:
    """Whether a rule speaks for a method; ``HEAD`` counts as ``GET``."""
    named = [name.upper() for name in rule.methods] or ["GET"]
    return method in named or (method == "GET" and "HEAD" in named)


async def _read_body(receive: Receive, limit: int) -> tuple[bytes | None, list[Message]]:
    """The whole request body if it is at most ``limit`` bytes, else ``None``; and the messages read so far."""
    early: list[Message] = []
    size = 0
    while True:
        message = await receive()
        early.append(message)
        if message["type"] != "http.request":
            return None, early
        size += len(message.get("body", b""))
        if size > limit:
            return None, early
        if not message.get("more_body"):
            return b"".join(part.get("body", b"") for part in early), early


def _replay(early: list[Message], receive: Receive) -> Receive:
    """A receive channel that gives the messages already read once more, then the rest."""

    async def replay() -> Message:
        return early.pop(0) if early else await receive()

    return replay


# Some ask whether a send channel is a coroutine function.
if sys.version_info >= (3, 12):
    inspect.markcoroutinefunction(Relay)
else:
    Relay._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001
