"""The numbers of a cache as instruments of OpenTelemetry, and what it does as spans.

from hotplate.metrics.opentelemetry import instrument

instrument(cache)

Needs the extra ``hotplate[opentelemetry]``, which is the API alone: which SDK and which exporter is the application's
choice. Every process tells its own numbers, whatever ``processes=`` is elsewhere: it has a resource of its own.

Instruments are observable: they are read when the SDK collects, and cost nothing in between. There is no observable
histogram (the specification has none), so latencies are three counters, ``hotplate.cache.duration.sum``, ``.count`` and
``.bucket`` with the attribute ``le``, as in Prometheus.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation

from hotplate.cache import Cache
from hotplate.errors import ConfigError
from hotplate.metrics.catalogue import METRICS, Metric, Timing
from hotplate.metrics.exposition import cumulative
from hotplate.metrics.spans import Spans

if TYPE_CHECKING:
    from hotplate.watching import Report

__all__ = ["Instrumentation", "instrument"]

_SCOPE = "hotplate"

_TIMINGS = [metric for metric in METRICS if isinstance(metric, Timing)]

_SNAPSHOT_SECONDS = 1.0
"""How old a report may be that instruments of one collection share."""

_instruments: "WeakKeyDictionary[metrics.MeterProvider, _Instruments]" = WeakKeyDictionary()
_global_instruments: "list[_Instruments]" = []
"""Those of the global provider, which may be set after they are made."""

_making = threading.Lock()


class Instrumentation:
    """What ``instrument`` has put on a cache."""

    def __init__(self, cache: Cache, spans: Spans, instruments: "_Instruments", name: str) -> None:
        self._cache = cache
        self._spans = spans
        self._instruments = instruments
        self._name = name

    def remove(self) -> None:
        """From here on no spans are made, and the instruments have no numbers of this cache any more."""
        if self._cache.observing.observer is self._spans:
            self._cache.observing.end()
            self._instruments.remove(self._name)


def instrument(
    cache: Cache,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    name: str = "default",
) -> Instrumentation:
    """Has OpenTelemetry see a cache: metrics, attributes on the span of a request, spans of loads and invalidations.

    Before or after the middlewares are made. The providers are the global ones unless given. ``name`` becomes the
    attribute ``hotplate.cache.name`` of the metrics: needed where a process has several caches.
    """
    if not isinstance(cache, Cache):
        raise ConfigError(f"cache={cache!r} is not a Cache: write instrument(cache)")
    if cache.observing.observer is not None:
        raise ConfigError("cache=... is instrumented already: call remove() of what instrument(cache) returned first")
    with _making:
        instruments = _instruments_of(meter_provider)
        instruments.add(name, cache)
    spans = Spans(trace.get_tracer(_SCOPE, tracer_provider=tracer_provider))
    cache.observing.begin(spans)
    return Instrumentation(cache, spans, instruments, name)


def _instruments_of(provider: metrics.MeterProvider | None) -> "_Instruments":
    if provider is None or provider is metrics.get_meter_provider():
        if not _global_instruments:
            _global_instruments.append(_Instruments(metrics.get_meter(_SCOPE)))
        return _global_instruments[0]
    if provider not in _instruments:
        _instruments[provider] = _Instruments(provider.get_meter(_SCOPE))
    return _instruments[provider]


class _Instruments:
    """The instruments of one provider: it has each name once, however many caches there are."""

    def __init__(self, meter: metrics.Meter) -> None:
        self._read: dict[str, _Snapshots] = {}
        make: dict[str, Callable[..., object]] = {
            "counter": meter.create_observable_counter,
            "level": meter.create_observable_up_down_counter,
            "gauge": meter.create_observable_gauge,
        }
        for metric in METRICS:
            if isinstance(metric, Metric) and metric.instrument:
                callback = self._callback(metric.instrument, _numbers_of(metric))
                make[metric.kind](metric.instrument, [callback], unit=metric.unit, description=metric.text)
        for part, unit, read, text in _DURATIONS:
            instrument = f"hotplate.cache.duration.{part}"
            make["counter"](instrument, [self._callback(instrument, read)], unit=unit, description=text)

    def add(self, name: str, cache: Cache) -> None:
        if name in self._read and self._read[name].is_alive():
            raise ConfigError(
                f"name={name!r} is another cache's: give each its own, as in instrument(cache, name='sessions')"
            )
        self._read[name] = _Snapshots(cache)

    def remove(self, name: str) -> None:
        self._read.pop(name, None)

    def _callback(self, instrument: str, read: "_Read") -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterator[Observation]:
            for name, snapshots in list(self._read.items()):
                report = snapshots.report(instrument)
                for attributes, number in () if report is None else read(report):
                    yield Observation(number, {"hotplate.cache.name": name, **attributes})

        return observe


class _Snapshots:
    """The report that the instruments of one collection share; ``None`` once the cache is gone.

    A report is made anew when an instrument asks for the second time: that is the next collection.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = ref(cache)
        self._asked: set[str] = set()
        self._until = float("-inf")
        self._report: Report | None = None

    def is_alive(self) -> bool:
        return self._cache() is not None

    def report(self, instrument: str) -> "Report | None":
        now = time.monotonic()
        if self._report is None or instrument in self._asked or now > self._until:
            cache = self._cache()
            self._report = None if cache is None else cache.watch.report(top=False)
            self._asked, self._until = set(), now + _SNAPSHOT_SECONDS
        self._asked.add(instrument)
        return self._report


_Read = Callable[[Any], Iterable[tuple[dict[str, str], float]]]


def _numbers_of(metric: Metric) -> _Read:
    names = [f"hotplate.cache.{label}" for label in metric.labels]

    def read(report: "Report") -> Iterator[tuple[dict[str, str], float]]:
        for values, number in metric.read(report):
            yield dict(zip(names, values, strict=True)), number

    return read


def _sums(report: "Report") -> Iterator[tuple[dict[str, str], float]]:
    for timing in _TIMINGS:
        if (histogram := timing.read(report)) is not None:
            yield {"hotplate.cache.duration.of": timing.what}, histogram["sum"]


def _counts(report: "Report") -> Iterator[tuple[dict[str, str], float]]:
    for timing in _TIMINGS:
        if (histogram := timing.read(report)) is not None:
            yield {"hotplate.cache.duration.of": timing.what}, histogram["count"]


def _buckets(report: "Report") -> Iterator[tuple[dict[str, str], float]]:
    for timing in _TIMINGS:
        if (histogram := timing.read(report)) is not None:
            for bound, number in cumulative(histogram):
                yield {"hotplate.cache.duration.of": timing.what, "le": bound}, number


_DURATIONS: list[tuple[str, str, _Read, str]] = [
    ("sum", "s", _sums, "Seconds taken by hits, misses, lookups in the shared tier and loads."),
    ("count", "{operation}", _counts, "Hits, misses, lookups in the shared tier and loads that were timed."),
    ("bucket", "{operation}", _buckets, "How many of them took no longer than le seconds."),
]
