"""Faults in the log: each kind once in a while, with its parts as attributes, and nothing that is nobody's business."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from hotplate import Cache, Rule
from hotplate.codecs import Codec
from hotplate.faults import EVERY_SECONDS, MOST, Faults
from hotplate.testing import ManualClock
from tests.driver import Reply, Site
from tests.redis_servers import RedisServer


@pytest.fixture
def faults(clock: ManualClock) -> Faults:
    return Faults(clock.now)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "hotplate"]


def field(record: logging.LogRecord, name: str) -> Any:
    return getattr(record, name)


def test_a_reason_speaks_once_in_ten_seconds(
    faults: Faults, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    told = []
    for _ in range(25):
        told.append(faults.report("slow", "too slow"))
        clock.advance(1)
    assert [place for place, said in enumerate(told) if said] == [0, 10, 20]
    assert messages(caplog) == ["too slow", *["too slow (and 9 times before, not logged)"] * 2]


def test_what_was_left_out_is_a_number_too(
    faults: Faults, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        faults.report("slow", "too slow")
    clock.advance(EVERY_SECONDS)
    faults.report("slow", "too slow")
    assert [field(record, "left_out") for record in caplog.records] == [0, 3]


def test_reasons_do_not_silence_each_other(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    for reason in ("slow", "lost", "slow"):
        faults.report(reason, "%s", reason)
    assert messages(caplog) == ["slow", "lost"]


def test_two_types_of_exception_are_two_faults(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    for error in (ValueError("one"), KeyError("two"), ValueError("three")):
        faults.report("load-failed", "a load failed", error=error)
    assert [field(record, "exc_info")[1].args for record in caplog.records] == [("one",), ("two",)]


def test_a_fault_with_an_exception_is_an_error_and_any_other_a_warning(
    faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    faults.report("load-failed", "a load failed", error=ValueError())
    faults.report("slow", "too slow")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_record_says_where_it_comes_from_and_has_its_parts(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    faults.report("slow", "too slow", path="/a", seconds=1.5)
    (record,) = caplog.records
    assert record.filename == "test_fault_reports.py"
    assert {name: field(record, name) for name in ("reason", "path", "seconds", "left_out")} == {
        "reason": "slow",
        "path": "/a",
        "seconds": 1.5,
        "left_out": 0,
    }


def test_there_is_an_end_to_what_is_told_apart(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(MOST + 50):
        faults.report("odd", "odd", about=str(number))
    assert len(messages(caplog)) == MOST + 1


def test_of_many_threads_at_once_few_speak(faults: Faults, caplog: pytest.LogCaptureFixture) -> None:
    start = threading.Barrier(8)

    def fail() -> None:
        start.wait()
        for _ in range(1_000):
            faults.report("slow", "too slow")

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(messages(caplog)) <= 8


# What the cache reports.


def only(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (record,) = [record for record in caplog.records if record.name == "hotplate"]
    return record


@pytest.mark.asyncio
async def test_a_hundred_lookups_that_fail_are_one_message(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(scope: Any, *more: Any) -> Any:
        raise RuntimeError("a fault of the cache")

    monkeypatch.setattr(site.app, "_lookup", faulty)
    for _ in range(100):
        assert (await site.get("/path?token=secret", headers=[("cookie", "session=secret")])).status == 200
    record = only(caplog)
    assert (field(record, "reason"), field(record, "path")) == ("lookup", "/path")
    assert "secret" not in caplog.text


@pytest.mark.asyncio
async def test_stale_answers_for_failed_loads_are_one_message_with_path_and_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(rules=[Rule("*", stale_if_error=3_600)])
    for number in range(20):
        await site.get(f"/{number}?token=secret")
    site.clock.advance(61)
    site.origin.answer = Reply(error_before=ConnectionError("the database is down"))
    for number in range(20):
        assert (await site.get(f"/{number}?token=secret")).status == 200
    assert site.cache.stats().failed_loads == 20
    record = only(caplog)
    assert record.getMessage() == (
        "served a stale response because its load failed: ConnectionError('the database is down')"
    )
    assert (field(record, "reason"), field(record, "path")) == ("stale-if-error", "/0")
    assert 0 <= field(record, "seconds") < 10
    assert "secret" not in caplog.text


@pytest.mark.asyncio
async def test_refreshes_that_fail_are_one_message_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(rules=[Rule("*", stale_while_revalidate=3_600)])
    for number in range(20):
        await site.get(f"/{number}")
    site.clock.advance(61)
    site.origin.answer = Reply(error_before=ConnectionError("the database is down"))
    for number in range(20):
        await site.get(f"/{number}")
    await site.settle()
    record = only(caplog)
    assert (record.levelname, field(record, "reason")) == ("ERROR", "refresh-failed")
    assert record.exc_info


@pytest.mark.asyncio
async def test_a_handler_of_an_event_that_fails_does_not_silence_another(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    @cache.on("sold")
    async def first() -> None:
        raise ValueError("first")

    @cache.on("sold")
    async def second() -> None:
        raise ValueError("second")

    for _ in range(10):
        assert len(await cache.emit("sold")) == 2
    told = messages(caplog)
    assert [next(name for name in ("first", "second") if name in text) for text in told] == ["first", "second"]
    assert all(text.endswith("of the event sold failed") for text in told)


class Theirs(Codec):
    """Of another release: what it wrote is not read by ours."""

    name = "theirs"

    def encode(self, value: Any) -> bytes:
        return b"v1 card=4111111111111111"

    def decode(self, data: bytes) -> Any:
        return data


@pytest.mark.asyncio
async def test_values_of_another_codec_are_one_message_without_the_value(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = Cache(redis.url, prefix="reports"), Cache(redis.url, prefix="reports")
    for number in range(10):
        assert await theirs.set(f"key:{number}", "value", ttl=60, codec=Theirs())
    found = await asyncio.gather(*(ours.get(f"key:{number}", "default") for number in range(10)))
    assert found == ["default"] * 10
    record = only(caplog)
    assert (record.levelname, field(record, "reason")) == ("WARNING", "unreadable")
    assert "4111" not in caplog.text
