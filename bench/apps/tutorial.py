"""The middleware that tutorials give: `BaseHTTPMiddleware`, and a dict or a Redis behind it."""

import os
import pickle
import time

import redis  # type: ignore[import-not-found]  # is in the contenders' environments only
from fastapi import Request, Response
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import StreamingResponse

from bench.apps.endpoint import application

TTL_SECONDS = 3600
Stored = tuple[int, dict[str, str], bytes]


async def read(response: Response) -> Stored:
    """The parts of a response that are kept."""
    assert isinstance(response, StreamingResponse) or hasattr(response, "body_iterator")
    body = b"".join([bytes(chunk) async for chunk in response.body_iterator])
    return response.status_code, dict(response.headers), body


class InMemory(BaseHTTPMiddleware):
    """Keeps whole responses in a dict."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """From the dict, or from the application."""
        if request.method != "GET":
            return await call_next(request)
        key = f"{request.url.path}?{request.url.query}"
        until, found = STORED.get(key, (0.0, None))
        if found is None or until < time.time():
            found = await read(await call_next(request))
            STORED[key] = (time.time() + TTL_SECONDS, found)
        status, headers, body = found
        return Response(body, status, headers)


class InRedis(BaseHTTPMiddleware):
    """Keeps whole responses in Redis, pickled, by the client that most tutorials use: the one that blocks."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """From Redis, or from the application."""
        if request.method != "GET":
            return await call_next(request)
        key = f"tutorial:{request.url.path}?{request.url.query}"
        found = CLIENT.get(key)
        if found is None:
            found = pickle.dumps(await read(await call_next(request)))
            CLIENT.setex(key, TTL_SECONDS, found)
        status, headers, body = pickle.loads(found)  # noqa: S301 - what is measured; hotplate would not
        return Response(body, status, headers)


STORED: dict[str, tuple[float, Stored]] = {}
URL = os.environ.get("BENCH_REDIS_URL")
CLIENT = redis.Redis.from_url(URL or "redis://")

app = application()
app.add_middleware(InRedis if URL else InMemory)
