"""Requests and answers of the admin API as Starlette has them; what FastAPI and Starlette share."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from hotplate.admin.answers import HEADERS, Answer, Unanswerable
from hotplate.admin.aside import stand_aside
from hotplate.admin.operations import Operation
from hotplate.admin.page import HEADERS as PAGE_HEADERS
from hotplate.admin.page import files
from hotplate.admin.questions import MOST_BODY_BYTES
from hotplate.cache import Cache

__all__ = ["file_endpoint", "operation_endpoint", "page_paths", "response_of"]

Endpoint = Callable[[Request], Awaitable[Response]]


def page_paths() -> dict[str, str]:
    """The names of the page's files by their paths."""
    return {f"/{'' if name == 'index.html' else name}": name for name in files}


def operation_endpoint(operation: Operation, cache: Cache) -> Endpoint:
    """Answers the requests of one operation. Whether they are admitted has been found out before."""

    async def endpoint(request: Request) -> Response:
        stand_aside(request.scope)
        try:
            body = await _body(request) if operation.method == "POST" else b""
        except Unanswerable as error:
            return response_of(error.answer())
        # What a client has sent for a host is not parsed here: only a URL without one needs it.
        origin = f"{request.scope['scheme']}://{request.headers.get('host', '')}"
        return response_of(await operation.answer(cache, request.scope["query_string"], body, origin))

    endpoint.__name__ = f"cache_{operation.name}"
    return endpoint


def file_endpoint(name: str) -> Endpoint:
    """Sends one file of the page."""
    content, media_type = files[name]

    async def endpoint(request: Request) -> Response:
        stand_aside(request.scope)
        return Response(content, headers={"content-type": media_type, **HEADERS, **PAGE_HEADERS})

    endpoint.__name__ = f"cache_page_{name.replace('.', '_')}"
    return endpoint


def response_of(answer: Answer) -> Response:
    """The response that says it."""
    return Response(answer.body, answer.status, headers=answer.fields())


async def _body(request: Request) -> bytes:
    """The body, if it is JSON and not too large.

    No page of another site can send this content type without asking first, so an ``auth`` of cookies is safe from it.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Unanswerable(f"Content-Type={media_type[:80]!r} is not read: send application/json", 415)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise Unanswerable(f"the body is larger than {MOST_BODY_BYTES} bytes: send several requests", 413)
    return bytes(body)
