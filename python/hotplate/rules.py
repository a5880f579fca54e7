"""What a developer says about paths: rules, the part of the query in the key, and partitions."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from hotplate.headers import RequestHead

__all__ = ["Duration", "Partition", "Query", "Rule", "by_cookie", "by_field"]

Duration = int | float | str | timedelta
"""A lifetime: seconds, a ``timedelta``, or text such as ``"30s"``, ``"5m"``, ``"1h30m"``, ``"250ms"``."""

Partition = Callable[[RequestHead], str | None]
"""Names who may share a stored response with this request: a user id, a tenant, ``"anonymous"``.

``None`` forwards the request: it neither gets nor makes a stored response. A partition answers for every
credential of the request (``Authorization`` and ``Cookie``), so two requests may have the same name only if
they may see each other's responses. If it raises, the request is forwarded.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What of the query enters the cache key. The application always gets the query as it came.

    ``sort``: parameters in any order are one key (repeated names keep their order among themselves).
    ``keep``: only these names count. ``drop``: these names do not count. A name may end in ``*``: ``"utm_*"``.
    """

    sort: bool = False
    keep: Sequence[str] | None = None
    drop: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for requests whose path matches ``pattern``. The first rule that matches speaks.

    Everything left out comes from the middleware. Checked when the middleware is made; errors are
    ``ConfigError``.
    """

    pattern: str
    """A path: ``/products``, ``/products/{product_id}`` (one segment), ``/static/*`` (anything, ``/`` included),
    ``/files/{rest:path}``."""
    methods: Sequence[str] = field(default=(), kw_only=True)
    """``GET`` (which includes ``HEAD``) unless named. ``POST`` or ``QUERY`` put the request's body and content type
    into the key, and such a request does not invalidate."""
    ttl: Duration | None = field(default=None, kw_only=True)
    """Freshness lifetime of responses that say nothing themselves (or of all, with ``override``)."""
    client_ttl: Duration | None = field(default=None, kw_only=True)
    """Lifetime told to clients in ``Cache-Control`` and ``Expires``, counted from each answer."""
    tags: Sequence[str] = field(default=(), kw_only=True)
    """Tags to invalidate by; names of the pattern are filled in: ``"product:{product_id}"``."""
    stale_while_revalidate: Duration | None = field(default=None, kw_only=True)
    """How long after its end a response is still served while it is refreshed once in the background."""
    stale_if_error: Duration | None = field(default=None, kw_only=True)
    """How long after its end a response is served when the handler fails (500, 502, 503, 504, exception)."""
    cookies: Literal["guard", "ignore", "danger-store"] = field(default="guard", kw_only=True)
    """``guard``: requests with cookies are not cached without a partition, nor responses with ``Set-Cookie``.
    ``ignore``: the answer does not depend on the request's cookies. ``danger-store``: also stores and replays
    ``Set-Cookie`` to everybody."""
    partition: Partition | None = field(default=None, kw_only=True)
    """Separate stored responses per identity; see ``Partition``."""
    vary: Sequence[str] = field(default=(), kw_only=True)
    """Request fields the response depends on, beside those its ``Vary`` names; added to its ``Vary``."""
    query: Query = field(default=Query(), kw_only=True)
    """What of the query enters the key."""
    override: bool = field(default=False, kw_only=True)
    """Whether ``ttl`` outranks the lifetime in the response's own ``Cache-Control`` and ``Expires``. What says
    ``private`` or ``no-store`` is not stored all the same."""
    cache: bool = field(default=True, kw_only=True)
    """``False``: forward every request that matches."""
    max_request_body: int = field(default=65_536, kw_only=True)
    """For ``POST`` and ``QUERY``: a larger request body (bytes) is forwarded instead of entering the key."""


def by_field(name: str) -> Partition:
    """A partition by the value of a request field, such as ``by_field("Authorization")``.

    Requests without the field share one partition. The value enters as a digest, never in clear.
    """

    def partition(head: RequestHead) -> str:
        return _digest(head.fields(name))

    return partition


def by_cookie(name: str) -> Partition:
    """A partition by the value of one cookie, such as ``by_cookie("session")``.

    Requests without the cookie share one partition. The value enters as a digest, never in clear.
    """

    def partition(head: RequestHead) -> str:
        return _digest(head.cookies(name))

    return partition


def _digest(values: Iterable[str]) -> str:
    """One name for all values in order: frameworks differ in which of several they take."""
    digest = hashlib.sha256()
    count = 0
    for count, value in enumerate(values, start=1):  # noqa: B007
        text = value.encode("utf-8", "surrogateescape")
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return digest.hexdigest() if count else "absent"
