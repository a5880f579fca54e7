"""One bridge for each event loop: how what the shared tier answers reaches it."""

import asyncio
import select
import threading
from weakref import WeakKeyDictionary

from hotplate._core import Bridge

__all__ = ["bridge_of", "forget_bridges"]

_bridges: "WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge]" = WeakKeyDictionary()


def bridge_of(loop: asyncio.AbstractEventLoop) -> Bridge:
    """The bridge of a loop, made when it is first asked for; by the loop's own thread."""
    bridge = _bridges.get(loop)
    if bridge is None:
        # A closed loop would be kept for ever by answers nobody fetched.
        for closed in [known for known in list(_bridges) if known.is_closed()]:
            _bridges.pop(closed, None)
        bridge = _bridges[loop] = Bridge()
        try:
            loop.add_reader(bridge.fileno(), bridge.drain)
        except NotImplementedError:
            threading.Thread(target=_watch, args=(loop, bridge), name="hotplate bridge", daemon=True).start()
    return bridge


def forget_bridges() -> None:
    """For a process that was forked off: its parent's loops are not its own."""
    _bridges.clear()


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
