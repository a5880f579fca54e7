"""For tests of applications that use hotplate.

from hotplate.testing import MemoryCache, assert_cache_status

cache = MemoryCache()
app.add_middleware(CacheMiddleware, cache=cache, ttl=30)
client.get("/products")
assert_cache_status(client.get("/products"), hit=True)
cache.clock.advance(31)
assert_cache_status(client.get("/products"), hit=False)
"""

from collections.abc import Mapping
from typing import Protocol

from hotplate._core import ManualClock
from hotplate.cache import Cache

__all__ = ["ManualClock", "MemoryCache", "assert_cache_status", "cache_status"]


class MemoryCache(Cache):
    """A cache in memory whose time stands still until it is turned: ``cache.clock.advance(31)``.

    ``clock``: one to share with other caches; without it the cache has its own.
    """

    clock: ManualClock
    """What it reads the time from."""

    def __init__(self, *, max_bytes: int | str = 64 * 2**20, clock: ManualClock | None = None) -> None:
        self.clock = ManualClock() if clock is None else clock
        super().__init__(max_bytes=max_bytes, clock=self.clock)


class Response(Protocol):
    """A response of ``httpx``, of Starlette's test client, of ``requests``: anything with ``headers``."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By names in any case."""


def cache_status(response: Response) -> dict[str, str | int | bool]:
    """What hotplate said in ``Cache-Status`` (RFC 9211): ``{"hit": True, "ttl": 29}``, or ``{}`` if it said nothing."""
    for member in response.headers.get("cache-status", "").split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        if name == "hotplate":
            return dict(_parameter(text) for text in parameters)
    return {}


def assert_cache_status(
    response: Response,
    *,
    hit: bool | None = None,
    stored: bool | None = None,
    collapsed: bool | None = None,
    fwd: str | None = None,
    ttl: int | None = None,
    detail: str | None = None,
) -> None:
    """Fails unless ``Cache-Status`` says what is given; what is not given may be anything.

    ``hit``: answered from what is stored. ``stored``: the answer was stored. ``collapsed``: it waited for another
    request's load. ``fwd``: why it was forwarded (``"uri-miss"``, ``"stale"``, ``"bypass"``, ...). ``ttl``: the seconds
    that remain. ``detail``: the reason in one word.
    """
    said = cache_status(response)
    wanted = {"hit": hit, "stored": stored, "collapsed": collapsed, "fwd": fwd, "ttl": ttl, "detail": detail}
    for name, value in wanted.items():
        if value is None:
            continue
        found = said.get(name, False if isinstance(value, bool) else None)
        if found != value:
            field = response.headers.get("cache-status")
            raise AssertionError(f"{name} is {found!r}, not {value!r}, in Cache-Status: {field}")


def _parameter(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        return name, True
    number = value.removeprefix("-")
    return name, int(value) if number.isdigit() else value.strip('"')
