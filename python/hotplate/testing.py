"""For tests of applications that use hotplate."""

from hotplate._core import ManualClock

__all__ = ["ManualClock"]
