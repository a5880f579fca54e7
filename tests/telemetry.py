"""OpenTelemetry for a test of its own: providers that keep in memory what they are given."""

from collections.abc import Iterator, Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Gauge, InMemoryMetricReader, Metric, Sum
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hotplate import Cache
from hotplate.metrics.opentelemetry import Instrumentation, instrument

Point = tuple[str, frozenset[tuple[str, Any]]]


class Telemetry:
    """A tracer and a meter whose data can be looked at."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meters = MeterProvider([self._metrics])
        self.tracer = self.tracers.get_tracer("tests")

    def instrument(self, cache: Cache, **settings: Any) -> Instrumentation:
        return instrument(cache, tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    def spans(self, name: str | None = None) -> list[ReadableSpan]:
        """Those that have ended, in the order of their ends."""
        return [span for span in self._spans.get_finished_spans() if name in (None, span.name)]

    def only(self, name: str) -> ReadableSpan:
        (span,) = self.spans(name)
        return span

    def points(self) -> dict[Point, float]:
        """What the instruments say now, by name and attributes."""
        found: dict[Point, float] = {}
        for metric in self._collected():
            for point in metric.data.data_points:
                place = (metric.name, frozenset((point.attributes or {}).items()))
                assert place not in found, f"{place} is there twice"
                found[place] = point.value  # type: ignore[union-attr]
        return found

    def kinds(self) -> dict[str, str]:
        """By name: ``sum`` (it only grows), ``level`` (it is added up) or ``gauge``."""
        return {metric.name: _kind(metric.data) for metric in self._collected()}

    def _collected(self) -> Iterator[Metric]:
        data = self._metrics.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                yield from scope.metrics


def _kind(data: object) -> str:
    if isinstance(data, Sum):
        return "sum" if data.is_monotonic else "level"
    assert isinstance(data, Gauge)
    return "gauge"


def attributes(span: Any) -> Mapping[str, Any]:
    """Of a span that has ended or has not."""
    found: Mapping[str, Any] = span.attributes
    return found
