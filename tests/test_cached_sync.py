"""Sync functions and ``cache.sync``: the same cache for threads, and for sync code on an event loop's thread."""

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from hotplate.errors import EncodeError
from tests.threads import in_threads
from tests.value_fleet import Pair, Place, Product, Runs
from tests.waiting import until


def test_a_second_call_gets_the_result_of_the_first(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="square:{number}")
    def square(number: int) -> int:
        return number * number * runs.now()

    assert square(3) == 9
    place.settle()
    assert (square(3), square(number=3), runs.count) == (9, 9, 1)


def test_five_hundred_threads_run_the_function_once(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    def product(number: int) -> Product:
        return Product(id=runs.now())

    threading.Timer(0.1, runs.open).start()
    results = in_threads(500, lambda: product(1))
    assert results == [Product(id=1)] * 500
    assert runs.count == 1
    if place.keeps_objects:
        assert len({id(one) for one in results}) == 1


def test_fifty_threads_of_two_processes_run_the_function_once(pair: Pair) -> None:
    runs = Runs(is_open=False)
    calls = []
    for place in pair:

        @place.cache.cached("1m", key="product:{number}")
        def product(number: int) -> Product:
            return Product(id=runs.now())

        calls.append(product)
    turn = iter(calls * 25)
    lock = threading.Lock()

    def call() -> Product:
        with lock:
            mine = next(turn)
        return mine(1)

    threading.Timer(0.1, runs.open).start()
    assert in_threads(50, call) == [Product(id=1)] * 50
    assert runs.count == 1


def test_an_exception_is_every_threads_and_is_not_stored(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    def number() -> int:
        if (run := runs.now()) == 1:
            raise LookupError(run)
        return run

    started = threading.Event()

    def call() -> Any:
        started.set()
        return number()

    def open_when_begun() -> None:
        assert started.wait(30)
        runs.reached()
        runs.open()

    opener = threading.Thread(target=open_when_begun)
    opener.start()
    results = in_threads(20, call)
    opener.join(30)
    # Whoever comes when the load has ended is no waiter of it.
    raised = [one for one in results if isinstance(one, LookupError)]
    assert {str(one) for one in raised} == {"1"}
    assert all(one == 2 for one in results if one not in raised)
    assert number() == 2


def test_each_waiter_gets_a_traceback_of_its_own_length(place: Place) -> None:
    """One exception that many raise must not collect the frames of all."""
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    def number() -> int:
        raise LookupError(runs.now())

    threading.Timer(0.2, runs.open).start()
    (error, *_) = in_threads(30, number)
    assert isinstance(error, LookupError)
    length, traceback = 0, error.__traceback__
    while traceback is not None:
        length, traceback = length + 1, traceback.tb_next
    # Threads that raise at the same moment may add to one another's; all thirty together make 150 and more.
    assert length < 60


def test_a_base_exception_leaves_the_load_to_another_thread(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    def number() -> int:
        if (run := runs.now()) == 1:
            raise SystemExit
        return run

    def first() -> None:
        with pytest.raises(SystemExit):
            number()

    leader = threading.Thread(target=first)
    leader.start()
    runs.reached()
    threading.Timer(0.1, runs.open).start()
    assert in_threads(5, number) == [2] * 5
    leader.join(30)


def test_what_is_beside_the_call_is_sync(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="number")
    def number() -> int:
        return runs.now()

    assert number() == 1
    place.settle()
    assert number.key() == "number"
    assert number.bypass() == 2
    assert number.refresh() == 3
    assert place.cache.sync.get("number") == 3
    number.invalidate()
    assert number() == 4
    assert number.cache_info().loads == 3


def test_a_recursive_function_gets_every_part_once(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    def fib(number: int) -> int:
        runs.now()
        return number if number < 2 else fib(number - 1) + fib(number - 2)

    assert fib(20) == 6765
    if place.keeps_objects:
        assert runs.count == 21


def test_a_function_that_needs_its_own_result_does_not_wait_for_itself(place: Place) -> None:
    depth = 0

    @place.cache.cached("1m")
    def number() -> int:
        nonlocal depth
        depth += 1
        return 1 if depth == 3 else number() + 1

    assert number() == 3


def test_the_function_sees_the_callers_context(place: Place) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user")

    @place.cache.cached("1m", key="user")
    def current() -> str:
        return user.get()

    token = user.set("alice")
    assert current() == "alice"
    user.reset(token)


def test_a_load_leaves_nothing_in_the_callers_context(place: Place) -> None:
    @place.cache.cached("1m")
    def number() -> int:
        return 1

    before = dict(contextvars.copy_context().items())
    number()
    assert {name.name: value for name, value in contextvars.copy_context().items() if value} == {
        name.name: value for name, value in before.items() if value
    }


@pytest.mark.asyncio
async def test_a_sync_function_works_on_an_event_loops_thread(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="number", tags=["tag"])
    def number() -> int:
        return runs.now()

    assert number() == 1
    place.settle()
    assert number() == 1
    number.invalidate()
    assert number() == 2
    place.cache.sync.invalidate(tags=["tag"])
    assert number() == 3


@pytest.mark.asyncio
@pytest.mark.timeout(20)
async def test_sync_code_on_the_loop_that_loads_does_not_wait_for_it(place: Place) -> None:
    """The load can go on only when the loop's thread is free again."""
    runs = Runs(is_open=False)

    async def load() -> int:
        return await runs()

    leader = asyncio.create_task(place.cache.get_or_set("name", load, ttl=60))
    for _ in range(1000):
        if runs.count:
            break
        await asyncio.sleep(0.001)
    assert place.cache.sync.get_or_set("name", lambda: 7, ttl=60) == 7
    runs.open()
    assert await leader in (1, 7)


@pytest.mark.asyncio
async def test_sync_functions_in_worker_threads_of_a_loop_run_once(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    def number() -> int:
        return runs.now()

    callers = [asyncio.create_task(asyncio.to_thread(number)) for _ in range(4)]
    await runs.begun()
    runs.open()
    assert await asyncio.gather(*callers) == [1] * 4


# ``cache.sync``.


def test_the_facade_has_all_that_is_by_hand(place: Place) -> None:
    values = place.cache.sync
    is_told = place.name != "redis down"
    assert values.get("a") is None
    assert values.get("a", 5) == 5
    assert values.set("a", 1, ttl=60) is is_told
    assert values.get("a") == 1
    assert values.set_many({"b": 2, "c": None}, ttl=60, tags=["letters"]) is is_told
    assert values.get_many(["a", "b", "c", "d"], 0) == {"a": 1, "b": 2, "c": None, "d": 0}
    assert values.touch("a", ttl=3600) is True
    assert values.touch("nobody", ttl=3600) is False
    place.clock.advance(61)
    assert values.get_many(["a", "b"]) == {"a": 1, "b": None}
    assert values.delete("a") is is_told
    assert values.get("a") is None
    assert values.get_or_set("a", list, ttl=60) == []
    assert values.get_or_set("a", lambda: [1], ttl=60) == []
    assert [values.incr("n", ttl=60), values.incr("n", 4, ttl=60)] == ([1, 5] if is_told else [None, None])
    place.settle()
    values.invalidate(keys=["a"])
    assert values.get("a") is None


def test_threads_load_one_value_by_hand_once(place: Place) -> None:
    runs = Runs(is_open=False)
    threading.Timer(0.1, runs.open).start()
    assert in_threads(20, lambda: place.cache.sync.get_or_set("name", runs.now, ttl=60)) == [1] * 20


def test_an_async_loader_for_the_facade_is_refused(place: Place) -> None:
    async def load() -> int:
        return 1

    with pytest.raises(EncodeError, match="coroutine"):
        _ = place.cache.sync.get_or_set("name", load, ttl=60)
    assert place.cache.sync.get("name") is None


def test_sync_and_async_code_share_values(place: Place) -> None:
    place.cache.sync.set("name", [1], ttl=60)
    assert asyncio.run(place.cache.get("name")) == [1]
    asyncio.run(place.cache.set("name", [2], ttl=60))
    assert place.cache.sync.get("name") == [2]


def test_async_calls_of_several_loops_run_the_function_once(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    async def number() -> int:
        return await asyncio.to_thread(runs.now)

    threading.Timer(0.1, runs.open).start()
    assert in_threads(5, lambda: asyncio.run(number())) == [1] * 5


@pytest.mark.timeout(30)
def test_a_loop_that_ends_leaves_its_load_to_other_loops(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m")
    async def number() -> int:
        if (run := await asyncio.to_thread(runs.reach_and_pass)) == 1:
            await asyncio.sleep(3600)
        return run

    async def first() -> None:
        task = asyncio.create_task(number())
        await runs.begun()
        assert not task.done()

    waiting: list[Any] = []
    other = threading.Thread(target=lambda: waiting.append(asyncio.run(number())))

    async def until_other_waits() -> None:
        await first()
        other.start()
        await asyncio.sleep(0.2)

    asyncio.run(until_other_waits())  # cancels what is under way
    other.join(20)
    assert waiting == [2]


@pytest.mark.timeout(30)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_is_closed_in_mid_load_leaves_it_to_others(place: Place) -> None:
    """What no orderly shutdown has cancelled will never go on."""
    runs = Runs()

    @place.cache.cached("1m")
    async def number() -> int:
        if (run := await runs()) == 1:
            await asyncio.sleep(3600)
        return run

    loop = asyncio.new_event_loop()
    task = loop.create_task(number())
    loop.run_until_complete(asyncio.sleep(0.2))
    assert runs.count == 1
    loop.close()
    assert asyncio.run(asyncio.wait_for(number(), 10)) == 2
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_stale_result_is_renewed_behind_the_callers_back(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="number", stale_while_revalidate="1m")
    def number() -> int:
        return runs.now()

    assert number() == 1
    place.settle()
    place.clock.advance(61)
    assert number() == 1
    until(lambda: runs.count == 2, "one refresh")
    until(lambda: place.cache.sync.get("number") == 2, "what it brought")
    assert number() == 2


# The other decorators, and events.


def test_sync_functions_write_too(place: Place) -> None:
    @place.cache.write_through("1m", key="name:{number}")
    def save(number: int, name: str) -> str:
        return name

    assert save(1, "chair") == "chair"
    assert place.cache.sync.get("name:1") == "chair"
    assert save(number=1, name="table") == "table"
    assert place.cache.sync.get("name:1") == "table"


def test_sync_functions_invalidate_too(place: Place) -> None:
    @place.cache.invalidates(keys=["name:{number}"])
    def rename(number: int, *, fails: bool = False) -> int:
        if fails:
            raise LookupError
        return number

    place.cache.sync.set("name:1", "chair", ttl=60)
    with pytest.raises(LookupError):
        rename(1, fails=True)
    assert place.cache.sync.get("name:1") == "chair"
    assert rename(1) == 1
    assert place.cache.sync.get("name:1") is None


def test_sync_code_emits(place: Place) -> None:
    cache, seen = place.cache, list[Any]()
    cache.on("event", invalidate_tags=["products"])

    @cache.on("event")
    async def asynchronous(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    @cache.on("event")
    def broken() -> None:
        raise LookupError

    @cache.on("event")
    def sync(number: int) -> None:
        seen.append(-number)

    cache.sync.set("name", 1, ttl=60, tags=["products"])
    (error,) = cache.sync.emit("event", number=3)
    assert isinstance(error, LookupError)
    assert seen == [3, -3]
    assert cache.sync.get("name") is None
