"""The sections of the benchmark, in the order of the page; each is a module with a `SECTION`."""

SECTIONS = (
    "http",
    "http_redis",
    "misses",
    "stampede",
    "loops",
    "values",
    "objects",
    "border",
    "memory",
    "metrics",
    "invalidation",
    "growth",
    "hit_ratio",
)
