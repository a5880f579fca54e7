"""An ASGI application without a framework that sends what a GET of redis-py gives: what Redis costs at the least."""

import os

from redis import asyncio as redis  # type: ignore[import-not-found]  # is in the contenders' environments only

from bench.apps.answers import rendered
from bench.apps.raw import Receive, Scope, Send, messages

client = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The body from Redis; the fields are constant."""
    key = f"get:{scope['path']}?{scope['query_string'].decode()}"
    found = await client.get(key)
    if found is None:
        found = rendered(scope["path"])
        if scope["method"] == "GET":
            await client.set(key, found, ex=3600)
    start, body = messages(found)
    await send(start)
    await send(body)
