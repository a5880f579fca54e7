"""What the benchmark's sections about calls in process and memory refuse to believe."""

import asyncio
import subprocess
import sys

import pytest

from bench import calls, decorators, stores
from bench.sections import memory
from tests.servers import ROOT

reads_memory = pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")


def test_a_function_that_runs_for_a_hit_fails_the_round() -> None:
    runs = decorators.Runs(decorators.STORED)
    checked = decorators.hits(lambda number: 1.0, runs, "forgetful")
    assert checked(10) == 1.0
    runs.number += 1
    with pytest.raises(ValueError, match="forgetful: not every call was a hit"):
        checked(10)


def test_a_round_has_as_many_calls_as_fill_its_time_in_steps() -> None:
    asked: list[int] = []

    def microsecond(number: int) -> float:
        asked.append(number)
        return number / 1e6

    one = calls.nanoseconds(microsecond, seconds=0.01, step=1_000)
    assert one() == pytest.approx(1_000)
    assert asked[-1] == 10_000
    assert all(number % 1_000 == 0 for number in asked)


def test_calls_of_threads_are_told_as_if_one_thread_had_made_them_all() -> None:
    shares: list[int] = []

    def share(number: int) -> float:
        shares.append(number)
        return 0.0

    assert calls.at_once(share, share)(10) > 0
    assert shares == [5, 5]


@reads_memory
def test_a_store_that_has_evicted_is_no_figure() -> None:
    def too_small(room: int) -> stores.Store:
        return stores.local_cache(room // 4)

    with pytest.raises(ValueError, match="of 400 is not there"):
        asyncio.run(stores.filled(too_small, 400))


@reads_memory
@pytest.mark.parametrize("varies", [False, True])
def test_a_stored_response_is_found_without_the_handler(varies: bool) -> None:
    # Raises if one is not. Meanwhile this process may give back memory that other tests have used.
    before, after = asyncio.run(stores.filled(stores.responses(varies), 50))
    assert before > 0
    assert after > 0


@reads_memory
def test_a_store_in_a_process_of_its_own_grows_by_what_it_stores() -> None:
    # So many that what a process takes with its first responses, some 2 MB, would not do.
    count = 10_000
    assert memory.grown("http", "hotplate", count) >= stores.BODY_BYTES * count / 2


def test_a_store_can_be_made_where_hotplate_is_not_installed() -> None:
    program = "import sys; sys.modules['hotplate'] = None; import bench.stores"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
