"""What can be seen of a running cache: ``cache.watch``.

The numbers are the engine's, and come as JSON; here they are given their types, and those of several processes are
added. Nothing here changes what is served.
"""

import asyncio
import base64
import json
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import unquote, urlsplit

from hotplate._core import WatchCore
from hotplate.errors import ConfigError
from hotplate.functions import pending
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate._core import HttpCache
    from hotplate.cache import Cache

__all__ = [
    "BOUNDS",
    "Decision",
    "EntryView",
    "Histogram",
    "Invalidation",
    "Preview",
    "Report",
    "RuleCounts",
    "Top",
    "Watch",
]

BOUNDS: tuple[float, ...] = (
    *(5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""The upper bounds of the buckets of a ``Histogram``, in seconds; one more bucket holds what took longer."""

MOST_INVALIDATIONS = 50
MOST_TOP = 20


class Histogram(TypedDict):
    """How long something took."""

    count: int
    sum: float
    """In seconds, all together."""
    buckets: list[int]
    """How many by ``BOUNDS``, each one in one bucket only; the last took longer than all bounds."""


class RuleCounts(TypedDict):
    """What became of the requests of one rule."""

    rule: str
    """Its pattern; ``default``: requests for which no rule speaks."""
    hit: int
    stale: int
    validated: int
    miss: int
    bypass: int


class Top(TypedDict):
    """A key, or a tag with all that has it."""

    name: str
    """What the key stands for, where that is known, or the tag."""
    key: str
    """32 hexadecimal digits; nothing for a tag."""
    hits: int
    bytes: int
    entries: int


class Invalidation(TypedDict):
    """An invalidation."""

    at: float
    """Seconds since 1970."""
    target: str
    """In words: ``tag products``, ``prefix /products``, ``path /products/42``, ``key product:1``, ``everything``."""
    soft: bool
    position: int
    process: str


class Report(TypedDict):
    """The numbers of one process, or of all. Times in seconds, sizes in bytes."""

    process: str
    """Tells this cache of this process from every other; nothing for a sum."""
    host: str
    pid: int
    started: float
    """Seconds since 1970."""
    at: float
    processes: int
    """How many of them these are the numbers of."""
    counts: dict[str, int]
    """``hits``, ``misses``, ``stale``, ``validated``, ``collapsed``, ``stored``, ``failed_loads``, ``invalidations``,
    ``evictions``, ``refreshes``; as in ``hotplate.Stats``."""
    bypass: dict[str, int]
    not_stored: dict[str, int]
    rules: list[RuleCounts]
    latency: dict[str, Histogram]
    """``hit``: requests answered by the cache. ``miss``: those for which the application was run. ``load``: its run.
    ``shared``: lookups in the shared tier."""
    entries: int
    bytes: int
    max_bytes: int
    shared: dict[str, Any] | None
    """As ``hotplate.SharedStats``, with ``breaker`` (``open`` or ``closed``) and ``log_lag`` (records)."""
    bridge_queue: int
    """Results of the shared tier that wait for an event loop."""
    top: dict[str, list[Top]]
    """``keys_by_hits``, ``keys_by_bytes``, ``tags_by_hits``, ``tags_by_bytes``."""
    invalidations: list[Invalidation]
    """The last ones, newest first."""


class Decision(TypedDict):
    """What was done with one request."""

    at: float
    method: str
    url: str
    """Host, path and query."""
    outcome: Literal["hit", "stale", "validated", "miss", "bypass"]
    reason: str
    """The word that ``Cache-Status`` has."""
    sentence: str
    seconds: float | None
    """Until the application's answer began."""


class EntryView(TypedDict):
    """What is stored under one key. Times in seconds, sizes in bytes."""

    key: str
    name: str
    kind: Literal["response", "value", "variants", "queries", "not-storable"]
    tier: Literal["local", "shared"]
    status: int | None
    age: float
    ttl: float
    """Negative: it is stale, for so long."""
    stale_while_revalidate: float
    stale_if_error: float
    tags: list[str]
    bytes: int
    hits: int
    partitioned: bool
    soft: bool
    """It was marked stale."""
    valid: bool
    """No invalidation has made it untrue."""
    vary: list[str]
    headers: list[tuple[str, str]]
    body: str | None
    """Base64, where it was asked for."""


class Preview(TypedDict):
    """What an invalidation would reach in this process."""

    entries: int
    bytes: int
    names: list[str]


class Watch:
    """Looks at a cache. Every method may be called while it is in use, by any thread."""

    def __init__(self, cache: "Cache") -> None:
        self._cache = cache
        self._core = WatchCore(cache.core)
        self._sides: weakref.WeakSet[HttpCache] = weakref.WeakSet()

    def add(self, side: "HttpCache") -> None:
        """Looks at the responses of one more middleware, too."""
        self._sides.add(side)

    def report(self, *, top: bool = True) -> Report:
        """The numbers of this process. ``top``: also what is used most, for which all that is stored is looked at.

        That takes some 20 ms for 100,000 entries, in which other threads go on, and an event loop of this one does not.
        """
        report: Report = json.loads(self._core.report(top))
        return report

    async def reports(self, *, top: bool = True) -> list[Report]:
        """The numbers of every process of this cache that is alive, this one's first.

        Those of others are up to a second old. A process that has told nothing for ten seconds is not among them.
        While the shared tier cannot be asked, and in memory, it is this one's alone.
        """
        own = await asyncio.to_thread(self.report) if top else self.report(top=False)
        if not self._cache.is_shared:
            return [own]
        told = await pending(self._core.reports)
        others = [report for report in (_readable(text, own) for text in told or ()) if report is not None]
        return [own, *(report for report in others if report["process"] != own["process"])]

    async def summary(self, *, top: bool = True) -> Report:
        """The sum of ``reports()``: counts and sizes are added; of the shared tier it is what this process sees."""
        return summed(await self.reports(top=top))

    def decisions(self, most: int = 100) -> list[Decision]:
        """The last requests of this process, newest first.

        Hits are among them from the first call on, for a minute after each.
        """
        decisions: list[Decision] = json.loads(self._core.decisions(most))
        return decisions

    async def entry(
        self, *, url: str | None = None, key: str | None = None, partition: str | None = None, body: bool = False
    ) -> list[EntryView]:
        """What is stored for a URL, all variants, or under a key: the name of a value, or 32 hexadecimal digits.

        ``url``: ``http://host/path?query``, as a client would ask for it with ``GET``. ``partition``: whose, where a
        rule has partitions. Looks in this process, and where it has nothing, in the shared tier. ``body``: the
        responses' bodies too, but of partitioned ones only where ``partition`` names whose.
        """
        if (url is None) == (key is None):
            raise ConfigError(f"url={url!r}, key={key!r}: name one of the two")
        if key is not None:
            name = key
            found = self._core.views(name)
            if not found and self._cache.is_shared:
                found = await pending(lambda bridge, future: self._core.look(name, bridge, future))
        else:
            scope = scope_of(url or "")
            sides = list(self._sides)
            found = [pair for side in sides for pair in side.views(scope, partition)]
            if not found and self._cache.is_shared:
                for side in sides:
                    found += await _looked(side, scope, partition)
        return [_view(text, content if body else None, partition) for text, content in found]

    async def explain(self, url: str, *, headers: Mapping[str, str] | None = None) -> str:
        """What a ``GET`` of a URL with these headers would get from this process now, and why, in one sentence."""
        scope = scope_of(url, headers)
        sentences = [side.explain(scope) for side in list(self._sides)]
        if not sentences:
            raise ConfigError("nothing is cached by this cache's middleware: write app.add_middleware(CacheMiddleware)")
        return " ".join(dict.fromkeys(sentences))

    def preview(
        self,
        *,
        tags: Iterable[str] = (),
        paths: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        keys: Iterable[str] = (),
        everything: bool = False,
        most: int = 20,
    ) -> Preview:
        """What an invalidation would reach in this process's memory, and the names of ``most`` of it.

        Looks at everything that is stored: with many entries, not for an event loop (``asyncio.to_thread``).
        """
        text = self._core.preview(
            list(several("tags", tags)),
            list(several("paths", paths)),
            list(several("prefixes", prefixes)),
            list(several("keys", keys)),
            everything,
            most,
        )
        preview: Preview = json.loads(text)
        return preview


def _readable(text: bytes, own: Report) -> Report | None:
    """A report of another process; ``None`` for what is none: who can write to the server can write anything there."""
    try:
        report: Report = json.loads(text)
        if not all(isinstance(report[name], type(own[name])) for name in ("process", "host", "pid", "at", "counts")):
            return None
        json.dumps(summed([own, report]), allow_nan=False)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return report


async def _looked(side: "HttpCache", scope: dict[str, Any], partition: str | None) -> list[tuple[bytes, bytes | None]]:
    found: list[tuple[bytes, bytes | None]] = await pending(
        lambda bridge, future: side.look(scope, partition, bridge, future)
    )
    return found


def _view(text: bytes, content: bytes | None, partition: str | None) -> EntryView:
    view: EntryView = json.loads(text)
    hidden = view["partitioned"] and partition is None
    view["body"] = None if content is None or hidden else base64.b64encode(content).decode()
    return view


def scope_of(url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The scope of a ``GET`` of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"url={url!r} is no URL of a response: write it with its host, as in http://localhost:8000/a")
    lines = [(b"host", parts.netloc.rpartition("@")[2].encode())]
    lines += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    path = parts.path or "/"
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode("ascii", "replace"),
        "query_string": parts.query.encode("ascii", "replace"),
        "root_path": "",
        "headers": lines,
    }


def summed(reports: list[Report]) -> Report:
    """The sum of several reports; what cannot be added is the first one's."""
    total: Report = json.loads(json.dumps(reports[0]))
    total["process"] = ""
    total["processes"] = sum(report["processes"] for report in reports)
    for report in reports[1:]:
        total["started"] = min(total["started"], report["started"])
        total["at"] = max(total["at"], report["at"])
        total["entries"] += report["entries"]
        total["bytes"] += report["bytes"]
        total["max_bytes"] += report["max_bytes"]
        total["bridge_queue"] += report["bridge_queue"]
        for whole, part in (
            (total["counts"], report["counts"]),
            (total["bypass"], report["bypass"]),
            (total["not_stored"], report["not_stored"]),
        ):
            _add(whole, part)
        _add_rules(total["rules"], report["rules"])
        _add_latency(total["latency"], report["latency"])
        _add_shared(total, report["shared"])
    total["top"] = {
        kind: _merged([top for report in reports for top in report["top"][kind]], kind) for kind in total["top"]
    }
    invalidations = [one for report in reports for one in report["invalidations"]]
    total["invalidations"] = sorted(invalidations, key=lambda one: -one["at"])[:MOST_INVALIDATIONS]
    return total


def _add(whole: dict[str, int], part: Mapping[str, int]) -> None:
    for name, number in part.items():
        whole[name] = whole.get(name, 0) + number


def _add_rules(whole: list[RuleCounts], part: list[RuleCounts]) -> None:
    by_rule = {counts["rule"]: counts for counts in whole}
    for counts in part:
        known = by_rule.get(counts["rule"])
        if known is None:
            whole.append(counts)
            continue
        for outcome in ("hit", "stale", "validated", "miss", "bypass"):
            known[outcome] += counts[outcome]


def _add_latency(whole: dict[str, Histogram], part: Mapping[str, Histogram]) -> None:
    for kind, spans in part.items():
        known = whole.setdefault(kind, Histogram(count=0, sum=0.0, buckets=[0] * len(spans["buckets"])))
        known["count"] += spans["count"]
        known["sum"] += spans["sum"]
        known["buckets"] = [a + b for a, b in zip(known["buckets"], spans["buckets"], strict=True)]


_SHARED_COUNTS = ("hits", "misses", "stored", "older", "leases", "waits", "outdated", "behind", "gaps", "epochs")


def _add_shared(total: Report, shared: dict[str, Any] | None) -> None:
    known = total["shared"]
    if known is None or shared is None:
        return
    for name in _SHARED_COUNTS:
        known[name] += shared[name]
    _add(known["faults"], shared["faults"])
    _add(known["unreadable"], shared["unreadable"])
    known["log_lag"] = max(known["log_lag"], shared["log_lag"])
    if shared["breaker"] == "open":
        known["breaker"] = "open"


def _merged(tops: list[Top], kind: str) -> list[Top]:
    """By key or tag: a key is the same in every process, and so are its bytes; hits are added."""
    by_name: dict[str, Top] = {}
    for top in tops:
        known = by_name.setdefault(top["key"] or top["name"], Top(**{**top, "hits": 0}))
        known["hits"] += top["hits"]
        known["bytes"] = max(known["bytes"], top["bytes"])
        known["entries"] = max(known["entries"], top["entries"])
    rank: Literal["hits", "bytes"] = "hits" if kind.endswith("hits") else "bytes"
    return sorted(by_name.values(), key=lambda top: (-top[rank], top["name"]))[:MOST_TOP]
