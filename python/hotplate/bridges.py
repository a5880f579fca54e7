"""One bridge for each event loop: how what the shared tier answers reaches it."""

import asyncio
import select
import threading
import weakref
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from hotplate._core import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bridge_of", "forget_bridges", "is_on_event_loop"]

_last: "tuple[Callable[[], asyncio.AbstractEventLoop | None], Bridge | None]" = (lambda: None, None)
"""The loop that asked last, and its bridge: in most processes there is no other."""

_bridges: "WeakKeyDictionary[asyncio.AbstractEventLoop, Bridge]" = WeakKeyDictionary()


def bridge_of(loop: asyncio.AbstractEventLoop) -> Bridge:
    """The bridge of a loop, made when it is first asked for; by the loop's own thread."""
    global _last
    known, bridge = _last
    if known() is loop and bridge is not None:
        return bridge
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
    _last = (weakref.ref(loop), bridge)
    return bridge


def is_on_event_loop() -> bool:
    """Whether this thread runs an event loop now: what waits with it holds that up."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def forget_bridges() -> None:
    """For a process that was forked off: its parent's loops are not its own."""
    global _last
    _last = (lambda: None, None)
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
