"""Fixtures every test may use."""

import pytest

from hotplate import Cache
from hotplate.testing import ManualClock
from tests.driver import START, Site


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def cache(clock: ManualClock) -> Cache:
    return Cache("memory://", max_bytes="16MiB", clock=clock)


@pytest.fixture
def site() -> Site:
    """An origin that says nothing about caching, behind a middleware with a ttl of 60 seconds."""
    return Site()
