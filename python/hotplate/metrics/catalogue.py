"""Every metric there is: its names, what it says, and where in a report its numbers are.

One list for all who read it: the text for Prometheus (``exposition``), the collector (``prometheus``) and the
instruments of OpenTelemetry (``opentelemetry``). The page docs/monitoring.md, the dashboard and the alert rules are
checked against it by tests.

A report may come from a process of another release: what it does not have is left out, and what is new in it not read.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from hotplate.watching import Histogram, Report

__all__ = ["METRICS", "Metric", "Numbers", "Timing"]

Numbers: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
"""The values of the labels, in their order, and the number."""

Read: TypeAlias = "Callable[[Report], Numbers]"


@dataclass(frozen=True, slots=True)
class Metric:
    """Numbers of one name."""

    name: str
    """For Prometheus; a counter without its ``_total``."""
    kind: Literal["counter", "level", "gauge"]
    """What only grows; what is now, and means something added up; what is now, and does not."""
    text: str
    read: Read
    instrument: str
    """For OpenTelemetry; ``""``: there is none."""
    unit: str = ""
    """As UCUM writes it, for OpenTelemetry."""
    labels: tuple[str, ...] = ()
    """Beside ``process``."""

    @property
    def samples(self) -> str:
        """The name of its samples."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


@dataclass(frozen=True, slots=True)
class Timing:
    """A histogram of seconds."""

    name: str
    text: str
    what: str
    """Which of ``Report["latency"]``."""

    def read(self, report: "Report") -> "Histogram | None":
        """The histogram, if the report has one; a process in memory has no shared tier to time."""
        if self.what == "shared" and report["shared"] is None:
            return None
        return report["latency"].get(self.what)


def _at(*where: str, value: Callable[[Any], float] | None = None) -> Read:
    """The number at a place of the report."""

    def read(report: "Report") -> Numbers:
        found = _found(report, where)
        if found is not None:
            yield (), found if value is None else value(found)

    return read


def _each(*where: str) -> Read:
    """The numbers at a place of the report, by name."""

    def read(report: "Report") -> Numbers:
        for name, number in (_found(report, where) or {}).items():
            yield (name,), number

    return read


def _found(report: Any, where: tuple[str, ...]) -> Any:
    for name in where:
        if report is None:
            return None
        report = report.get(name)
    return report


def _requests(report: "Report") -> Numbers:
    for counts in report["rules"]:
        rule: dict[str, Any] = {**counts}
        for outcome in ("hit", "stale", "validated", "miss", "bypass"):
            yield (outcome, rule["rule"]), rule.get(outcome, 0)


def _errors(report: "Report") -> Numbers:
    for kind, where in (("fault", "faults"), ("unreadable", "unreadable")):
        for (reason,), number in _each("shared", where)(report):
            yield (kind, reason), number


def _is_open(breaker: str) -> float:
    return float(breaker != "closed")


_LOOKUPS, _LOADS, _ENTRIES, _REQUESTS = "{lookup}", "{load}", "{entry}", "{request}"


def _count(name: str, unit: str, text: str) -> Metric:
    return Metric(f"hotplate_{name}", "counter", text, _at("counts", name), f"hotplate.cache.{name}", unit)


def _shared(name: str, unit: str, text: str, as_name: str = "") -> Metric:
    read = _at("shared", name)
    return Metric(
        f"hotplate_{as_name or 'shared_' + name}", "counter", text, read, f"hotplate.cache.shared.{name}", unit
    )


