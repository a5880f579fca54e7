"""What administers a cache is no business of that cache."""

from hotplate._core import Exchange
from hotplate.asgi import Scope

__all__ = ["SCHEMA_MARK", "stand_aside"]

SCHEMA_MARK = "x-hotplate-aside"
"""What an operation has in its OpenAPI schema that stands aside: no cache stores its answers."""


def stand_aside(scope: Scope) -> None:
    """Keeps a request out of the cache it has come through: out of what that stores, invalidates, counts and tells."""
    exchange = scope.get("hotplate")
    if isinstance(exchange, Exchange):
        exchange.set_aside()
