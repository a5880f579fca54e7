"""Metrics as text: what Prometheus' own parser reads from it, and that it is what the reports say."""

import math
import subprocess
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from hotplate.metrics import text
from hotplate.metrics.catalogue import METRICS, Metric, Timing
from hotplate.watching import BOUNDS, Report
from tests.reports import report, shared
from tests.samples import Samples

PROCESS = "web-1:7:0"


def samples(*reports: Report) -> Samples:
    return Samples.read(text(reports))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("hotplate_hits_total", 10),
        ("hotplate_misses_total", 4),
        ("hotplate_stale_total", 3),
        ("hotplate_validated_total", 2),
        ("hotplate_collapsed_total", 1),
        ("hotplate_stored_total", 5),
        ("hotplate_failed_loads_total", 6),
        ("hotplate_invalidations_total", 7),
        ("hotplate_evictions_total", 8),
        ("hotplate_refreshes_total", 9),
        ("hotplate_entries", 14),
        ("hotplate_stored_bytes", 15_000),
        ("hotplate_max_bytes", 64 * 2**20),
        ("hotplate_bridge_queue", 0),
        ("hotplate_processes", 1),
        ("hotplate_start_time_seconds", 1_700_000_000),
    ],
)
def test_a_number_has_its_name(name: str, number: float) -> None:
    assert samples(report()).value(name, process=PROCESS) == number


def test_requests_are_told_by_outcome_and_rule() -> None:
    found = samples(report())
    assert found.value("hotplate_requests_total", outcome="hit", rule="/products/*", process=PROCESS) == 6
    assert found.value("hotplate_requests_total", outcome="bypass", rule="default", process=PROCESS) == 23
    assert found.sum("hotplate_requests_total") == 42


def test_reasons_are_labels() -> None:
    found = samples(report())
    assert found.value("hotplate_bypass_total", reason="cookie", process=PROCESS) == 12
    assert found.value("hotplate_not_stored_total", reason="no-store", process=PROCESS) == 13


def test_a_histogram_is_cumulative_with_a_sum_and_a_count() -> None:
    found = samples(report())
    name = "hotplate_hit_duration_seconds_bucket"
    by_bound = [found.value(name, le=repr(bound), process=PROCESS) for bound in BOUNDS]
    assert by_bound == [2, 3, *[3] * 12, 3, *[4] * 5]
    assert found.value("hotplate_hit_duration_seconds_bucket", le="+Inf", process=PROCESS) == 4
    assert found.value("hotplate_hit_duration_seconds_count", process=PROCESS) == 4
    assert math.isclose(found.value("hotplate_hit_duration_seconds_sum", process=PROCESS), 0.300016)


def test_what_took_longer_than_all_bounds_is_in_the_last_bucket_alone() -> None:
    found = samples(report())
    assert found.value("hotplate_miss_duration_seconds_bucket", le="10.0", process=PROCESS) == 1
    assert found.value("hotplate_miss_duration_seconds_bucket", le="+Inf", process=PROCESS) == 2


def test_a_cache_in_memory_has_no_samples_of_the_shared_tier() -> None:
    told = text([report()])
    assert [word for word in ("shared", "breaker", "errors", "log_") if f"hotplate_{word}" in told] == []


@pytest.mark.parametrize(
    ("name", "labels", "number"),
    [
        ("hotplate_shared_up", {}, 1),
        ("hotplate_shared_certain", {}, 1),
        ("hotplate_shared_hits_total", {}, 1),
        ("hotplate_shared_misses_total", {}, 2),
        ("hotplate_shared_stored_total", {}, 3),
        ("hotplate_shared_older_total", {}, 4),
        ("hotplate_shared_leases_total", {}, 5),
        ("hotplate_shared_waits_total", {}, 6),
        ("hotplate_shared_outdated_total", {}, 7),
        ("hotplate_shared_behind_total", {}, 8),
        ("hotplate_log_gaps_total", {}, 9),
        ("hotplate_log_epochs_total", {}, 10),
        ("hotplate_log_lag_records", {}, 14),
        ("hotplate_errors_total", {"kind": "fault", "reason": "lost"}, 12),
        ("hotplate_errors_total", {"kind": "unreadable", "reason": "checksum"}, 13),
    ],
)
def test_the_shared_tier_has_its_numbers(name: str, labels: dict[str, str], number: float) -> None:
    assert samples(report(shared=shared())).value(name, **labels, process=PROCESS) == number