METRICS: tuple[Metric | Timing, ...] = (
    # Requests and lookups.
    Metric(
        "hotplate_requests",
        "counter",
        "HTTP requests, each counted once, by what they got and the rule that spoke for them.",
        _requests,
        "hotplate.cache.requests",
        _REQUESTS,
        ("outcome", "rule"),
    ),
    Metric(
        "hotplate_bypass",
        "counter",
        "Requests answered without looking for a stored response, by reason.",
        _each("bypass"),
        "hotplate.cache.bypasses",
        _REQUESTS,
        ("reason",),
    ),
    Metric(
        "hotplate_not_stored",
        "counter",
        "Responses of misses that could not be stored, by reason.",
        _each("not_stored"),
        "hotplate.cache.not_stored",
        "{response}",
        ("reason",),
    ),
    _count("hits", _LOOKUPS, "Requests, lookups of values and calls of functions answered from what is fresh."),
    _count("stale", _LOOKUPS, "The same, answered with something stale."),
    _count("validated", _LOOKUPS, "Requests answered from what is stored after the application confirmed it."),
    _count("misses", _LOOKUPS, "Requests forwarded to be stored, functions run, lookups of values that found none."),
    _count("collapsed", _REQUESTS, "Requests that waited for another one's load instead of running the handler."),
    _count("refreshes", _LOADS, "Loads of something stale that nobody waited for."),
    _count("failed_loads", _LOADS, "Loads that ended in an exception or a server error."),
    Timing("hotplate_hit_duration_seconds", "Requests answered from what is stored.", "hit"),
    Timing("hotplate_miss_duration_seconds", "Requests that waited for the application.", "miss"),
    Timing("hotplate_shared_duration_seconds", "Lookups in the shared tier.", "shared"),
    Timing("hotplate_load_duration_seconds", "Runs of the application for what is to be stored.", "load"),
    # What is stored.
    Metric(
        "hotplate_entries",
        "level",
        "Stored responses, values and markers of variants in memory.",
        _at("entries"),
        "hotplate.cache.entry.count",
        _ENTRIES,
    ),
    Metric(
        "hotplate_stored_bytes",
        "level",
        "Bytes they take, index included.",
        _at("bytes"),
        "hotplate.cache.memory.usage",
        "By",
    ),
    Metric(
        "hotplate_max_bytes",
        "level",
        "The bound on hotplate_stored_bytes.",
        _at("max_bytes"),
        "hotplate.cache.memory.limit",
        "By",
    ),
    _count("stored", _ENTRIES, "Responses and values stored."),
    _count("evictions", _ENTRIES, "Responses and values dropped for room."),
    _count("invalidations", "{record}", "Records of invalidation written."),
    # The shared tier: no samples in memory.
    Metric(
        "hotplate_shared_up",
        "gauge",
        "Whether the shared tier is connected and answers.",
        _at("shared", "up", value=float),
        "hotplate.cache.shared.up",
        "1",
    ),
    Metric(
        "hotplate_shared_certain",
        "gauge",
        "Whether the invalidation log is being read: what is served from memory is known to be true.",
        _at("shared", "certain", value=float),
        "hotplate.cache.shared.certain",
        "1",
    ),
    Metric(
        "hotplate_breaker_open",
        "gauge",
        "Whether the shared tier is not asked at the moment, because it did not answer.",
        _at("shared", "breaker", value=_is_open),
        "hotplate.cache.shared.breaker.open",
        "1",
    ),
    Metric(
        "hotplate_errors",
        "counter",
        "Calls of the shared tier without an answer (fault), and entries there that are none (unreadable), by reason.",
        _errors,
        "hotplate.cache.errors",
        "{error}",
        ("kind", "reason"),
    ),
    _shared("hits", _LOOKUPS, "Usable entries found in the shared tier."),
    _shared("misses", _LOOKUPS, "Lookups in the shared tier that found nothing usable."),
    _shared("stored", _ENTRIES, "Entries written to the shared tier."),
    _shared("older", _ENTRIES, "Writes that found something newer in the shared tier and left it."),
    _shared("outdated", _ENTRIES, "Entries found in the shared tier that the log says are untrue."),
    _shared("behind", _ENTRIES, "Entries found in the shared tier before the log was read that far, and given up."),
    _shared("leases", _LOADS, "Loads that this process ran for all."),
    _shared("waits", _LOOKUPS, "Lookups that waited for a load of another process."),
    # The invalidation log.
    Metric(
        "hotplate_log_lag_records",
        "gauge",
        "Records of the invalidation log that this process knows of and has not applied.",
        _at("shared", "log_lag"),
        "hotplate.cache.log.lag",
        "{record}",
    ),
    _shared("gaps", "{gap}", "Times the whole log had to be read.", "log_gaps"),
    _shared("epochs", "{epoch}", "Times records may have been lost, and all that was stored given up.", "log_epochs"),
    # The process.
    Metric(
        "hotplate_bridge_queue",
        "level",
        "Answers of the shared tier that wait for an event loop.",
        _at("bridge_queue"),
        "hotplate.cache.bridge.queue.length",
        "{answer}",
    ),
    Metric(
        "hotplate_processes", "level", "Processes: 1 of each, so that the sum is their number.", _at("processes"), ""
    ),
    Metric("hotplate_start_time_seconds", "gauge", "When the cache was made, in unix time.", _at("started"), ""),
)
