"""``hotplate stats`` and ``hotplate top``: the numbers of a running cache."""

import argparse
import time
from typing import Any

from hotplate.cli.connection import Running, connected
from hotplate.cli.display import Cell, Column, Display
from hotplate.cli.ends import DONE
from hotplate.cli.figures import age_text, bytes_text, count_text, quantile, seconds_text, share_text

__all__ = ["stats", "top"]

OUTCOMES = ("hits", "stale", "validated", "misses")
"""What a request that the cache could have answered got. The first three were answered from what is stored."""

LATENCIES = {"hit": "hits", "miss": "misses", "shared": "shared tier", "load": "application"}


def stats(arguments: argparse.Namespace, display: Display) -> int:
    """What all processes have counted; again and again with ``--watch``, until stopped."""
    running = connected(arguments, display)
    try:
        left = arguments.count if arguments.watch else 1
        before: dict[str, Any] | None = None
        while True:
            now = running.stats()
            if arguments.json:
                display.json(now)
            else:
                _show(now, before, display)
            left = None if left is None else left - 1
            if left == 0:
                return DONE
            before = now
            time.sleep(arguments.interval)
            if not arguments.json:
                display.again()
    except KeyboardInterrupt:
        if not arguments.watch:
            raise
        return DONE  # how people end it
    finally:
        running.close()


def _show(now: dict[str, Any], before: dict[str, Any] | None, display: Display) -> None:
    total: dict[str, Any] = now["sum"]
    counts = total["counts"]
    answered = sum(counts[name] for name in OUTCOMES)
    served = answered - counts["misses"]
    display.fields(
        [
            ("processes", _processes(now["processes"])),
            ("hit rate", Cell(share_text(served, answered), "strong")),
            ("requests", _outcomes(counts) + _rate(now, before)),
            ("collapsed", f"{count_text(counts['collapsed'])} waited for another one's load"),
            ("loads", f"{count_text(counts['stored'])} stored, {count_text(counts['failed_loads'])} failed"),
            ("memory", _memory(total)),
            ("invalidations", count_text(counts["invalidations"])),
            *_shared(total),
            *_refused(now),
        ]
    )
    _latencies(total, display)
    _rules(total, display)
    for title, reasons in (("forwarded without a lookup", total["bypass"]), ("not stored", total["not_stored"])):
        rows = [
            [reason, count_text(count)] for reason, count in sorted(reasons.items(), key=lambda one: -one[1]) if count
        ]
        if rows:
            display.line("")
            display.table([Column(title), Column("requests", is_number=True)], rows)
    if len(now["processes"]) > 1:
        display.line("")
        display.table(_OF_PROCESSES, [_process(report) for report in now["processes"]])


def _processes(reports: list[dict[str, Any]]) -> str:
    oldest = min((report["started"] for report in reports), default=None)
    now = max((report["at"] for report in reports), default=0.0)
    return f"{len(reports)}" + ("" if oldest is None else f", the oldest since {age_text(now - oldest)}")


def _outcomes(counts: dict[str, int]) -> str:
    names = {"hits": "hits", "stale": "stale", "validated": "validated", "misses": "misses"}
    return ", ".join(f"{count_text(counts[name])} {word}" for name, word in names.items())


def _rate(now: dict[str, Any], before: dict[str, Any] | None) -> str:
    """Requests in a second since the last look, where there was one."""
    if before is None:
        return ""
    passed = now["sum"]["at"] - before["sum"]["at"]
    grown = sum(now["sum"]["counts"][name] - before["sum"]["counts"][name] for name in OUTCOMES)
    return f", {grown / passed:,.0f} in a second" if passed > 0 and grown >= 0 else ""


def _memory(total: dict[str, Any]) -> str:
    room = f"{bytes_text(total['bytes'])} of {bytes_text(total['max_bytes'])}"
    return f"{room}, {count_text(total['entries'])} entries, {count_text(total['counts']['evictions'])} evicted"


def _shared(total: dict[str, Any]) -> list[tuple[str, str | Cell]]:
    shared = total["shared"]
    if shared is None:
        return [("shared tier", "none: in memory")]
    well = shared["up"] and shared["certain"] and shared["breaker"] == "closed"
    state = "up" if shared["up"] else "down"
    lines: list[tuple[str, str | Cell]] = [
        (
            "shared tier",
            Cell(f"{shared['server'] or 'no server'}, {state}, breaker {shared['breaker']}", "good" if well else "bad"),
        ),
        ("log", f"position {count_text(shared['position'])}, {count_text(shared['log_lag'])} records behind"),
    ]
    if shared["trouble"]:
        lines.append(("trouble", Cell(shared["trouble"], "bad")))
    faults = {reason: count for reason, count in (shared["faults"] | shared["unreadable"]).items() if count}
    if faults:
        lines.append(("faults", Cell(", ".join(f"{count_text(n)} {reason}" for reason, n in faults.items()), "warn")))
    return lines


def _refused(now: dict[str, Any]) -> list[tuple[str, str | Cell]]:
    """Requests to the admin API without a valid token, where it was asked."""
    count = now.get("auth_failures", 0)
    return (
        [("refused", Cell(f"{count_text(count)} requests to the admin API without a valid token", "warn"))]
        if count
        else []
    )


def _latencies(total: dict[str, Any], display: Display) -> None:
    rows = []
    for kind, name in LATENCIES.items():
        histogram = total["latency"].get(kind)
        if histogram and histogram["count"]:
            typical = [seconds_text(quantile(histogram, share)) for share in (0.5, 0.95, 0.99)]
            rows.append([name, count_text(histogram["count"]), *typical])
    if rows:
        display.line("")
        names = ("count", "p50", "p95", "p99")
        display.table([Column("latency"), *(Column(name, is_number=True) for name in names)], rows)


def _rules(total: dict[str, Any], display: Display) -> None:
    names = ("hit", "stale", "validated", "miss", "bypass")
    used = [rule for rule in total["rules"] if any(rule[name] for name in names)]
    if used:
        display.line("")
        columns = [Column("rule", is_wide=True), *(Column(name, is_number=True) for name in names)]
        display.table(columns, [[rule["rule"], *(count_text(rule[name]) for name in names)] for rule in used])


_OF_PROCESSES = [
    Column("process", is_wide=True),
    Column("up for", is_number=True),
    Column("hits", is_number=True),
    Column("misses", is_number=True),
    Column("entries", is_number=True),
    Column("bytes", is_number=True),
]


def _process(report: dict[str, Any]) -> list[str | Cell]:
    return [
        report["process"],
        age_text(report["at"] - report["started"]),
        count_text(report["counts"]["hits"]),
        count_text(report["counts"]["misses"]),
        count_text(report["entries"]),
        bytes_text(report["bytes"]),
    ]


def top(arguments: argparse.Namespace, display: Display) -> int:
    """What is asked for most, or takes most room: keys, or tags."""
    running: Running = connected(arguments, display)
    try:
        total = running.stats()["sum"]
    finally:
        running.close()
    what = "tags" if arguments.tags else "keys"
    found = total["top"].get(f"{what}_by_{arguments.by}", [])[: arguments.most]
    if arguments.json:
        display.json(found)
        return DONE
    numbers = [Column("hits", is_number=True), Column("bytes", is_number=True), Column("entries", is_number=True)]
    name = Column("tag" if arguments.tags else "key", is_wide=True)
    rows = [
        [count_text(one["hits"]), bytes_text(one["bytes"]), count_text(one["entries"]), one["name"]] for one in found
    ]
    if rows:
        display.table([*numbers, name], rows)
    else:
        display.line("nothing is stored, or nothing was asked for yet")
    return DONE
