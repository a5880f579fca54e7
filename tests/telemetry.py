"""OpenTelemetry for a test of its own: providers that keep in memory what they are given."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
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
        data = self._metrics.get_metrics_data()
        found: dict[Point, float] = {}
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    for point in metric.data.data_points:
                        place = (metric.name, frozenset((point.attributes or {}).items()))
                        assert place not in found, f"{place} is there twice"
                        found[place] = point.value  # type: ignore[union-attr]
        return found


def attributes(span: Any) -> Mapping[str, Any]:
    """Of a span that has ended or has not."""
    found: Mapping[str, Any] = span.attributes
    return found
