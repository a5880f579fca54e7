"""One timer of a loop for all who wait equally long; the loop's time is turned by hand."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotplate.deadlines import Deadlines
from hotplate.per_loop import PerLoop


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until it is turned."""

    now = 0.0
    timers = 0

    def time(self) -> float:
        return self.now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, **how: Any
    ) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(when, callback, *args, **how)

    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_what_is_not_resolved_in_time_is_resolved_then(loop: Loop) -> None:
    deadlines = Deadlines(10)
    first, later = loop.create_future(), loop.create_future()
    deadlines.add(loop, first)
    loop.turn(4)
    deadlines.add(loop, later)
    loop.turn(5.5)
    assert not first.done()
    loop.turn(0.5)
    assert first.done()
    assert not later.done()
    loop.turn(3.5)
    assert not later.done()
    loop.turn(0.5)
    assert later.done()


def test_who_comes_after_all_had_their_time_has_its_own(loop: Loop) -> None:
    deadlines = Deadlines(10)
    for _ in range(3):
        future = loop.create_future()
        deadlines.add(loop, future)
        loop.turn(9)
        assert not future.done()
        loop.turn(1)
        assert future.done()
        deadlines.remove(future)


def test_who_waits_no_longer_is_left_alone(loop: Loop) -> None:
    deadlines = Deadlines(10)
    gone, stays = loop.create_future(), loop.create_future()
    deadlines.add(loop, gone)
    deadlines.add(loop, stays)
    deadlines.remove(gone)
    deadlines.remove(gone)
    loop.turn(10)
    assert stays.done()
    assert not gone.done()


def test_what_has_its_answer_or_was_cancelled_stays_as_it_is(loop: Loop) -> None:
    deadlines = Deadlines(10)
    answered, cancelled = loop.create_future(), loop.create_future()
    deadlines.add(loop, answered)
    deadlines.add(loop, cancelled)
    answered.set_result("answer")
    cancelled.cancel()
    loop.turn(10)
    assert answered.result() == "answer"
    assert cancelled.cancelled()


def test_a_thousand_who_have_their_answers_in_time_take_one_timer(loop: Loop) -> None:
    deadlines = Deadlines(10)
    for _ in range(1000):
        future = loop.create_future()
        deadlines.add(loop, future)
        loop.turn(0.001)
        deadlines.remove(future)
    assert loop.timers == 1


def test_each_loop_has_its_own_and_takes_it_along() -> None:
    class Thing:
        pass

    things = PerLoop(lambda _loop: Thing())
    loops = [asyncio.new_event_loop() for _ in range(2)]
    one, other = (things.of(loop) for loop in loops)
    assert one is not other
    assert [things.of(loop) for loop in loops] == [one, other]
    gone = weakref.ref(one)
    for loop in loops:
        loop.close()
    del one, loop
    loops.clear()
    gc.collect()
    assert gone() is None


def test_a_closed_loop_is_not_kept_by_what_holds_it() -> None:
    things: PerLoop[list[object]] = PerLoop(lambda _loop: [])
    closed = asyncio.new_event_loop()
    things.of(closed).append(closed)
    gone = weakref.ref(closed)
    closed.close()
    del closed
    another = asyncio.new_event_loop()
    things.of(another)
    gc.collect()
    another.close()
    assert gone() is None


def test_after_forgetting_all_are_made_anew() -> None:
    things: PerLoop[list[object]] = PerLoop(lambda _loop: [])
    loop = asyncio.new_event_loop()
    before = things.of(loop)
    things.forget()
    assert things.of(loop) is not before
    loop.close()
