"""Forked processes: what gunicorn's ``--preload`` and ``multiprocessing`` do with a cache that exists already.

What is stored in memory stays. Loads under way are the parent's; so are the thread and the connections of the shared
tier, and the child makes its own when it first needs them.
"""

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from hotplate import _core
from hotplate.bridges import forget_bridges

if TYPE_CHECKING:
    from hotplate._core import CacheCore

__all__ = ["watch_forks"]

_cores: "WeakSet[CacheCore]" = WeakSet()
_registered = False


def watch_forks(core: "CacheCore") -> None:
    """Has a cache take up work anew in every process that is forked off from here on."""
    global _registered
    if not _registered and hasattr(os, "register_at_fork"):
        _registered = True
        os.register_at_fork(before=_core.before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
    _cores.add(core)


def _in_parent() -> None:
    _core.after_fork(is_child=False)


def _in_child() -> None:
    _core.after_fork(is_child=True)
    forget_bridges()
    for core in list(_cores):
        core.after_fork()
