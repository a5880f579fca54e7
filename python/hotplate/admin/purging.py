"""The ``PURGE`` method, as Varnish, Fastly and Squid have it: the path of the request is no longer true.

It is no method of HTTP's own; each cache has made of it what it needs. What is done as elsewhere, and what is not:

* ``PURGE /products/42`` is for the path itself, and is answered 200 (Varnish, Fastly, Squid). Here that is every host,
  query and variant of it. Whether anything was stored is not looked up, so it is never 404 as with Squid.
* ``Surrogate-Key: a b`` or ``X-Cache-Tags: a,b`` names tags instead of the path (Souin; FOSHttpCache).
* ``Fastly-Soft-Purge: 1`` marks stale (Fastly).
* Who may not is told 401 with ``WWW-Authenticate``, as by the rest of the API, and not 405 as by Varnish's example.
"""

from typing import TYPE_CHECKING, cast

from hotplate.admin.answers import Answer, Unanswerable, json_answer, refusal
from hotplate.admin.aside import stand_aside
from hotplate.admin.auth import Auth, Check, Guard, meaning
from hotplate.asgi import ASGIApp, Receive, Scope, Send
from hotplate.errors import ConfigError
from hotplate.headers import RequestHead

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["PurgeMiddleware"]


class PurgeMiddleware:
    """Answers the method ``PURGE`` for an application: what the request names is no longer true, in every process.

        app.add_middleware(CacheMiddleware, cache=cache, ttl=30)
        app.add_middleware(PurgeMiddleware, cache=cache, auth=token)

    ``curl -X PURGE -H "Authorization: Bearer …" https://example.org/products/42`` makes every response for that path
    untrue: any host, query, variant and partition. With ``Surrogate-Key: products pans`` or
    ``X-Cache-Tags: products,pans`` it is what has one of these tags, and not the path. ``Fastly-Soft-Purge: 1`` marks
    stale instead.

    - ``auth``: a token of at least 16 characters, several of them, or a function that is given a ``RequestHead`` and
      returns (or awaits) whether it is admitted. ``None`` by name lets everybody purge.

    The answer is JSON: 200 with the position in the log of invalidations and what was named; 401 without a valid token;
    422 for what cannot be meant. The application never sees the method. Raises ``ConfigError`` for an ``auth`` that
    cannot be meant.
    """

    def __init__(self, app: ASGIApp, *, cache: "Cache", auth: Auth = ...) -> None:
        self.app = app
        self.cache = cache
        self._guard = Guard(cache, cast("Check | None", meaning(auth, "PurgeMiddleware")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a ``PURGE``; everything else passes untouched."""
        if scope["type"] != "http" or scope["method"] != "PURGE":
            await self.app(scope, receive, send)
            return
        stand_aside(scope)
        await _send(await self._purge(scope) if await self._guard.admits(scope) else refusal(), send)

    async def _purge(self, scope: Scope) -> Answer:
        head = RequestHead(scope)
        try:
            tags, soft = _tags(head), _is_soft(head)
            named = {"tags": tags} if tags is not None else {"paths": [_path(scope)]}
            position = await self.cache.invalidate(**named, soft=soft)
        except Unanswerable as error:
            return error.answer()
        except ConfigError as error:
            return Unanswerable(str(error)).answer()
        return json_answer({"position": position, "soft": soft, **named})


def _tags(head: RequestHead) -> list[str] | None:
    """The tags that are named in place of the path."""
    keys, listed = list(head.fields("surrogate-key")), list(head.fields("x-cache-tags"))
    if not keys and not listed:
        return None
    parts = [part.strip(" \t") for line in listed for part in line.split(",")]
    named = [tag for tag in [*" ".join(keys).split(" "), *parts] if tag]
    if not named:
        raise Unanswerable("Surrogate-Key and X-Cache-Tags name no tag: write one, or leave them out")
    try:
        return [tag.encode("latin-1").decode() for tag in named]
    except UnicodeDecodeError:
        raise Unanswerable("a tag in Surrogate-Key or X-Cache-Tags is no UTF-8: write it so") from None


def _is_soft(head: RequestHead) -> bool:
    said = head.field("fastly-soft-purge")
    if said not in (None, "1"):
        raise Unanswerable(f"Fastly-Soft-Purge={(said or '')[:80]!r} cannot be meant: write 1, or leave it out")
    return said is not None


def _path(scope: Scope) -> str:
    """The path as rules see it: without the prefix the application is mounted under."""
    path: str = scope["path"]
    inside = path.removeprefix(scope.get("root_path", "").rstrip("/"))
    return inside if inside.startswith("/") else path


async def _send(answer: Answer, send: Send) -> None:
    lines = {**answer.fields(), "content-length": str(len(answer.body))}
    headers = [(name.encode(), value.encode()) for name, value in lines.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
