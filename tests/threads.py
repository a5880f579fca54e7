"""Threads that begin together."""

import threading
from collections.abc import Callable
from typing import Any


def run_in_threads(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` gives, or raises, in each of so many threads that begin together; it gets the thread's number."""
    barrier = threading.Barrier(number)
    results: list[Any] = [None] * number

    def begin(thread: int) -> None:
        barrier.wait(30)
        try:
            results[thread] = work(thread)
        except BaseException as error:
            results[thread] = error

    threads = [threading.Thread(target=begin, args=(thread,)) for thread in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not any(thread.is_alive() for thread in threads), "threads have not ended"
    return results


def in_threads(number: int, call: Callable[[], Any]) -> list[Any]:
    """The same of what every thread does alike."""
    return run_in_threads(number, lambda _thread: call())
