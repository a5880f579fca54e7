"""cashews' decorator on the endpoint."""

import os

from cashews import cache  # type: ignore[import-not-found]  # is in this peer's environment only

from bench.apps.endpoint import application

cache.setup(os.environ.get("BENCH_REDIS_URL", "mem://?size=100000"))
app = application(cache(ttl="1h"))
