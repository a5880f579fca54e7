"""What administers a cache is no business of that cache."""

from hotplate._core import Exchange, PolicyCore
from hotplate.asgi import Scope

__all__ = ["stand_aside"]

_NEVER = PolicyCore(ttl=None, client_ttl=None, tags=(), stale_while_revalidate=None, stale_if_error=None, cache=False)


def stand_aside(scope: Scope) -> None:
    """Keeps the answer out of the cache this request may have come through, whatever rules and dependencies say."""
    exchange = scope.get("hotplate")
    if isinstance(exchange, Exchange):
        exchange.set_policy(_NEVER, {})
