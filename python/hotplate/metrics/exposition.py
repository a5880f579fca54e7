"""Metrics as text, for Prometheus to read.

The text exposition format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), and OpenMetrics 1.0.
Every sample has the label ``process``: numbers of several processes stand beside each other, and ``sum`` adds them up.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from hotplate.metrics.catalogue import METRICS, Metric, Timing
from hotplate.watching import BOUNDS

if TYPE_CHECKING:
    from hotplate.watching import Histogram, Report

__all__ = ["CONTENT_TYPE", "OPENMETRICS_CONTENT_TYPE", "cumulative", "is_comparable", "text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of ``text``."""

OPENMETRICS_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The media type of ``text`` with ``openmetrics=True``."""


def text(reports: "Iterable[Report]", *, openmetrics: bool = False) -> str:
    """The metrics of these reports, as text. A metric that no report has is left out."""
    reports = list(reports)
    lines: list[str] = []
    for metric in METRICS:
        samples = list(_timed(metric, reports) if isinstance(metric, Timing) else _numbers(metric, reports))
        if samples:
            name = metric.name if openmetrics or isinstance(metric, Timing) else metric.samples
            kind = _kind(metric)
            lines += (f"# HELP {name} {_help(metric.text, openmetrics)}", f"# TYPE {name} {kind}")
            lines += samples
    if openmetrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines)


def is_comparable(histogram: "Histogram") -> bool:
    """Whether it has the bounds of this release: others would not fit beside it."""
    return len(histogram["buckets"]) == len(BOUNDS) + 1


def cumulative(histogram: "Histogram") -> list[tuple[str, int]]:
    """The buckets as Prometheus has them: each bound, and how many took no longer; the last is ``+Inf``."""
    buckets, count = [], 0
    for bound, number in zip((*map(float, BOUNDS), None), histogram["buckets"], strict=True):
        count += number
        buckets.append(("+Inf" if bound is None else repr(bound), count))
    return buckets


def _kind(metric: Metric | Timing) -> str:
    if isinstance(metric, Timing):
        return "histogram"
    return "counter" if metric.kind == "counter" else "gauge"


def _numbers(metric: Metric, reports: "Sequence[Report]") -> Iterator[str]:
    for report in reports:
        for values, number in metric.read(report):
            labels = _labels((*zip(metric.labels, values, strict=True), ("process", report["process"])))
            yield f"{metric.samples}{labels} {number}"


def _timed(metric: Timing, reports: "Sequence[Report]") -> Iterator[str]:
    for report in reports:
        histogram = metric.read(report)
        if histogram is None or not is_comparable(histogram):
            continue
        process = ("process", report["process"])
        buckets = cumulative(histogram)
        for bound, number in buckets:
            yield f"{metric.name}_bucket{_labels((process, ('le', bound)))} {number}"
        yield f"{metric.name}_sum{_labels((process,))} {histogram['sum']}"
        yield f"{metric.name}_count{_labels((process,))} {buckets[-1][1]}"


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _help(text: str, openmetrics: bool) -> str:
    return _escaped(text) if openmetrics else text.replace("\\", r"\\").replace("\n", r"\n")
