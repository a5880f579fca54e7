"""What administers a cache is no business of that cache."""

from hotplate._core import Exchange
from hotplate.asgi import Scope

__all__ = ["stand_aside"]


def stand_aside(scope: Scope) -> None:
    """Keeps a request out of the cache it has come through: out of what that stores, invalidates, counts and tells."""
    exchange = scope.get("hotplate")
    if isinstance(exchange, Exchange):
        exchange.set_aside()
