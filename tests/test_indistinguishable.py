"""An application behind the cache is the application: a property, over generated applications and conversations.

An application that always answers the same to the same request, until somebody writes to it, is asked the same
things with and without the cache before it. What a client gets must not differ, but for ``Age``, ``ETag``,
``Cache-Status``, the ``Content-Length`` of a body that was streamed, and time.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send
from hotplate.testing import ManualClock
from tests.driver import START, http_scope

LAST_MODIFIED = "Mon, 01 Jan 2018 00:00:00 GMT"
MAY_DIFFER = {b"age", b"cache-status", b"x-cache"}
NOT_MODIFIED_FIELDS = {b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary"}

# The application.


@dataclass(frozen=True)
class Page:
    """How one path answers. Everything that its answer depends on beside the path is said in its fields."""

    status: int = 200
    cache_control: str | None = None
    etag: bool = False
    last_modified: bool = False
    vary: bool = False
    """The answer depends on ``Accept-Language`` and says so."""
    personal: bool = False
    """The answer depends on the caller's credentials and does not say so."""
    repeated: bool = False
    cookies: bool = False
    length: int | None = None
    """``None``: no ``Content-Length``; else what it is wrong by."""
    pieces: int = 1
    fails_after: int | None = None
    """The piece before which the handler raises; 0 is before the head."""
    pauses: int = 0
    """Turns of the event loop between pieces."""
    write_status: int = 200


class AppError(Exception):
    """What the generated application raises."""


