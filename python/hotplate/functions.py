"""The results of functions: found, loaded once however many call, and kept.

Flow: ``recall`` (one call into the engine) answers a hit. Everything else begins with ``ask``, and goes on step by
step (``hotplate._core.ValueStep``) until there is a result: ``find`` on an event loop, ``find_now`` in a thread. A load
of an async function runs on a task of the cache's own, so that a caller who is cancelled takes nothing from the others;
a sync function runs in the thread of the caller that loads.

Not here: what the key of a call is (``keys``), how values become bytes (``codecs``), and what people write
(``decorators``).
"""

import asyncio
import contextvars
import copy
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from hotplate._core import MISSING, PENDING, Bridge, ValuePlan, ValueStep
from hotplate.bridges import bridge_of, is_on_event_loop
from hotplate.errors import DecodeError
from hotplate.frozen import frozen
from hotplate.once import refuse_used_once
from hotplate.waiters import resolve
from hotplate.weights import weight

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.codecs import Codec
    from hotplate.rules import Duration

__all__ = ["UNREADABLE", "Call", "Results", "pending"]

Report = Callable[["asyncio.Task[Any]"], None]

WAIT_SECONDS = 60.0
"""How long a call waits for another one's load before it loads for itself."""

UNREADABLE = "a stored value cannot be used and is loaded anew: %s"
"""What is said of it, with the ``DecodeError``."""

_under_way: "contextvars.ContextVar[frozenset[tuple[int, str]]]" = contextvars.ContextVar(
    "hotplate_under_way", default=frozenset()
)
"""What the running code is loading: a function that needs its own result must not wait for itself."""


