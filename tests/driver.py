"""An ASGI client and an origin to test with: in this process, without a network, with time turned by hand.

``Site`` puts the three together: an origin whose answers are scripted, the cache middleware before it, a clock
that stands still, and a client that sees exactly what the middleware sent: every header line in its order, and
every chunk. The client refuses what no server would accept, so each test also checks the protocol.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send
from hotplate.testing import ManualClock
from tests.responses import Fields
from tests.waiting import turns

Header = tuple[str | bytes, str | bytes]
RawHeader = tuple[bytes, bytes]

START = 1_700_000_000.0
"""Where the clock of a ``Site`` stands at first: Tue, 14 Nov 2023 22:13:20 GMT."""


def raw(headers: Iterable[Header]) -> list[RawHeader]:
    """Header lines as ASGI has them: octets, text in Latin-1. Applications may write names in any case."""

    def octets(text: str | bytes) -> bytes:
        return text if isinstance(text, bytes) else text.encode("latin-1")

    return [(octets(name), octets(value)) for name, value in headers]


@dataclass(frozen=True)
class Response(Fields):
    """What the client got."""

    status: int
    headers: list[RawHeader]
    chunks: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def pairs(self) -> Iterator[tuple[str, str]]:
        for name, value in self.headers:
            yield name.decode("latin-1").lower(), value.decode("latin-1")


@dataclass(frozen=True)
class Reply:
    """One scripted answer of an ``Origin``.

    ``error_before`` is raised instead of an answer, ``error_after`` after the chunks, which then are not the end.
    """

    body: bytes | Sequence[bytes] = b"hello"
    status: int = 200
    headers: Sequence[Header] = ()
    error_before: Exception | None = None
    error_after: Exception | None = None
    trailers: bool = False
    """Whether the answer announces trailer fields."""


Answer = Reply | bytes | Callable[[Scope], Reply | bytes | Awaitable[Reply | bytes]]


class Origin:
    """An ASGI application that counts its runs.

    Without a script it answers ``run 1``, ``run 2``, ... so that two answers are never mistaken for one.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.runs = 0
        self.scopes: list[Scope] = []
        self.bodies: list[bytes] = []

    @property
    def scope(self) -> Scope:
        """The scope of the last run."""
        return self.scopes[-1]

    def seen(self, name: str) -> list[str]:
        """The lines of one request field in the last run."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.scope["headers"] if key == wanted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.runs += 1
        self.scopes.append(scope)
        self.bodies.append(await self._read(receive))
        answer: Any = self.answer
        if answer is None:
            answer = f"run {self.runs}".encode()
        elif callable(answer):
            answer = answer(scope)
            if isinstance(answer, Awaitable):
                answer = await answer
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        if reply.error_before is not None:
            raise reply.error_before
        start: Message = {"type": "http.response.start", "status": reply.status, "headers": raw(reply.headers)}
        if reply.trailers:
            start["trailers"] = True
        await send(start)
        chunks = [reply.body] if isinstance(reply.body, bytes) else list(reply.body)
        for place, chunk in enumerate(chunks, 1):
            more = place < len(chunks) or reply.error_after is not None
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
        if reply.error_after is not None:
            raise reply.error_after

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(parts)
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)


@dataclass
class Call:
    """One request to an application, and what the client has got of its answer so far."""

    scope: Scope
    body: Sequence[bytes] = (b"",)
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._parts = list(self.body)
        self._gone = asyncio.Event()

    def disconnect(self) -> None:
        """Lets the application find that its client has left."""
        self._gone.set()

    async def receive(self) -> Message:
        if self._parts:
            part = self._parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        begun = bool(self.messages)
        ended = begun and self.messages[-1]["type"] == "http.response.body" and not self.messages[-1].get("more_body")
        assert not ended, f"{kind} after the end of the response"
        assert begun == (kind == "http.response.body"), f"{kind} is out of order"
        # As a server does that writes it out at once.
        sent = dict(message)
        if "body" in sent:
            sent["body"] = bytes(sent["body"])
        self.messages.append(sent)

    async def run(self, app: ASGIApp) -> Response:
        await app(self.scope, self.receive, self.send)
        assert self.messages, "there was no response"
        assert not self.messages[-1].get("more_body"), "the response did not end"
        return self.response()

    def response(self) -> Response:
        """What has come so far."""
        start = self.messages[0]
        chunks = [message.get("body", b"") for message in self.messages[1:]]
        for name, value in start["headers"]:
            assert isinstance(name, bytes)
            assert isinstance(value, bytes)
        return Response(start["status"], list(start["headers"]), chunks)


def http_scope(
    method: str,
    target: str | bytes,
    *,
    headers: Iterable[Header] = (),
    host: str | None = "example.test",
    scheme: str = "http",
    root_path: str = "",
    **extra: Any,
) -> Scope:
    """The scope a server makes of a request line and header lines. ``target`` is the raw path and query.

    Names of header lines are put into lower case, as ASGI asks of servers. ``extra`` replaces what is made here.
    """
    octets = target.encode("utf-8") if isinstance(target, str) else target
    path, _, query = octets.partition(b"?")
    lines = [(name.lower(), value) for name, value in raw(headers)]
    if host is not None:
        lines.insert(0, (b"host", host.encode("latin-1")))
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote_to_bytes(path).decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": root_path,
        "headers": lines,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    scope.update(extra)
    return scope


def call(method: str, target: str | bytes, *, body: bytes | Sequence[bytes] = b"", **request: Any) -> Call:
    """A request that is not under way yet."""
    return Call(http_scope(method, target, **request), [body] if isinstance(body, bytes) else body)


class Site:
    """An origin behind the cache middleware. ``settings`` are those of the middleware; ``ttl`` is 60 seconds."""

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        cache: Cache | None = None,
        clock: ManualClock | None = None,
        max_bytes: int | str = "16MiB",
        app: ASGIApp | None = None,
        **settings: Any,
    ) -> None:
        settings.setdefault("ttl", 60)
        self.clock = clock or ManualClock(START)
        self.cache = cache or Cache("memory://", max_bytes=max_bytes, clock=self.clock)
        self.origin = Origin(answer)
        self.app = CacheMiddleware(app or self.origin, cache=self.cache, **settings)

    @property
    def runs(self) -> int:
        """How often the origin has run."""
        return self.origin.runs

    async def request(self, method: str, target: str | bytes, **request: Any) -> Response:
        return await call(method, target, **request).run(self.app)

    async def get(self, target: str | bytes = "/", **request: Any) -> Response:
        return await self.request("GET", target, **request)

    async def hit(self, target: str | bytes = "/", **request: Any) -> Response:
        """The answer from what is stored, which has to be there."""
        response = await self.get(target, **request)
        assert response.hit, response["cache-status"]
        return response

    async def last(self, number: int, target: str | bytes = "/", **request: Any) -> Response:
        """What the last of ``number`` equal requests gets: the first is a miss, the others have to be hits."""
        for _ in range(number - 1):
            await self.get(target, **request)
        response = await self.get(target, **request)
        assert response.hit == (number > 1), response["cache-status"]
        return response

    async def head(self, target: str | bytes = "/", **request: Any) -> Response:
        return await self.request("HEAD", target, **request)

    async def post(self, target: str | bytes = "/", **request: Any) -> Response:
        return await self.request("POST", target, **request)

    async def settle(self) -> None:
        """Lets refreshes that nobody waits for come to their end."""
        await turns()
        await self.cache.loads.drain(5)


async def twice(site: Site, first: dict[str, Any], second: dict[str, Any]) -> tuple[Response, Response]:
    """Two requests, one after the other; each is the arguments of ``Site.request``."""
    return await _one(site, first), await _one(site, second)


async def _one(site: Site, arguments: dict[str, Any]) -> Response:
    rest = dict(arguments)
    return await site.request(rest.pop("method", "GET"), rest.pop("target", "/"), **rest)
