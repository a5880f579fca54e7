"""What ``stats``, ``top``, ``inspect`` and ``invalidate`` write of a cache whose numbers are known."""

import base64
import copy
from typing import Any

import pytest

from hotplate import Cache
from hotplate.cli import main
from hotplate.watching import BOUNDS, Report

SHARED = {
    "up": True,
    "certain": True,
    "server": "Redis 7.4.1 at db:6379",
    "trouble": None,
    "epoch": 7,
    "position": 12_345,
    "breaker": "closed",
    "log_lag": 0,
    "faults": {"timeout": 0},
    "unreadable": {},
}


class Scripted:
    """A running cache that says what it is told to."""

    def __init__(self, *reports: dict[str, Any]) -> None:
        self.reports = list(reports)
        self.found: list[dict[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.position = 7
        self.closed = False

    def stats(self) -> dict[str, Any]:
        report = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        return {"sum": report, "processes": [report]}

    def entries(self, **asked: Any) -> list[dict[str, Any]]:
        self.asked.append(("entries", asked))
        return self.found

    def preview(self, targets: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(("preview", targets))
        return {"entries": 3, "bytes": 2048, "names": ["GET a/1", "GET a/2"]}

    def invalidate(self, targets: dict[str, Any], *, soft: bool) -> int:
        self.asked.append(("invalidate", targets | {"soft": soft}))
        return self.position

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def report(cache: Cache) -> dict[str, Any]:
    report: Report = cache.watch.report()
    known: dict[str, Any] = copy.deepcopy(dict(report))
    known |= {"started": 1000.0, "at": 1090.0, "entries": 1200, "bytes": 3 * 2**20, "shared": SHARED, "processes": 2}
    known["counts"] |= {"hits": 900, "misses": 90, "stale": 9, "validated": 1, "collapsed": 4, "stored": 80}
    return known


@pytest.fixture
def running(report: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted(report)
    for module in ("stats", "lookups", "invalidate"):
        monkeypatch.setattr(f"hotplate.cli.{module}.connected", lambda *_: scripted)
    return scripted


def written(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(arguments) == status
    return capsys.readouterr().out


def test_the_numbers_of_a_cache(running: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "stats")
    assert running.closed
    assert text.splitlines() == [
        "processes      1, the oldest since 1m 30s",
        "hit rate       91.0 %",
        "requests       900 hits, 9 stale, 1 validated, 90 misses",
        "collapsed      4 waited for another one's load",
        "loads          80 stored, 0 failed",
        "memory         3 MiB of 16 MiB, 1,200 entries, 0 evicted",
        "invalidations  0",
        "shared tier    Redis 7.4.1 at db:6379, up, breaker closed",
        "log            position 12,345, 0 records behind",
    ]


def test_requests_in_a_second_since_the_last_look(
    running: Scripted, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    later = copy.deepcopy(report)
    later["at"] += 2
    later["counts"]["hits"] += 500
    running.reports = [report, later]
    text = written(capsys, "stats", "--watch", "--count", "2", "--interval", "0.001")
    assert text.count("in a second") == 1
    assert "requests       1,400 hits, 9 stale, 1 validated, 90 misses, 250 in a second\n" in text


def test_trouble_with_the_shared_tier_is_said(
    running: Scripted, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    trouble = {
        "up": False,
        "server": None,
        "trouble": "db:6379 does not answer\x1b[2J",
        "breaker": "open",
        "log_lag": 3,
    }
    report["shared"] = SHARED | trouble | {"faults": {"timeout": 5, "down": 0}, "unreadable": {"checksum": 1}}
    text = written(capsys, "stats")
    assert "shared tier    no server, down, breaker open\n" in text
    assert "log            position 12,345, 3 records behind\n" in text
    assert "trouble        db:6379 does not answer\\x1b[2J\n" in text
    assert "faults         5 timeout, 1 checksum\n" in text
    report["shared"] = None
    assert "shared tier    none: in memory\n" in written(capsys, "stats")


def test_latencies_rules_and_reasons_are_tables(
    running: Scripted, report: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    buckets = [0] * (len(BOUNDS) + 1)
    buckets[2] = 1000  # 10 to 25 µs
    report["latency"] = {"hit": {"count": 1000, "sum": 0.02, "buckets": buckets}}
    report["rules"] = [
        {"rule": "/products/*", "hit": 900, "stale": 9, "validated": 1, "miss": 90, "bypass": 0},
        {"rule": "default", "hit": 0, "stale": 0, "validated": 0, "miss": 0, "bypass": 0},
    ]
    report["bypass"] = {"method": 3, "excluded": 12, "cookie": 0}
    text = written(capsys, "stats")
    assert "LATENCY  COUNT      P50      P95      P99\nhits     1,000  17.5 µs  24.2 µs  24.9 µs\n" in text
    assert "/products/*  900      9          1    90       0\n" in text
    assert "default " not in text
    assert text.index("excluded                          12") < text.index("method                             3")
    assert "cookie" not in text


TOPS = {
    "keys_by_hits": [{"name": "GET a/1", "key": "0" * 32, "hits": 9000, "bytes": 1536, "entries": 1}] * 3,
    "tags_by_bytes": [{"name": "products", "key": "", "hits": 5, "bytes": 2**20, "entries": 250}],
}


def test_what_is_used_most(running: Scripted, report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert written(capsys, "top") == "nothing is stored, or nothing was asked for yet\n"
    report["top"] = TOPS
    assert written(capsys, "top", "-n", "2").splitlines() == [
        " HITS    BYTES  ENTRIES  KEY",
        "9,000  1.5 KiB        1  GET a/1",
        "9,000  1.5 KiB        1  GET a/1",
    ]
    assert written(capsys, "top", "--tags", "--by", "bytes").splitlines()[1].split() == [
        "5",
        "1",
        "MiB",
        "250",
        "products",
    ]


def entry(**known: Any) -> dict[str, Any]:
    return {
        "key": "ab" * 16,
        "name": "GET a/1",
        "kind": "response",
        "tier": "local",
        "status": 200,
        "age": 12.0,
        "ttl": 48.0,
        "stale_while_revalidate": 0.0,
        "stale_if_error": 0.0,
        "tags": [],
        "bytes": 427,
        "hits": 3,
        "partitioned": False,
        "soft": False,
        "valid": True,
        "vary": [],
        "headers": [],
        "body": None,
        **known,
    }


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({}, "state  fresh for 48s more"),
        ({"ttl": -5.0}, "state  stale for 5s"),
        ({"soft": True}, "state  stale: marked so by a soft invalidation"),
        ({"valid": False, "soft": True}, "state  invalidated: not served any more"),
        ({"status": None, "kind": "value"}, "kind   value"),
        ({"partitioned": True}, "partition  of its own"),
        ({"kind": "variants", "vary": ["accept-encoding", "x\x1b"]}, "varies by  accept-encoding, x\\x1b"),
        ({"stale_while_revalidate": 30.0}, "may be stale  30s while revalidating"),
        ({"headers": [["x-a", "b\r\nc"]]}, "x-a:  b\\r\\nc"),
        ({"body": base64.b64encode("Spätzle".encode()).decode()}, "Spätzle"),
        ({"body": base64.b64encode(b"\x89PNG\xff").decode()}, "(a body that is no text: about 6 B)"),
        ({"body": base64.b64encode(b"x" * 3000).decode()}, "x" * 2000 + " … (2.9 KiB in all)"),
    ],
)
def test_what_is_stored(
    running: Scripted, known: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running.found = [entry(**known)]
    assert line in written(capsys, "inspect", "product:1").splitlines()


@pytest.mark.parametrize(
    ("named", "url", "key"),
    [
        ("http://a/1", "http://a/1", None),
        ("HTTPS://a/1", "HTTPS://a/1", None),
        ("/a?x=1", "/a?x=1", None),
        ("product:1", None, "product:1"),
        ("ab" * 16, None, "ab" * 16),
    ],
)
def test_a_url_is_told_from_a_key(
    running: Scripted, named: str, url: str | None, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    written(capsys, "inspect", named, "--partition", "ann", status=1)
    assert running.asked == [("entries", {"url": url, "key": key, "partition": "ann", "body": False})]


def test_what_is_named_is_invalidated(running: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--tag", "a", "--tag", "b", "--path", "/p", "--prefix", "/q", "--key", "k", "--soft"]
    assert (
        written(capsys, "invalidate", *named) == "marked stale: tag a, tag b, path /p, prefix /q, key k (position 7)\n"
    )
    targets = {"tags": ["a", "b"], "paths": ["/p"], "prefixes": ["/q"], "keys": ["k"], "everything": False}
    assert running.asked == [("invalidate", targets | {"soft": True})]


def test_a_dry_run_invalidates_nothing(running: Scripted, capsys: pytest.CaptureFixture[str]) -> None:
    text = written(capsys, "invalidate", "--all", "--dry-run")
    assert text == "would match 3 entries, 2 KiB in the process that answers\n  GET a/1\n  GET a/2\n  and 1 more\n"
    assert [name for name, _ in running.asked] == ["preview"]


def test_without_a_terminal_everything_is_invalidated_without_a_question(
    running: Scripted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert written(capsys, "invalidate", "--all") == "invalidated: everything (position 7)\n"


def test_a_shared_tier_that_could_not_be_told_is_status_1(
    running: Scripted, capsys: pytest.CaptureFixture[str]
) -> None:
    running.position = 0
    assert main(["invalidate", "--tag", "a"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "tells the others when it is back" in told.err
