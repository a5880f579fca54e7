"""ASGI applications without a framework: the reference, and the least that a hit in Python costs."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from bench.apps.answers import BODY, LARGE, rendered

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def messages(body: bytes) -> tuple[Message, Message]:
    """A response as ASGI has it, with the fields that a stored one is likely to have."""
    length = str(len(body)).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", length), (b"vary", b"accept-encoding")]
    return {"type": "http.response.start", "status": 200, "headers": fields}, {
        "type": "http.response.body",
        "body": body,
    }


SMALL_MESSAGES, LARGE_MESSAGES = messages(BODY), messages(LARGE)


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """The reference: sends constant bytes and does nothing else."""
    start, body = LARGE_MESSAGES if scope["path"] == "/large/0" else SMALL_MESSAGES
    await send(start)
    await send(body)


_stored: dict[tuple[str, bytes], tuple[Message, Message]] = {}


async def dictionary(scope: Scope, receive: Receive, send: Send) -> None:
    """Looks up path and query in a dict, and sends what is there: the limit of any hit in Python."""
    key = (scope["path"], scope["query_string"])
    found = _stored.get(key)
    if found is None:
        found = messages(rendered(scope["path"]))
        if scope["method"] == "GET":
            _stored[key] = found
    start, body = found
    await send(start)
    await send(body)
