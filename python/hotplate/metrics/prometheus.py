"""The numbers of a cache in a registry of ``prometheus_client``, beside the application's own.

from prometheus_client import REGISTRY
from hotplate.metrics.prometheus import HotplateCollector

REGISTRY.register(HotplateCollector(cache))

Needs the extra ``hotplate[prometheus]``. Names and values are those of ``hotplate.metrics.text``. Nothing is counted
here: a scrape reads what the engine has counted.
"""

import asyncio
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from hotplate.bridges import is_on_event_loop
from hotplate.cache import Cache
from hotplate.errors import ConfigError
from hotplate.metrics.catalogue import METRICS, Metric, Timing
from hotplate.metrics.exposition import cumulative, is_comparable
from hotplate.metrics.selection import Processes, check, selected

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric as Family

    from hotplate.watching import Report

__all__ = ["HotplateCollector"]


class HotplateCollector(Collector):
    """Gives a registry the metrics of one or several caches.

    ``processes``: whose. ``"own"``, this process, is right where every process is scraped, or pushes, for itself. With
    ``"host"`` and ``"all"``, for several processes behind one port, a scrape asks the shared tier and waits for it with
    its thread: so it must come in a thread, as that of ``prometheus_client.start_http_server`` does, and not on an
    event loop, as that of ``make_asgi_app``; there use ``await hotplate.metrics.scrape(cache)``.
    """

    def __init__(self, *caches: Cache, processes: Processes = "own") -> None:
        check(processes)
        if not caches or not all(isinstance(cache, Cache) for cache in caches):
            raise ConfigError(f"caches={caches!r} cannot be read: write HotplateCollector(cache)")
        self._caches = caches
        self._processes: Processes = processes

    def describe(self) -> "Iterable[Family]":
        """The metrics without numbers; what a registry asks for when the collector is registered."""
        return [_family(metric) for metric in METRICS]

    def collect(self) -> "Iterable[Family]":
        """The metrics of this moment."""
        reports = self._reports()
        for metric in METRICS:
            family = _family(metric, reports)
            if family.samples:
                yield family

    def _reports(self) -> "list[Report]":
        if self._processes == "own":
            return [cache.watch.report(top=False) for cache in self._caches]
        if is_on_event_loop():
            raise RuntimeError(
                f"HotplateCollector(processes={self._processes!r}) waits for the shared tier and was asked on an event "
                "loop: serve the registry from a thread (prometheus_client.start_http_server), or answer with "
                "await hotplate.metrics.scrape(cache)"
            )
        return asyncio.run(self._selected())

    async def _selected(self) -> "list[Report]":
        found = await asyncio.gather(*(selected(cache, self._processes) for cache in self._caches))
        return [report for reports in found for report in reports]


def _family(metric: Metric | Timing, reports: "Iterable[Report]" = ()) -> "Family":
    if isinstance(metric, Timing):
        timed = HistogramMetricFamily(metric.name, metric.text, labels=["process"])
        for report in reports:
            histogram = metric.read(report)
            if histogram is not None and is_comparable(histogram):
                timed.add_metric([report["process"]], cumulative(histogram), histogram["sum"])
        return timed
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    numbers = kind(metric.name, metric.text, labels=[*metric.labels, "process"])
    for report in reports:
        for values, number in metric.read(report):
            numbers.add_metric([*values, report["process"]], number)
    return numbers
