"""One bridge for each event loop: how what the shared tier answers reaches it."""

import asyncio
import select
import threading

from hotplate._core import Bridge
from hotplate.per_loop import PerLoop

__all__ = ["bridge_of", "forget_bridges", "is_on_event_loop"]


def _connected(loop: asyncio.AbstractEventLoop) -> Bridge:
    bridge = Bridge()
    try:
        loop.add_reader(bridge.fileno(), bridge.drain)
    except NotImplementedError:
        threading.Thread(target=_watch, args=(loop, bridge), name="hotplate bridge", daemon=True).start()
    return bridge


_bridges = PerLoop(_connected)

bridge_of = _bridges.of
"""The bridge of a loop, made when it is first asked for; by the loop's own thread."""


def is_on_event_loop() -> bool:
    """Whether this thread runs an event loop now: what waits with it holds that up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def forget_bridges() -> None:
    """For a process that was forked off: its parent's loops are not its own."""
    _bridges.forget()


def _watch(loop: asyncio.AbstractEventLoop, bridge: Bridge) -> None:
    """Watches a bridge for a loop that cannot watch a socket itself."""
    drained = threading.Event()

    def drain() -> None:
        bridge.drain()
        drained.set()

    while not loop.is_closed():
        ready, _, _ = select.select([bridge], [], [], 1.0)
        if ready:
            drained.clear()
            try:
                loop.call_soon_threadsafe(drain)
            except RuntimeError:  # closed in between
                return
            while not drained.wait(1.0):
                if loop.is_closed():
                    return
