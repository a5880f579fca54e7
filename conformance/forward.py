"""The application under test: a FastAPI app that forwards every request to the suite's origin, behind the middleware.

    python -m conformance.forward 127.0.0.1:4000

prints "Listening on http://127.0.0.1:PORT/" and runs until it is ended. Nothing is added to a message, left out of it
or put in another order but what belongs to one connection's framing, so that what the suite sees is the cache's doing.
A connection that drops becomes a 502, which is what a gateway says (RFC 9110 §15.6.3).
"""

import socket
import sys

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http import h11_impl

from conformance.wire import DroppedError, request
from hotplate import Cache, CacheMiddleware
from hotplate.asgi import ASGIApp, Receive, Scope, Send

__all__ = ["application"]

# Where the suite's origin expects a conditional request and gets none it answers 999, and the client wants to see that.
# RFC 9110 §15 lets a recipient treat it as a 5xx, but not a server refuse to send it, as uvicorn does above 599.
h11_impl.STATUS_PHRASES[999] = b"304 Not Generated"


def application(origin: tuple[str, int]) -> FastAPI:
    """The forwarding application behind ``CacheMiddleware(profile="rfc9111")``."""
    app = FastAPI(openapi_url=None)
    app.mount("/", forward_to(origin))
    app.add_middleware(CacheMiddleware, cache=Cache("memory://"), profile="rfc9111")
    return app


def forward_to(origin: tuple[str, int]) -> ASGIApp:
    """An ASGI application that answers what the origin answers."""

    async def forward(scope: Scope, receive: Receive, send: Send) -> None:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        body = await _body(receive)
        fields = [field for field in scope["headers"] if field[0] not in (b"content-length", b"transfer-encoding")]
        if len(fields) < len(scope["headers"]):
            fields.append((b"content-length", b"%d" % len(body)))
        try:
            answer = await request(origin, scope["method"].encode(), target, fields, body)
        except DroppedError as dropped:
            status, headers, content = 502, [(b"content-type", b"text/plain")], str(dropped).encode()
        else:
            # The transfer coding was of the origin's connection (RFC 9112 §6.1) and has been undone.
            headers = [(name.lower(), value) for name, value in answer.fields if name.lower() != b"transfer-encoding"]
            status, content = answer.status, answer.body
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return forward


async def _body(receive: Receive) -> bytes:
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def main() -> None:
    """Serve on the loopback interface and a free port."""
    host, _, port = sys.argv[1].rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application((host, int(port))),
        http="h11",  # frames a bodiless response with a Content-Length as it is, and never joins fields
        date_header=False,
        server_header=False,
        log_level="warning",
    )
    print(f"Listening on http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
