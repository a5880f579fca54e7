"""The same as `bench.apps.redis_get` with valkey-glide."""

import os
from urllib.parse import urlsplit

import glide  # type: ignore[import-not-found]  # is in this peer's environment only

from bench.apps.answers import rendered
from bench.apps.raw import Receive, Scope, Send, messages

client = None


async def connected() -> "glide.GlideClient":
    """The client, which can be made only on the event loop that uses it."""
    url = urlsplit(os.environ["BENCH_REDIS_URL"])
    address = glide.NodeAddress(url.hostname, url.port)
    settings = glide.GlideClientConfiguration([address], database_id=int(url.path[1:]), request_timeout=5000)
    return await glide.GlideClient.create(settings)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The body from Redis; the fields are constant."""
    global client
    if client is None:
        client = await connected()
    key = f"get:{scope['path']}?{scope['query_string'].decode()}"
    found = await client.get(key)
    if found is None:
        found = rendered(scope["path"])
        if scope["method"] == "GET":
            await client.set(key, found)
    start, body = messages(found)
    await send(start)
    await send(body)