@pytest.mark.parametrize(("state", "number"), [("closed", 0), ("open", 1), ("half-open", 1)])
def test_a_breaker_that_is_not_closed_is_open(state: str, number: float) -> None:
    assert samples(report(shared=shared(breaker=state))).value("hotplate_breaker_open", process=PROCESS) == number


def test_a_shared_tier_that_is_down_is_zero() -> None:
    found = samples(report(shared=shared(up=False, certain=False)))
    for name in ("hotplate_shared_up", "hotplate_shared_certain"):
        assert found.value(name, process=PROCESS) == 0


def test_several_processes_stand_beside_each_other_and_add_up() -> None:
    found = samples(report("web-1:7:0"), report("web-1:8:0"), report("web-2:7:0"))
    assert found.value("hotplate_hits_total", process="web-2:7:0") == 10
    assert found.sum("hotplate_hits_total") == 30
    assert found.sum("hotplate_processes") == 3


def test_nothing_is_no_text() -> None:
    assert text([]) == ""


HOSTILE = [
    'a"b',
    "a\\b",
    "a\nb",
    'a",process="forged"} 1\nhotplate_hits_total{process="x',
    "a\\",
    "\\n",
    "{}",
    "ключ 🔑",
    "",
    "\x00\x1b[31m",
    "\r",
    "\u2028",
]


@pytest.mark.parametrize("rule", HOSTILE)
def test_a_label_comes_back_as_it_was(rule: str) -> None:
    rules = [{"rule": rule, "hit": 1, "stale": 0, "validated": 0, "miss": 0, "bypass": 0}]
    found = samples(report(rules=rules))
    assert found.sum("hotplate_requests_total", rule=rule, outcome="hit") == 1
    assert found.sum("hotplate_hits_total") == 10
    assert {dict(labels).get("process") for _, labels in found.values} == {PROCESS}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_introduced_before_its_samples(metric: Metric | Timing) -> None:
    lines = text([report(shared=shared())]).splitlines()
    name = metric.name if isinstance(metric, Timing) else metric.samples
    place = lines.index(f"# HELP {name} {metric.text}")
    kind = "histogram" if isinstance(metric, Timing) else "counter" if metric.kind == "counter" else "gauge"
    assert lines[place + 1] == f"# TYPE {name} {kind}"
    assert lines[place + 2].startswith(name)


def test_no_name_is_used_twice() -> None:
    for names in ([metric.name for metric in METRICS], _instruments()):
        assert len(set(names)) == len(names)


def _instruments() -> list[str]:
    return [metric.instrument for metric in METRICS if isinstance(metric, Metric) and metric.instrument]


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in METRICS:
        name = metric.name if isinstance(metric, Timing) else metric.samples
        assert name.startswith("hotplate_")
        assert name == name.lower()
        assert name.endswith("_total") == (isinstance(metric, Metric) and metric.kind == "counter")
        assert "_count" not in metric.name
        assert metric.text.endswith(".")


# Reports of another release, in a rolling deployment.


def test_what_a_report_does_not_have_is_left_out() -> None:
    old = report("old:1:0", counts={"hits": 1}, latency={}, shared={"up": True})
    found = samples(report(), old)
    assert found.value("hotplate_hits_total", process="old:1:0") == 1
    assert found.sum("hotplate_misses_total") == 4
    assert found.sum("hotplate_shared_up") == 1


def test_a_histogram_of_other_bounds_is_left_out() -> None:
    odd = report("old:1:0", latency={"hit": {"count": 1, "sum": 1.0, "buckets": [1, 0, 0]}})
    found = samples(report(), odd)
    assert found.sum("hotplate_hit_duration_seconds_count") == 4


# OpenMetrics.


def openmetrics_samples(*reports: Report) -> Samples:
    return Samples.of(openmetrics_families(text(reports, openmetrics=True)))  # type: ignore[no-untyped-call]


def test_openmetrics_has_the_same_samples() -> None:
    reports = [report(shared=shared()), report("web-2:7:0")]
    assert openmetrics_samples(*reports) == samples(*reports)


@pytest.mark.parametrize("rule", HOSTILE)
def test_openmetrics_gives_labels_back_too(rule: str) -> None:
    rules = [{"rule": rule, "hit": 1, "stale": 0, "validated": 0, "miss": 0, "bypass": 0}]
    found = openmetrics_samples(report(rules=rules))
    assert found.sum("hotplate_requests_total", rule=rule, outcome="hit") == 1


@pytest.mark.parametrize("absent", ["prometheus_client", "opentelemetry"])
def test_text_needs_no_package(absent: str) -> None:
    code = f"import hotplate.metrics, sys; sys.exit({absent!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
