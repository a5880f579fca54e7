"""The numbers of a cache for monitoring: Prometheus, OpenTelemetry.

from hotplate import metrics

@app.get("/metrics")
async def prometheus() -> Response:
    return Response(await metrics.scrape(cache), media_type=metrics.CONTENT_TYPE)

``text`` needs nothing. ``hotplate.metrics.prometheus`` has a collector for the registry of ``prometheus_client`` (extra
``prometheus``), ``hotplate.metrics.opentelemetry`` instruments and spans (extra ``opentelemetry``). All three have the
same numbers: those of ``cache.watch``, which the engine counts whether anybody reads them or not.

Whose numbers they are is said alike for all: ``processes="own"``, of this process; ``"host"``, of those on this host
(in this container); ``"all"``, of all that share the cache. docs/monitoring.md says which is right where.
"""

from hotplate.metrics.exposition import CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE, text
from hotplate.metrics.selection import Processes, scrape, selected

__all__ = ["CONTENT_TYPE", "OPENMETRICS_CONTENT_TYPE", "Processes", "scrape", "selected", "text"]
