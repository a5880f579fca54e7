"""Processes that fork and end, run as programs: ``python -m tests.process_scenarios SCENARIO URL``.

The exit status is the answer, with a line on standard error for what was wrong.
"""

import faulthandler
import sys
from collections.abc import Callable

from tests import process_ends, process_forks
from tests.process_use import deadline

SCENARIOS: dict[str, Callable[..., None]] = {
    scenario.__name__: scenario
    for scenario in (
        process_forks.forked_children,
        process_forks.forks_in_flight,
        process_forks.forks_of_forks,
        process_forks.forks_from_threads,
        process_forks.orphaned_child,
        process_forks.multiprocessing_method,
        process_forks.preloading,
        process_ends.exits_in_a_coroutine,
        process_ends.exits_beside_an_open_loop,
        process_ends.raises,
        process_ends.exits_at_once,
        process_ends.is_interrupted,
        process_ends.leaves_a_daemon_thread,
        process_ends.keeps_everything_global,
    )
}

if __name__ == "__main__":
    faulthandler.enable()
    with deadline(100):
        SCENARIOS[sys.argv[1]](*sys.argv[2:])
