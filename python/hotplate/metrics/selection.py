"""Whose numbers are told: of this process, of those of this host, of all.

A process that is asked for metrics can answer for others, because the reports of all are in the shared tier. That is
what several workers behind one port need: whoever is asked, the answer is the same. Where every one of many is asked,
each must answer for itself, or everything is counted as often as there are answers.
"""

from typing import TYPE_CHECKING, Literal, TypeAlias

from hotplate.errors import ConfigError
from hotplate.metrics.exposition import text

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.watching import Report

__all__ = ["Processes", "check", "scrape", "selected"]

Processes: TypeAlias = Literal["own", "host", "all"]
"""Of which processes: this one; those on the same host, or in the same container; all that share the cache."""


def check(processes: object) -> None:
    """Raises ``ConfigError`` for what does not say which processes."""
    if processes not in ("own", "host", "all"):
        raise ConfigError(
            f'processes={processes!r} cannot be used: write "own" for this process, "host" for those of this host, '
            'or "all"'
        )


async def selected(cache: "Cache", processes: Processes) -> "list[Report]":
    """The reports of these processes. Waits for the shared tier unless it is ``"own"``."""
    check(processes)
    if processes == "own":
        return [cache.watch.report(top=False)]
    own, *others = await cache.watch.reports(top=False)
    return [own, *(report for report in others if processes == "all" or report["host"] == own["host"])]


async def scrape(cache: "Cache", *, processes: Processes = "all", openmetrics: bool = False) -> str:
    """The metrics of a cache as text for Prometheus: the body of an answer to ``GET /metrics``."""
    return text(await selected(cache, processes), openmetrics=openmetrics)
