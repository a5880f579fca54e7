"""aiocache's decorator on the endpoint, with the serializer that its backend has by default.

With `BENCH_STAMPEDE` it is the one that locks.
"""

import os
from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache, cached, cached_stampede  # type: ignore[import-not-found]  # is in this peer's environment only

from bench.apps.endpoint import application

options: dict[str, Any] = {"ttl": 3600}
if "BENCH_REDIS_URL" in os.environ:
    url = urlsplit(os.environ["BENCH_REDIS_URL"])
    options |= {"cache": Cache.REDIS, "endpoint": url.hostname, "port": url.port, "db": int(url.path[1:])}
app = application((cached_stampede if "BENCH_STAMPEDE" in os.environ else cached)(**options))