@dataclass
class App:
    """The application: its pages, and how often each resource was written to."""

    pages: dict[str, Page]
    writes: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self.pages[scope["path"]]
        request = await _body(receive)
        if scope["method"] in ("GET", "HEAD"):
            await self._read(page, scope, request, send)
        else:
            await self._write(page, scope, send)

    async def _write(self, page: Page, scope: Scope, send: Send) -> None:
        place = written(scope)
        await _pause(page)
        if page.write_status < 400:
            self.writes[place] += 1
        await _pause(page)
        content = f"{scope['method']} {place}: {self.writes[place]} writes".encode()
        await send({"type": "http.response.start", "status": page.write_status, "headers": []})
        await send({"type": "http.response.body", "body": content})

    async def _read(self, page: Page, scope: Scope, request: bytes, send: Send) -> None:
        fields = dict(scope["headers"])
        parts = [scope["scheme"].encode(), fields[b"host"], scope["path"].encode(), scope["query_string"], request]
        if page.vary:
            parts.append(fields.get(b"accept-language", b"-"))
        if page.personal:
            parts += [fields.get(b"cookie", b"-"), fields.get(b"authorization", b"-")]
        parts.append(str(self.writes[written(scope)]).encode())
        content = b"|".join(parts) if page.status != 204 else b""
        etag = b'"%x"' % hash_of(content)
        headers = self._headers(page, etag)
        await _pause(page)
        if page.fails_after == 0:
            raise AppError(scope["path"])
        status = precondition(page, fields, etag)
        if status is not None:
            kept = [line for line in headers if line[0] in NOT_MODIFIED_FIELDS]
            await send({"type": "http.response.start", "status": status, "headers": kept})
            await send({"type": "http.response.body", "body": b""})
            return
        if page.length is not None and page.status != 204:
            headers.append((b"content-length", str(len(content) + page.length).encode()))
        await send({"type": "http.response.start", "status": page.status, "headers": headers})
        await self._send_pieces(page, scope, content, send)

    async def _send_pieces(self, page: Page, scope: Scope, content: bytes, send: Send) -> None:
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        size = max(1, -(-len(content) // page.pieces))
        for number in range(page.pieces):
            if page.fails_after == number + 1:
                raise AppError(scope["path"])
            last = number + 1 == page.pieces
            piece = content[number * size :] if last else content[number * size : (number + 1) * size]
            await send({"type": "http.response.body", "body": piece, "more_body": not last})
            await _pause(page)

    def _headers(self, page: Page, etag: bytes) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", b"text/plain")]
        if page.repeated:
            headers += [(b"link", b"</a>; rel=preload"), (b"x-one", b"1"), (b"link", b"</b>; rel=preload")]
        if page.cookies:
            headers += [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        if page.cache_control is not None:
            headers.append((b"cache-control", page.cache_control.encode()))
        if page.vary:
            headers.append((b"vary", b"Accept-Language"))
        if page.etag:
            headers.append((b"etag", etag))
        if page.last_modified:
            headers.append((b"last-modified", LAST_MODIFIED.encode()))
        return headers


def written(scope: Scope) -> str:
    """What a write changes: the resource with any query."""
    return f"{scope['scheme']}://{dict(scope['headers'])[b'host'].decode()}{scope['path']}"


def hash_of(content: bytes) -> int:
    """The same in every run, unlike ``hash``."""
    number = 0
    for octet in content:
        number = (number * 257 + octet) % (2**61 - 1)
    return number


def precondition(page: Page, fields: dict[bytes, bytes], etag: bytes) -> int | None:
    """412 or 304 where RFC 9110 §13.2.2 asks for it."""
    if not 200 <= page.status < 300 or page.fails_after is not None:
        return None
    if b"if-match" in fields and page.etag and fields[b"if-match"] != etag:
        return 412
    if b"if-none-match" in fields:
        return 304 if page.etag and fields[b"if-none-match"] == etag else None
    if b"if-modified-since" in fields and page.last_modified:
        return 304
    return None


async def _body(receive: Receive) -> bytes:
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(content)


async def _pause(page: Page) -> None:
    for _ in range(page.pauses):
        await asyncio.sleep(0)


# The client.


@dataclass(frozen=True)
class Ask:
    """One request. ``known`` sends the validator of an earlier answer of this resource."""

    method: str
    path: str
    query: str = ""
    host: str = "a.test"
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()
    known: str | None = None
    body: bytes = b""


@dataclass(frozen=True)
class Several:
    """Requests at once, or one after the other."""

    asks: tuple[Ask, ...]
    at_once: bool = True


@dataclass(frozen=True)
class Leave:
    """A request whose client leaves after some turns of the event loop."""

    ask: Ask
    turns: int


@dataclass(frozen=True)
class Advance:
    """Time passes."""

    seconds: int


Step = Ask | Several | Leave | Advance


@dataclass
class Got:
    """What came to the client."""

    ask: Ask
    messages: list[Message] = field(default_factory=list)
    error: str | None = None

    @property
    def status(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(bytes(name), bytes(value)) for name, value in self.messages[0]["headers"]] if self.messages else []

    @property
    def body(self) -> bytes:
        return b"" if self.ask.method == "HEAD" else b"".join(part.get("body", b"") for part in self.messages[1:])

    @property
    def ended(self) -> bool:
        return len(self.messages) > 1 and not self.messages[-1].get("more_body")

    def first(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)


class Client:
    """Asks one application, and remembers the validators it was given."""

    def __init__(self, app: ASGIApp, etags: dict[tuple[str, ...], str]) -> None:
        self._app = app
        self._etags = etags

    def _scope(self, ask: Ask) -> Scope:
        headers = list(ask.headers)
        etag = self._etags.get(resource(ask))
        if ask.known and etag:
            headers.append((ask.known, etag))
        if ask.body:
            headers.append(("content-length", str(len(ask.body))))
        target = f"{ask.path}?{ask.query}" if ask.query else ask.path
        return http_scope(ask.method, target, headers=headers, host=ask.host, scheme=ask.scheme)

    async def ask(self, ask: Ask) -> Got:
        got = Got(ask)
        request: list[Message] = [{"type": "http.request", "body": ask.body, "more_body": False}]

        async def receive() -> Message:
            if request:
                return request.pop()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def send(message: Message) -> None:
            begun, kind = bool(got.messages), message["type"]
            assert not got.ended, f"{kind} after the end"
            assert begun == (kind == "http.response.body"), f"{kind} is out of order"
            got.messages.append(message)

        try:
            await self._app(self._scope(ask), receive, send)
        except AppError as error:
            got.error = repr(error)
        return got


def resource(ask: Ask) -> tuple[str, ...]:
    return (ask.scheme, ask.host, ask.path, ask.query)


# The comparison.


def differ(plain: Got, cached: Got) -> str | None:
    """What tells the two answers apart, or ``None``."""
    if plain.error != cached.error:
        return f"raised {cached.error}, without the cache {plain.error}"
    if plain.error is not None:
        # Those who waited for a load that failed get its error, but not the pieces that came before it.
        return None if plain.body.startswith(cached.body) else f"body {cached.body!r} before the error"
    if cached.status in (206, 416) and plain.status == 200:
        return differ_in_range(plain, cached)
    if plain.status == 412 and b"; hit" in (cached.first(b"cache-status") or b""):
        return None  # RFC 9110 §13.1.1: a cache may ignore If-Match.
    if (plain.status, plain.ended) != (cached.status, cached.ended):
        return f"status {cached.status}, without the cache {plain.status}"
    if plain.body != cached.body:
        return f"body {cached.body!r}, without the cache {plain.body!r}"
    return differ_in_headers(plain, cached)


def differ_in_headers(plain: Got, cached: Got) -> str | None:
    may_differ = set(MAY_DIFFER)
    if plain.first(b"etag") is None:
        may_differ.add(b"etag")
    if plain.first(b"content-length") is None:
        may_differ.add(b"content-length")
        length = cached.first(b"content-length")
        if length is not None and cached.ask.method == "GET" and int(length) != len(cached.body):
            return f"content-length {length!r} of a body of {len(cached.body)} bytes"
    if plain.status == 304:
        may_differ |= {name for name, _ in cached.headers} - NOT_MODIFIED_FIELDS
    # RFC 9110 §5.3: the order of lines matters among those of one name, and the sort keeps it.
    expected, found = (
        sorted((line for line in got.headers if line[0] not in may_differ), key=lambda line: line[0])
        for got in (plain, cached)
    )
    return None if expected == found else f"headers {found}, without the cache {expected}"


def differ_in_range(plain: Got, cached: Got) -> str | None:
    """A range is answered from what is stored, although the application knows none."""
    if cached.status == 416:
        return None if cached.first(b"content-range") == b"bytes */%d" % len(plain.body) else "416 of another length"
    told = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+)", cached.first(b"content-range") or b"")
    if told is None:
        return f"content-range {cached.first(b'content-range')!r}"
    start, end, length = (int(number) for number in told.groups())
    right = length == len(plain.body) and cached.body == plain.body[start : end + 1]
    return None if right else f"bytes {start}-{end} are {cached.body!r} of {plain.body!r}"


# The conversation.


async def converse(pages: dict[str, Page], settings: dict[str, Any], steps: Sequence[Step]) -> None:
    clock = ManualClock(START)
    cache = Cache("memory://", clock=clock)
    etags: dict[tuple[str, ...], str] = {}
    plain = Client(App(pages), etags)
    cached = Client(CacheMiddleware(App(pages), cache=cache, **settings), etags)

    async def compare(asks: Sequence[Ask]) -> None:
        expected = [await plain.ask(ask) for ask in asks]
        found = await asyncio.gather(*(cached.ask(ask) for ask in asks))
        for left, right in zip(expected, found, strict=True):
            difference = differ(left, right)
            assert difference is None, f"{left.ask}: {difference} ({right.first(b'cache-status')!r})"
        for answer in expected:
            etag = answer.first(b"etag")
            if etag is not None:
                etags[resource(answer.ask)] = etag.decode()

    try:
        for step in steps:
            if isinstance(step, Ask):
                await compare([step])
            elif isinstance(step, Several):
                for together in [step.asks] if step.at_once else [[ask] for ask in step.asks]:
                    await compare(together)
            elif isinstance(step, Leave):
                asked = asyncio.ensure_future(cached.ask(step.ask))
                for _ in range(step.turns):
                    await asyncio.sleep(0)
                asked.cancel()
                await asyncio.wait([asked])
            else:
                clock.advance(step.seconds)
    finally:
        await cache.loads.drain(5)


PATHS = ["/a", "/b"]

STORABLE: list[str | None] = [None, None, None, "max-age=10"]
PERSONAL = [*STORABLE, "private", "no-store", "no-cache"]
IMPERSONAL = [
    *PERSONAL,
    *STORABLE,
    "max-age=0",
    "public, max-age=60",
    "max-age=10, stale-while-revalidate=60",
    "max-age=10, must-revalidate",
    "s-maxage=20, max-age=5",
]


def seldom(choices: st.SearchStrategy[Any], otherwise: Any) -> st.SearchStrategy[Any]:
    """Most of the time ``otherwise``: what cannot be stored must not crowd out what can."""
    return st.integers(0, 7).flatmap(lambda drawn: choices if drawn == 7 else st.just(otherwise))


@st.composite
def pages(draw: st.DrawFn) -> Page:
    personal = draw(st.booleans())
    count = draw(st.integers(1, 3))
    return Page(
        status=draw(st.sampled_from([200] * 8 + [201, 204, 301, 302, 404, 410, 418, 500, 503])),
        cache_control=draw(st.sampled_from(PERSONAL if personal else IMPERSONAL)),
        etag=draw(st.booleans()),
        last_modified=draw(st.booleans()),
        vary=draw(st.booleans()),
        personal=personal,
        repeated=draw(st.booleans()),
        cookies=draw(seldom(st.just(True), otherwise=False)),
        length=draw(st.sampled_from([None, None, 0, 0, 0, 0, -1, 1])),
        pieces=count,
        fails_after=draw(seldom(st.integers(0, count), otherwise=None)),
        pauses=draw(st.integers(0, 3)),
        write_status=draw(st.sampled_from([200, 204, 303, 400, 500])),
    )


SETTINGS: list[dict[str, Any]] = [
    {"ttl": 30},
    {"ttl": 30, "x_cache": True, "wait_timeout": 0.001},
    {"ttl": 30, "max_body": 20},  # about the length of a body
    {"ttl": 30, "rules": [Rule("/a", ttl=5, stale_while_revalidate=60, stale_if_error=60, tags=["a"])]},
    {"exclude": ["/b"]},  # without a ttl: only what the responses themselves allow
]

HEADERS: list[tuple[str, str]] = [
    ("accept-language", "en"),
    ("accept-language", "de"),
    ("accept-language", "de"),
    ("cookie", "who=ada"),
    ("cookie", "who=grace"),
    ("authorization", "Bearer ada"),
    ("range", "bytes=0-3"),
    ("range", "bytes=-4"),
    ("range", "bytes=1000-"),
    ("if-modified-since", LAST_MODIFIED),
    ("if-none-match", '"another"'),
    ("if-match", '"another"'),
    ("cache-control", "no-store"),
    ("cache-control", "max-age=0"),
    ("accept-encoding", "gzip"),
]


@st.composite
def asks(draw: st.DrawFn, methods: Sequence[str] = ("GET", "GET", "GET", "GET", "HEAD")) -> Ask:
    method = draw(st.sampled_from(methods))
    safe = method in ("GET", "HEAD")
    some = st.lists(st.sampled_from(HEADERS), max_size=2, unique_by=lambda line: line[0])
    chosen = draw(st.one_of(st.just([]), some)) if safe else []
    known = draw(seldom(st.sampled_from(["if-none-match", "if-match"]), otherwise=None)) if safe else None
    return Ask(
        method=method,
        path=draw(st.sampled_from(PATHS)),
        query=draw(seldom(st.just("q=1"), otherwise="")),
        host=draw(seldom(st.just("b.test"), otherwise="a.test")),
        scheme=draw(seldom(st.just("https"), otherwise="http")),
        headers=tuple(line for line in chosen if line[0] != known),
        known=known,
        body=b"?" if method == "GET" and draw(st.integers(0, 24)) == 24 else b"",
    )


@st.composite
def for_one_thing(draw: st.DrawFn) -> Several:
    """Requests for one thing, each with header lines of its own."""
    first = draw(asks())
    lines = draw(st.lists(st.lists(st.sampled_from(HEADERS[:6]), max_size=1), min_size=2, max_size=5))
    return Several((first, *(replace(first, headers=tuple(own)) for own in lines)), at_once=draw(st.booleans()))


READS = asks()
WRITES = asks(["PUT", "POST", "DELETE", "PATCH"])
STEPS = st.one_of(
    READS,
    READS,
    READS,
    WRITES,
    st.lists(READS, min_size=2, max_size=6).map(lambda chosen: Several(tuple(chosen))),
    for_one_thing(),
    for_one_thing(),
    st.builds(Leave, READS, st.integers(0, 8)),
    st.builds(Advance, st.sampled_from([1, 5, 10, 30, 61])),
)


@settings(
    max_examples=800,
    derandomize=True,  # the same examples in every run; a failure prints the conversation that led to it
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    st.fixed_dictionaries({path: pages() for path in PATHS}),
    st.sampled_from(SETTINGS),
    st.lists(STEPS, min_size=3, max_size=10),
)
def test_an_application_behind_the_cache_is_indistinguishable(
    pages: dict[str, Page], settings: dict[str, Any], steps: list[Any]
) -> None:
    note(f"{settings}")
    for path, page in pages.items():
        note(f"{path}: {page}")
    for step in steps:
        note(f"{step}")
    asyncio.run(converse(pages, settings, steps))
