"""cashews' decorator on the endpoint; with `BENCH_STAMPEDE`, its lock."""

import os

from cashews import cache  # type: ignore[import-not-found]  # is in this peer's environment only

from bench.apps.endpoint import application

cache.setup(os.environ.get("BENCH_REDIS_URL", "mem://?size=100000"))
app = application(cache(ttl="1h", lock="BENCH_STAMPEDE" in os.environ))
