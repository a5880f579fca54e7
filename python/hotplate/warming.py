"""Filling a cache before anybody asks: the application is run, in this process, for a list of URLs.

    warmed = await hotplate.warm(app, ["/", "/products", "/products/42"], base_url="https://shop.example.org")

Each URL is one ``GET`` through the whole application, middleware included, so that what is stored is what a client
would have had stored, under the same key. Scheme and host are part of a key: name those that clients use.

Not done: links and redirections are not followed, and no network is used. A cache in memory is filled in this process
and nowhere else; one on Redis for all.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from hotplate._core import seconds
from hotplate.asgi import ASGIApp
from hotplate.cache import Cache
from hotplate.errors import ConfigError
from hotplate.in_process import Answer, Headers, fields_of, running, target_of
from hotplate.rules import Duration
from hotplate.stacks import caches

__all__ = ["Warmed", "WarmedUrl", "warm"]

CONNECT_SECONDS = 5.0
"""How long a shared tier may take to be there before the application is run without it."""

WRITE_SECONDS = 5.0
"""How long the last writes to a shared tier may take after the last response."""

DRAIN_SECONDS = 30.0
"""How long refreshes that began meanwhile may take."""

_PAUSE_SECONDS = 0.005

_USUAL = {"user-agent": "hotplate-warm", "accept": "*/*"}

Outcome = Literal["stored", "hit", "not-stored", "failed"]


@dataclass(frozen=True, slots=True)
class WarmedUrl:
    """What came of one URL."""

    url: str
    """As it was given."""
    outcome: Outcome
    """``stored``: its response is stored now. ``hit``: it was stored already. ``not-stored``: there was a response, and
    it may not be stored. ``failed``: no response, or one with a status of 400 or more (which may be stored too)."""
    status: int | None
    """The status of the response, if there was one."""
    detail: str
    """Why it is not stored, or what failed, in a word or a sentence; else empty."""
    seconds: float
    """How long the response took."""


@dataclass(frozen=True, slots=True)
class Warmed:
    """What came of all URLs; the first four add up to their number."""

    stored: int
    """Responses that are stored now."""
    hits: int
    """Responses that were stored already."""
    not_stored: int
    """Responses that may not be stored."""
    failed: int
    """URLs without a response, or with a status of 400 or more."""
    written: int | None
    """How many responses and values the shared tier has taken meanwhile; ``None`` where there is none."""
    reasons: Mapping[str, int]
    """Why responses are not stored, and how many each."""
    failures: Sequence[WarmedUrl]
    """Those that failed, in the order in which they did."""
    seconds: float
    """How long it took, start and shutdown of the application included."""


async def warm(
    app: ASGIApp,
    urls: Iterable[str],
    *,
    concurrency: int = 8,
    headers: Headers = (),
    base_url: str = "http://localhost",
    timeout: Duration = 60,
    lifespan: bool = True,
    on_progress: Callable[[WarmedUrl], object] | None = None,
) -> Warmed:
    """Fills the cache before ``app`` with the responses to ``urls``, and says what came of each.

    - ``urls``: paths with their query (``/products?page=2``), or whole URLs. Each is asked for once.
    - ``concurrency``: how many requests are under way at a time.
    - ``headers``: fields of every request, such as ``{"Accept-Encoding": "gzip"}`` where responses vary by it.
    - ``base_url``: scheme and host of URLs that are paths. They are part of the key: name what clients ask for.
    - ``timeout``: after so long a request is given up and counted as failed.
    - ``lifespan``: whether the application's startup and shutdown are run around it. ``False`` in an application that
      runs already, or is in its own startup.
    - ``on_progress``: called with each ``WarmedUrl`` as it comes.

    A URL that fails stops none of the others. Where the cache is on Redis this returns when what was stored has been
    written there, or could not be within five seconds: ``written`` tells. ``ConfigError`` for a setting or URL that
    cannot be meant, ``HotplateError`` where the application does not start.
    """
    if concurrency.__class__ is not int or concurrency < 1:
        raise ConfigError(f"concurrency={concurrency!r} cannot be used: write how many requests at a time, at least 1")
    if isinstance(urls, str):
        raise ConfigError(f"urls={urls!r} is one text where several are meant: write urls=[{urls!r}]")
    limit = seconds("timeout", timeout)
    targets = iter([target_of(url, base_url) for url in dict.fromkeys(urls)])
    fields = fields_of(headers, _USUAL)
    tally = _Tally(on_progress)
    begun = time.monotonic()
    async with running(app) if lifespan else _as_it_is() as state:
        shared = _shared_caches(app)
        await _until(lambda: all(map(_is_certain, shared)), CONNECT_SECONDS)
        before = sum(map(_written, shared))

        async def work() -> None:
            for target in targets:
                tally.add(_outcome(target.url, await Answer.of(app, target.scope(fields, state), limit)))

        await _all([work() for _ in range(concurrency)])
        if lifespan:  # else others' loads are under way too
            for cache in filter(None, caches(app)):
                await cache.loads.drain(DRAIN_SECONDS)
        wanted = before + tally.counts["stored"]
        if shared and all(map(_is_certain, shared)):
            await _until(lambda: sum(map(_written, shared)) >= wanted, WRITE_SECONDS)
        written = sum(map(_written, shared)) - before if shared else None
    return tally.result(written, time.monotonic() - begun)


class _Tally:
    """Counts what comes."""

    def __init__(self, tell: Callable[[WarmedUrl], object] | None) -> None:
        self._tell = tell
        self.counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._failures: list[WarmedUrl] = []

    def add(self, one: WarmedUrl) -> None:
        self.counts[one.outcome] += 1
        if one.outcome == "not-stored":
            self._reasons[one.detail] += 1
        elif one.outcome == "failed":
            self._failures.append(one)
        if self._tell is not None:
            self._tell(one)

    def result(self, written: int | None, seconds: float) -> Warmed:
        return Warmed(
            stored=self.counts["stored"],
            hits=self.counts["hit"],
            not_stored=self.counts["not-stored"],
            failed=self.counts["failed"],
            written=written,
            reasons=dict(self._reasons),
            failures=tuple(self._failures),
            seconds=seconds,
        )


def _outcome(url: str, answer: Answer) -> WarmedUrl:
    """What the caches before the application said of its response, in ``Cache-Status`` (RFC 9211)."""
    outcome: Outcome
    said = [_parameters(member) for line in answer.lines("cache-status") for member in line.split(",")]
    ours = [parameters for name, parameters in said if name == "hotplate"]
    detail = ""
    if answer.error or answer.status is None or answer.status >= 400:
        outcome, detail = "failed", answer.error or f"status {answer.status}"
    elif any("stored" in parameters for parameters in ours):
        outcome = "stored"
    elif any("hit" in parameters for parameters in ours):
        outcome = "hit"
    else:
        outcome = "not-stored"
        why = (parameters.get("detail") or parameters.get("fwd") for parameters in ours)
        detail = next(filter(None, why), "no-cache-middleware")
    return WarmedUrl(url, outcome, answer.status, detail, answer.seconds)


def _parameters(member: str) -> tuple[str, dict[str, str]]:
    name, *parameters = (part.strip() for part in member.split(";"))
    split = (parameter.partition("=") for parameter in parameters)
    return name, {key: value.strip('"') for key, _, value in split}


@asynccontextmanager
async def _as_it_is() -> AsyncIterator[dict[str, Any]]:
    yield {}


async def _all(runs: list[Coroutine[Any, Any, None]]) -> None:
    """Runs all at once; what one raises ends the others and is raised."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _shared_caches(app: ASGIApp) -> list[Cache]:
    found = {cache for cache in caches(app) if cache is not None and cache.is_shared}
    for cache in found:
        cache.core.start()
    return list(found)


def _is_certain(cache: Cache) -> bool:
    stats = cache.shared_stats()
    return stats is not None and stats.up and stats.certain


def _written(cache: Cache) -> int:
    stats = cache.shared_stats()
    return 0 if stats is None else stats.stored + stats.older


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Waits for what comes by itself, for at most so long; whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(_PAUSE_SECONDS)
    return True