async def pending(ask: "Callable[[Bridge, asyncio.Future[Any]], Any]") -> Any:
    """What ``ask`` answers, now or through the future it is given."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    answer = ask(bridge_of(loop), future)
    return await future if answer is PENDING else answer


class Call:
    """One call of a function: what is run where nothing is stored, and what depends on its arguments."""

    __slots__ = ("run", "tags")

    def __init__(self, run: Callable[[], Any], tags: Callable[[Any], list[str]]) -> None:
        self.run = run
        self.tags = tags


class Results:
    """How the results of one function are kept.

    - ``codec``: makes the codec when it is first needed, because annotations may name what is defined later.
    - ``function``: the one, for who observes.
    - ``ttl``: a lifetime, or what gives one for a result; ``None`` or 0 from it: not stored.
    - ``condition``: says whether a result is stored.
    """

    def __init__(
        self,
        cache: "Cache",
        plan: ValuePlan,
        codec: "Callable[[], Codec]",
        ttl: "Duration | Callable[[Any], Duration | None]",
        *,
        function: Callable[..., Any],
        condition: Callable[[Any], object] | None = None,
        copies: Literal["deep"] | None = None,
        freezes: bool = False,
        soft_timeout: float | None = None,
        local_only: bool = False,
    ) -> None:
        self.plan = plan
        self.core = cache.values
        self._cache = cache
        self._faults = cache.faults
        self._observing = cache.observing
        self._function = function
        self._make_codec = codec
        self._codec: Codec | None = None
        self._ttl = ttl
        self._condition = condition
        self._copies = copies
        self._freezes = freezes
        self._soft_timeout = soft_timeout
        self._encodes = cache.is_shared and not local_only

    @property
    def copies(self) -> bool:
        """Whether each caller gets a copy of its own."""
        return self._copies is not None

    def copied(self, value: Any) -> Any:
        """What a caller gets of a stored value."""
        return copy.deepcopy(value) if self._copies else value

    def _codec_now(self) -> "Codec":
        if self._codec is None:
            self._codec = self._make_codec()
        return self._codec

    def _begin(self, text: str) -> ValueStep:
        if (id(self._cache), text) in _under_way.get():
            return self.core.load(self.plan, text)
        return self.core.ask(self.plan, text)

    # On an event loop.

    async def find(self, text: str, call: Call) -> Any:
        """The result of a call of an async function."""
        step = self._begin(text)
        if self._soft_timeout is not None and step.kind in ("seek", "wait"):
            stale = step.stale_value()
            if stale is not MISSING:
                # What another call loads, here or in another process.
                report = self._report if step.kind == "seek" else _see
                return await self._unless_slow(self._cache.loads.run(self._go_on(step, text, call)), stale, report)
        return await self._go_on(step, text, call)

    async def _unless_slow(self, load: "asyncio.Task[Any]", stale: Any, report: Report) -> Any:
        """What a load gives; or the stale value, if that takes too long: how it ends is then reported."""
        done, _ = await asyncio.wait([load], timeout=self._soft_timeout)
        if done:
            return load.result()
        load.add_done_callback(report)
        return self.copied(stale)

    async def load(self, text: str, call: Call) -> Any:
        """The result of calling the function now, which is stored in place of the one before."""
        return await self._go_on(self.core.load(self.plan, text), text, call)

    async def _go_on(self, step: ValueStep, text: str, call: Call) -> Any:
        while True:
            kind = step.kind
            if kind == "found":
                return self.copied(step.value)
            if kind == "stale":
                value, following = step.value, step.next_step
                if following is not None:
                    self._cache.loads.run(self._refresh(following, text, call))
                return self.copied(value)
            if kind == "load":
                return await self._load(step, text, call)
            if kind == "raised":
                raise step.error
            if kind == "nothing":
                return None
            step = self._land(step) if kind == "landed" else await self._waited(step)

    async def _refresh(self, step: ValueStep, text: str, call: Call) -> None:
        with self._refreshing():
            await self._go_on(step, text, call)

    async def _waited(self, step: ValueStep) -> ValueStep:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        try:
            if step.kind == "seek":
                step.start(bridge_of(loop), ended)
                await ended
                return step.resume()
            self._cache.loads.give_up_closed()
            if step.subscribe(loop, resolve, ended):
                await asyncio.wait([ended], timeout=WAIT_SECONDS)
                return step.resume(timed_out=not ended.done())
        except BaseException:
            step.abandon()
            raise
        return step.resume()

    async def _load(self, step: ValueStep, text: str, call: Call) -> Any:
        stale = step.stale_value() if self._soft_timeout is not None else MISSING
        load = self._cache.loads.run(self._run(step, text, call))
        if stale is not MISSING:
            return await self._unless_slow(load, stale, self._report)
        # A caller who is cancelled leaves the load to the others.
        return await asyncio.shield(load)

    async def _run(self, step: ValueStep, text: str, call: Call) -> Any:
        _under_way.set(_under_way.get() | {(id(self._cache), text)})
        try:
            with self._observing.running(self._function):
                awaitable: Awaitable[Any] = call.run()
                value = await awaitable
        except Exception as error:
            return self._failed(step, error)
        except BaseException:
            step.abandon()
            raise
        return self._keep(step, value, call)

    def _report(self, load: "asyncio.Task[Any]") -> None:
        if not load.cancelled() and (error := load.exception()) is not None:
            text = "a load failed whose caller has gone on with a stale value"
            self._faults.report("load-failed", text, error=error)

    # In a thread.

    def find_now(self, text: str, call: Call) -> Any:
        """The result of a call of a sync function."""
        return self._go_on_now(self._begin(text), text, call)

    def load_now(self, text: str, call: Call) -> Any:
        """As ``load``, of a sync function."""
        return self._go_on_now(self.core.load(self.plan, text), text, call)

    def _go_on_now(self, step: ValueStep, text: str, call: Call) -> Any:
        while True:
            kind = step.kind
            if kind == "found":
                return self.copied(step.value)
            if kind == "stale":
                value, following = step.value, step.next_step
                if following is not None:
                    run = contextvars.copy_context().run
                    given = (self._refresh_now, following, text, call)
                    threading.Thread(target=run, args=given, name="hotplate refresh", daemon=True).start()
                return self.copied(value)
            if kind == "load":
                return self._run_now(step, text, call)
            if kind == "raised":
                raise step.error
            if kind == "nothing":
                return None
            if kind == "landed":
                step = self._land(step)
                continue
            if kind == "wait" and is_on_event_loop():
                # The load may need this very thread to go on.
                step = step.resume(timed_out=True)
                continue
            if kind == "wait":
                self._cache.loads.give_up_closed()
            try:
                ended = step.wait(WAIT_SECONDS)
            except BaseException:
                step.abandon()
                raise
            step = step.resume(timed_out=not ended)

    def _refresh_now(self, step: ValueStep, text: str, call: Call) -> None:
        with self._refreshing():
            self._go_on_now(step, text, call)

    def _run_now(self, step: ValueStep, text: str, call: Call) -> Any:
        loading = _under_way.set(_under_way.get() | {(id(self._cache), text)})
        try:
            with self._observing.running(self._function):
                value = call.run()
        except Exception as error:
            return self._failed(step, error)
        except BaseException:
            step.abandon()
            raise
        finally:
            _under_way.reset(loading)
        return self._keep(step, value, call)

    # Both.

    @contextmanager
    def _refreshing(self) -> Iterator[None]:
        """Nobody waits for a refresh: what it raises is logged."""
        try:
            yield
        except Exception as error:
            self._faults.report("refresh-failed", "a refresh failed; the stored value stays as it is", error=error)

    def _land(self, step: ValueStep) -> ValueStep:
        try:
            value = self._codec_now().decode(step.data)
        except DecodeError as error:
            self._faults.report("unreadable", UNREADABLE, error, about=error.token)
            return step.reject()
        except BaseException:
            step.abandon()
            raise
        if self._freezes:
            value = frozen(value)
        return step.accept(value, weight(value))

    def _failed(self, step: ValueStep, error: Exception) -> Any:
        stale = step.fail(error)
        if stale is MISSING:
            raise error
        text = "used a stale value because its load failed: %r"
        self._faults.report("stale-if-error", text, error, about=type(error).__name__)
        return self.copied(stale)

    def _keep(self, step: ValueStep, value: Any, call: Call) -> Any:
        try:
            refuse_used_once(value)
            result = value
            if self._freezes:
                value = frozen(result)
            ttl = self._ttl(value) if callable(self._ttl) else self._ttl
            if ttl is None or _is_zero(ttl) or (self._condition is not None and not self._condition(value)):
                step.give(value)
            else:
                # As it was returned: frozen containers are of other types than the annotation says.
                coded = self._codec_now().encode(result) if self._encodes else None
                step.finish(value, weight(value), coded, ttl, call.tags(value))
        except BaseException as error:
            # Whoever waits gets to know as well.
            if isinstance(error, Exception):
                step.fail(error)
            else:
                step.abandon()
            raise
        # The one who loaded must not have in hands what is stored.
        return self.copied(value)


def _is_zero(ttl: "Duration") -> bool:
    return isinstance(ttl, int | float | timedelta) and not ttl


def _see(load: "asyncio.Task[Any]") -> None:
    """What it raised is reported by the call that loads."""
    if not load.cancelled():
        load.exception()
