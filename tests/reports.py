"""Reports made by hand, of processes that there are not."""

from typing import Any

from hotplate.watching import BOUNDS, Histogram, Report


def histogram(*seconds: float) -> Histogram:
    """What the engine would have counted."""
    buckets = [0] * (len(BOUNDS) + 1)
    for one in seconds:
        buckets[sum(one > bound for bound in BOUNDS)] += 1
    return Histogram(count=len(seconds), sum=sum(seconds), buckets=buckets)


def report(process: str = "web-1:7:0", **changes: Any) -> Report:
    """A process in memory that has served a little; ``changes`` replace parts."""
    made: dict[str, Any] = {
        "process": process,
        "host": process.partition(":")[0],
        "pid": 7,
        "started": 1_700_000_000.0,
        "at": 1_700_000_060.0,
        "processes": 1,
        "counts": {
            "hits": 10,
            "misses": 4,
            "stale": 3,
            "validated": 2,
            "collapsed": 1,
            "stored": 5,
            "failed_loads": 6,
            "invalidations": 7,
            "evictions": 8,
            "refreshes": 9,
        },
        "bypass": {"method": 11, "cookie": 12},
        "not_stored": {"no-store": 13},
        "rules": [
            {"rule": "/products/*", "hit": 6, "stale": 3, "validated": 2, "miss": 3, "bypass": 0},
            {"rule": "default", "hit": 4, "stale": 0, "validated": 0, "miss": 1, "bypass": 23},
        ],
        "latency": {
            "hit": histogram(4e-6, 5e-6, 7e-6, 0.3),
            "miss": histogram(0.02, 11.0),
            "shared": histogram(),
            "load": histogram(0.02),
        },
        "entries": 14,
        "bytes": 15_000,
        "max_bytes": 64 * 2**20,
        "shared": None,
        "bridge_queue": 0,
        "top": {"keys_by_hits": [], "keys_by_bytes": [], "tags_by_hits": [], "tags_by_bytes": []},
        "invalidations": [],
    }
    made.update(changes)
    return made  # type: ignore[return-value]


def shared(**changes: Any) -> dict[str, Any]:
    """What a process has seen of the shared tier."""
    made: dict[str, Any] = {
        "up": True,
        "certain": True,
        "server": "redis 7.0.15",
        "trouble": None,
        "epoch": 1,
        "position": 7,
        "hits": 1,
        "misses": 2,
        "stored": 3,
        "older": 4,
        "leases": 5,
        "waits": 6,
        "outdated": 7,
        "behind": 8,
        "gaps": 9,
        "epochs": 10,
        "faults": {"timeout": 11, "lost": 12},
        "unreadable": {"checksum": 13},
        "breaker": "closed",
        "log_lag": 14,
    }
    return made | changes
