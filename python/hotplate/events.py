"""Events of an application: what they make untrue, and who else wants to know.

``cache.on(event, invalidate_tags=[...])`` says what an event invalidates, ``@cache.on(event)`` who handles it,
``await cache.emit(event, product_id=1)`` that it has happened. Only the invalidation reaches other processes, through
the log; handlers run where the event is emitted.
"""

import asyncio
import contextvars
import inspect
import itertools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from hotplate.bridges import is_on_event_loop
from hotplate.faults import Faults
from hotplate.keys import names_text
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate.cache import Cache

__all__ = ["Events"]

Handler = TypeVar("Handler", bound=Callable[..., Any])

Texts = list[Callable[[Mapping[str, object]], str]]


class Events:
    """The events of one cache."""

    def __init__(self, cache: "Cache") -> None:
        self._cache = cache
        self._targets: dict[Hashable, list[tuple[str, Texts]]] = {}
        self._handlers: dict[Hashable, list[_Handling]] = {}

    def invalidates(self, event: Hashable, **templates: Iterable[str]) -> None:
        """Has an event invalidate what templates name: ``tags``, ``keys``, ``prefixes``."""
        for setting, texts in templates.items():
            named = f"invalidate_{setting}"
            fill = [names_text(text, named, percent_encode=setting == "keys") for text in several(named, texts)]
            if fill:
                self._targets.setdefault(event, []).append((setting, fill))

    def handler(self, event: Hashable, handler: Handler) -> Handler:
        """Has a function called with those of the event's names that it has parameters for."""
        self._handlers.setdefault(event, []).append(_Handling(self._cache.faults, event, handler))
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
        ends = [await one.handle(names) for one in list(self._handlers.get(event, ()))]
        return tuple(error for error in ends if error is not None)

    def emit_now(self, event: Hashable, names: Mapping[str, object]) -> tuple[Exception, ...]:
        """As ``emit``, from code that waits with its thread: async handlers run on a loop of their own."""
        targets = self.targets(event, names)
        if targets:
            self._cache.sync.invalidate(**_named(targets))
        ends = [one.handle_now(names) for one in list(self._handlers.get(event, ()))]
        return tuple(error for error in ends if error is not None)


class _Handling:
    """One handler of one event."""

    def __init__(self, faults: Faults, event: Hashable, handler: Callable[..., Any]) -> None:
        parameters = inspect.signature(handler).parameters.values()
        self._faults = faults
        self._event = event
        self._handler = handler
        self._takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
        self._positional = [one.name for one in parameters if one.kind is one.POSITIONAL_ONLY]
        self._named = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}

    async def handle(self, names: Mapping[str, object]) -> Exception | None:
        """Calls it; returns what it has raised, which is logged."""
        try:
            result = self._call(names)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            return self._reported(error)
        return None

    def handle_now(self, names: Mapping[str, object]) -> Exception | None:
        """As ``handle``; what is to be awaited runs on a loop of its own, in another thread if this one has a loop."""
        try:
            result = self._call(names)
            if inspect.isawaitable(result):
                _run(result)
        except Exception as error:
            return self._reported(error)
        return None

    def _call(self, names: Mapping[str, object]) -> Any:
        # A positional parameter that is not given has its default, and so have those after it.
        given = list(itertools.takewhile(names.__contains__, self._positional))
        keywords = {
            name: value
            for name, value in names.items()
            if name in self._named or (self._takes_all and name not in given)
        }
        return self._handler(*(names[name] for name in given), **keywords)

    def _reported(self, error: Exception) -> Exception:
        name = getattr(self._handler, "__qualname__", repr(self._handler))
        text = "the handler %s of the event %s failed"
        self._faults.report("event-handler", text, name, self._event, about=name, error=error)
        return error


def _run(awaitable: Awaitable[Any]) -> None:
    async def wait() -> None:
        await awaitable

    if not is_on_event_loop():
        asyncio.run(wait())
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(contextvars.copy_context().run, asyncio.run, wait()).result()


class _Named(TypedDict):
    tags: list[str]
    keys: list[str]
    prefixes: list[str]


def _named(targets: Mapping[str, list[str]]) -> _Named:
    return {name: targets.get(name, []) for name in _Named.__annotations__}  # type: ignore[return-value]
