"""What looks dangerous around a cache: how many processes, how much memory, which server, which middleware inside."""

import os
from collections.abc import Iterator

from hotplate import Cache
from hotplate.cli.doctor import examination
from hotplate.cli.doctor.address import address_of
from hotplate.cli.figures import bytes_text
from hotplate.cli.findings import Finding
from hotplate.middleware import CacheMiddleware
from hotplate.stacks import layers, user_middleware

__all__ = ["about_cache", "about_order"]

DEFAULT_BYTES = 64 * 2**20


def about_cache(cache: Cache, *, offline: bool) -> Iterator[Finding]:
    """The cache itself: one in memory by the number of processes, one on Redis by its server."""
    if not cache.is_shared:
        yield from _in_memory(cache)
        return
    address = address_of(cache.url, **cache.server_settings)
    if offline:
        if not address.has_prefix:
            text = f"none was named, so it is {address.prefix!r}: two programs on one server would be one cache"
            yield Finding("warn", "prefix", text, "name one for each program: Cache(url, prefix='shop')")
        return
    for finding in examination(address):
        if finding.level == "ok":
            continue
        # Where this is run, the server of production need not be within reach.
        is_away = finding.subject in ("connection", "login", "sentinel", "TLS", "cluster")
        yield Finding("warn" if is_away else finding.level, finding.subject, finding.text, finding.remedy)


def _in_memory(cache: Cache) -> Iterator[Finding]:
    workers = _workers()
    if workers < 2:
        return
    text = f"{workers} workers (WEB_CONCURRENCY) on memory:// are {workers} caches: an invalidation reaches one of them"
    yield Finding("fail", "workers", text, "put the cache on Redis, or run one worker")
    bound = cache.stats().max_bytes
    if bound == DEFAULT_BYTES:
        whole = bytes_text(bound * workers)
        text = f"max_bytes was not chosen: {workers} workers keep {bytes_text(bound)} each, {whole} in all"
        yield Finding("warn", "memory", text, "say what one process may keep: Cache(max_bytes='64MiB')")


def _workers() -> int:
    text = os.environ.get("WEB_CONCURRENCY", "")
    return int(text) if text.isdigit() else 1


def about_order(app: object) -> Iterator[Finding]:
    """Middleware that checks who asks, but stands inside of the cache: a stored response does not pass it."""
    for layer in layers(app):
        inside = False
        for added in user_middleware(layer):
            name = getattr(added.cls, "__name__", "")
            if isinstance(added.cls, type) and issubclass(added.cls, CacheMiddleware):
                inside = True
            elif inside and "auth" in name.lower():
                text = f"{name} stands inside of the cache: what is stored is served without passing it"
                yield Finding(
                    "warn", "order", text, f"add {name} after CacheMiddleware, so that it stands outside of it"
                )
