"""What a cache does, as spans and attributes of OpenTelemetry.

A request has a span already: the one of the server (of FastAPI, of an ASGI instrumentation), which is the current one
here. It gets attributes that say what the cache made of it. Spans of their own have what takes time by itself: a load,
that is a run of the application or of a function for something that is to be stored; and an invalidation.

There are no semantic conventions for caches. Names are those of the conventions where there are some (``url.path``,
``http.request.method``, ``http.response.status_code``, ``code.function.name``, ``error.type``), else they begin with
``hotplate.``. No span has a query, a header field, a cookie, a body or the key of a value in it.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from hotplate.observing import Lookup
    from hotplate.targets import Targets

__all__ = ["Spans", "attributes_of"]

OUTCOME = "hotplate.cache.outcome"
"""``hit``, ``stale``, ``validated``, ``miss`` or ``bypass``, as in ``hotplate_requests_total``."""

REASON = "hotplate.cache.reason"
"""Why: the word of ``Cache-Status``."""

COLLAPSED = "hotplate.cache.collapsed"
"""The request waited for another one's load."""

MOST_NAMES = 20
"""So many tags, paths or prefixes of an invalidation are named."""


class Spans:
    """An ``hotplate.observing.Observer`` that makes spans by a tracer."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def lookup(self, lookup: "Lookup") -> "Lookup":
        """Puts attributes on the current span for what is answered at once."""
        current_span = trace.get_current_span

        def looked_up(*arguments: Any) -> Any:
            found = lookup(*arguments)
            if found.__class__ is tuple:
                span = current_span()
                if span.is_recording():
                    span.set_attributes(attributes_of(found[0]["headers"]))
            return found

        return looked_up

    def answering(self, kind: str, app: ASGIApp, send: Send) -> tuple[ASGIApp, Send]:
        """Puts attributes on the current span when the answer begins; makes a span around a load."""
        request = _Request(self, kind, app, send)
        return (app if kind == "forward" else request.load), (request.send if request.span.is_recording() else send)

    def running(self, function: Callable[..., Any]) -> AbstractContextManager[object]:
        """Makes a span around a run of a function."""
        kind = type(function)
        name = getattr(function, "__qualname__", kind.__qualname__)
        module = getattr(function, "__module__", kind.__module__)
        return self.span("hotplate load", {"hotplate.load.kind": "value", "code.function.name": f"{module}.{name}"})

    def invalidating(self, targets: "Targets") -> AbstractContextManager[object]:
        """Makes a span around an invalidation. Of keys it has the number: they may say who asked."""
        tags, paths, prefixes, keys, soft = targets
        attributes: dict[str, AttributeValue] = {"hotplate.invalidation.soft": soft}
        for name, texts in (("tags", tags), ("paths", paths), ("prefixes", prefixes)):
            if texts:
                attributes[f"hotplate.invalidation.{name}"] = texts[:MOST_NAMES]
        attributes["hotplate.invalidation.count"] = len(tags) + len(paths) + len(prefixes) + len(keys)
        return self.span("hotplate invalidate", attributes)

    @contextmanager
    def span(self, name: str, attributes: "dict[str, AttributeValue]") -> Iterator[Span]:
        """A span that is the current one within, and knows of what is raised there."""
        with self._tracer.start_as_current_span(name, kind=SpanKind.INTERNAL, attributes=attributes) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", _type_name(error))
                raise


class _Request:
    """A request on its way through the cache that is not answered at once."""

    __slots__ = ("_app", "_is_confirmed", "_kind", "_send", "_spans", "span")

    span: Span
    """The request's own: the current one when it came."""

    def __init__(self, spans: Spans, kind: str, app: ASGIApp, send: Send) -> None:
        self._spans = spans
        self._kind = kind
        self._app = app
        self._send = send
        self._is_confirmed = False
        self.span = trace.get_current_span()
        if kind == "load":
            # Unless the answer says otherwise: there may be none.
            self.span.set_attribute(OUTCOME, "miss")
        elif kind == "raised":
            self.span.set_attributes({OUTCOME: "miss", REASON: "load-failed", COLLAPSED: True})

    async def send(self, message: Message) -> None:
        """The client's send channel."""
        if message["type"] == "http.response.start":
            said = attributes_of(message.get("headers", ()), self._kind, is_confirmed=self._is_confirmed)
            self.span.set_attributes(said)
        await self._send(message)

    async def load(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, run for a response that is to be stored."""
        attributes: dict[str, AttributeValue] = {
            "hotplate.load.kind": "response",
            "hotplate.load.refresh": self._kind == "stale",
            "http.request.method": scope["method"],
            "url.path": scope["path"],
        }
        with self._spans.span("hotplate load", attributes) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._is_confirmed = message["status"] == 304
                    _note_status(span, message["status"])
                await send(message)

            await self._app(scope, receive, sent)


def attributes_of(
    headers: Sequence[tuple[bytes, bytes]], kind: str = "", *, is_confirmed: bool = False
) -> "dict[str, AttributeValue]":
    """What ``Cache-Status`` (RFC 9211) of this cache says, as attributes; nothing, where there is none.

    ``kind``: of the last step, or ``""`` for what was answered at once. ``is_confirmed``: the application answered 304.
    """
    for name, value in reversed(headers):
        if name == b"cache-status":
            return _attributes(value.rsplit(b",", 1)[-1], kind, is_confirmed)
    return {}


_OF_THE_REQUEST = frozenset({"range", "precondition", "request-no-store", "hit-for-miss", "wait-timeout"})
"""Why a request was forwarded that is no miss: where it is one, ``detail`` says why its answer is not stored."""


# Within a second most hits say the same.
@functools.lru_cache(1024)
def _attributes(member: bytes, kind: str, is_confirmed: bool) -> "dict[str, AttributeValue]":
    cache, *parameters = member.decode("latin-1").split(";")
    if cache.strip() != "hotplate":
        return {}
    said = dict(parameter.strip().partition("=")[::2] for parameter in parameters)
    outcome = _outcome(said, kind, is_confirmed)
    reason = said.get("detail") or (said.get("fwd") if outcome in ("miss", "bypass") else None)
    attributes: dict[str, AttributeValue] = {
        OUTCOME: outcome,
        REASON: reason or ("validated" if outcome == "validated" else "fresh"),
    }
    if "collapsed" in said:
        attributes[COLLAPSED] = True
    return attributes


def _outcome(said: dict[str, str], kind: str, is_confirmed: bool) -> str:
    forward, detail = said.get("fwd"), said.get("detail")
    if detail == "stale-if-error":
        return "stale"
    if forward is None or (kind == "" and "collapsed" in said and detail != "load-failed"):
        return "hit" if detail is None else "stale"
    if detail == "only-if-cached":
        return "bypass"
    if kind == "forward" and (forward in ("bypass", "method") or detail in _OF_THE_REQUEST):
        return "bypass"
    # What was made from something stored says how long it is fresh.
    return "validated" if is_confirmed and "ttl" in said else "miss"


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
