"""What can be used once, and so cannot be kept: who asks second would get what is over."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from hotplate.errors import EncodeError

__all__ = ["refuse_used_once"]


def refuse_used_once(value: Any) -> None:
    """Raises ``EncodeError`` for a coroutine and for an iterator; a coroutine is closed."""
    name = f"{type(value).__name__} {getattr(value, '__qualname__', '')}".rstrip()
    if inspect.iscoroutine(value):
        value.close()
        raise EncodeError(
            f"a {name} cannot be kept: it can be awaited once. Decorate the async function itself, or await it first"
        )
    if isinstance(value, Iterator | AsyncIterator):
        raise EncodeError(f"a {name} cannot be kept: it can be used once. Make a list of it")
