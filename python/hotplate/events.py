"""Events of an application: what they make untrue, and who else wants to know.

``cache.on(event, invalidate_tags=[...])`` says what an event invalidates, ``@cache.on(event)`` who handles it,
``await cache.emit(event, product_id=1)`` that it has happened. Only the invalidation reaches other processes, through
the log; handlers run where the event is emitted.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from hotplate.errors import ConfigError
from hotplate.keys import names_text

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["Events"]

Handler = TypeVar("Handler", bound=Callable[..., Any])

logger = logging.getLogger("hotplate")

Texts = list[Callable[[Mapping[str, object]], str]]


class Events:
    """The events of one cache."""

    def __init__(self, cache: "Cache") -> None:
        self._cache = cache
        self._targets: dict[Hashable, list[tuple[str, Texts]]] = {}
        self._handlers: dict[Hashable, list[tuple[Callable[..., Any], frozenset[str] | None]]] = {}

    def invalidates(self, event: Hashable, **templates: Iterable[str]) -> None:
        """Has an event invalidate what templates name: ``tags``, ``keys``, ``prefixes``."""
        for setting, texts in templates.items():
            if isinstance(texts, str):
                named = f"invalidate_{setting}"
                raise ConfigError(f"{named}={texts!r} is one text where several are meant: write {named}=[{texts!r}]")
            fill = [names_text(text, f"invalidate_{setting}", percent_encode=setting == "keys") for text in texts]
            if fill:
                self._targets.setdefault(event, []).append((setting, fill))

    def handler(self, event: Hashable, handler: Handler) -> Handler:
        """Has a function called with those of the event's names that it has parameters for."""
        parameters = inspect.signature(handler).parameters.values()
        takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
        names = None if takes_all else frozenset(one.name for one in parameters)
        self._handlers.setdefault(event, []).append((handler, names))
        return handler

    def targets(self, event: Hashable, names: Mapping[str, object]) -> dict[str, list[str]]:
        """What the event makes untrue."""
        found: dict[str, list[str]] = {}
        for setting, texts in self._targets.get(event, ()):
            found.setdefault(setting, []).extend(text(names) for text in texts)
        return found

    async def emit(self, event: Hashable, names: Mapping[str, object]) -> tuple[Exception, ...]:
        """Invalidates, then calls every handler. Returns what they raised, which is logged too."""
        targets = self.targets(event, names)
        if targets:
            await self._cache.invalidate(**_named(targets))
        ends = [await self._handled(event, names, *one) for one in list(self._handlers.get(event, ()))]
        return tuple(error for error in ends if error is not None)

    async def _handled(
        self, event: Hashable, names: Mapping[str, object], handler: Callable[..., Any], wanted: frozenset[str] | None
    ) -> Exception | None:
        try:
            result = handler(**_given(names, wanted))
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            return _reported(event, handler, error)
        return None

    def emit_now(self, event: Hashable, names: Mapping[str, object]) -> tuple[Exception, ...]:
        """As ``emit``, from code without an event loop: async handlers run on a loop of their own."""
        targets = self.targets(event, names)
        if targets:
            self._cache.sync.invalidate(**_named(targets))
        ends = [asyncio.run(self._handled(event, names, *one)) for one in list(self._handlers.get(event, ()))]
        return tuple(error for error in ends if error is not None)


class _Named(TypedDict):
    tags: list[str]
    keys: list[str]
    prefixes: list[str]


def _named(targets: Mapping[str, list[str]]) -> _Named:
    return {name: targets.get(name, []) for name in _Named.__annotations__}  # type: ignore[return-value]


def _given(names: Mapping[str, object], wanted: frozenset[str] | None) -> dict[str, object]:
    return dict(names) if wanted is None else {name: value for name, value in names.items() if name in wanted}


def _reported(event: Hashable, handler: Callable[..., Any], error: Exception) -> Exception:
    name = getattr(handler, "__qualname__", repr(handler))
    logger.error("the handler %s of the event %s failed", name, event, exc_info=error)
    return error
