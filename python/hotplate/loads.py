"""Running the application for a stored response: on a task of its own, which belongs to the cache.

The client that asked first reads what the load sends through an outbox. If that client leaves, the load goes
on, because others may wait for the same key and because its answer will be stored. It belongs to its client
again from the moment when its answer turns out not to be stored: then the client's disconnect reaches the
application, and a slow client slows it down, as without a cache.

A load nobody listens to any more, and a refresh nobody waited for, get ``ORPHAN_SECONDS`` to end before they are told
that their client has left.
"""

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from hotplate._core import Exchange, Outbox, Step
from hotplate.asgi import ASGIApp, Message, Receive, Scope, Send
from hotplate.bridges import bridge_of
from hotplate.faults import Faults
from hotplate.waiters import resolve

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

__all__ = ["Load", "Loads"]

ORPHAN_SECONDS = 30.0
"""How long a load goes on streaming for the cache alone after its client has left."""

T = TypeVar("T")


class Loads:
    """The loads under way for one cache. Holds the only lasting reference to each task."""

    __slots__ = ("_faults", "_tasks")

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._tasks: dict[asyncio.AbstractEventLoop, set[asyncio.Task[Any]]] = {}

    def __len__(self) -> int:
        return sum(map(len, list(self._tasks.values())))

    def start(self, load: "Load") -> None:
        """Runs the load on its own task.

        From Python 3.12 on the task starts at once, so that a handler which never waits costs no turn of the loop.
        """
        self._keep(_start(load.run()))

    def _keep(self, task: "asyncio.Task[Any]") -> None:
        if not task.done():
            tasks = self._tasks.setdefault(task.get_loop(), set())
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def give_up_closed(self) -> None:
        """Ends the loads of loops that were closed while these ran: they will never go on, and others wait for them."""
        for loop in [loop for loop in list(self._tasks) if loop.is_closed()]:
            for task in self._tasks.pop(loop, ()):
                coroutine = task.get_coro()
                try:
                    if coroutine is not None:
                        coroutine.close()
                except RuntimeError as error:
                    self._faults.report("closed-loop", "a load of a closed event loop cannot be ended: %s", error)

    def start_refresh(self, load: "Load", step: Step) -> None:
        """Runs a refresh on its own task, unless another process refreshes the same response or has done so."""
        self._keep(_start(_refresh(load, step)))

    def run(self, load: "Coroutine[Any, Any, T]") -> "asyncio.Task[T]":
        """Runs something on a task of the cache's own, which it waits for at shutdown."""
        task = _start(load)
        self._keep(task)
        return task

    async def drain(self, timeout: float) -> None:
        """Waits for the loads of the running loop to end, at most ``timeout`` seconds; then cancels the rest."""
        loop = asyncio.get_running_loop()
        mine = set(self._tasks.get(loop, ()))
        if not mine:
            return
        _, late = await asyncio.wait(mine, timeout=timeout)
        for task in late:
            task.cancel()
        if late:
            text = "cancelled %d loads that did not end within %g s of shutdown"
            self._faults.report("shutdown", text, len(late), timeout, seconds=timeout)
            await asyncio.wait(late)


if sys.version_info >= (3, 12):

    def _start(run: "Coroutine[Any, Any, T]") -> "asyncio.Task[T]":
        return asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

else:

    def _start(run: "Coroutine[Any, Any, T]") -> "asyncio.Task[T]":
        return asyncio.get_running_loop().create_task(run)


async def _refresh(load: "Load", step: Step) -> None:
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[None] = loop.create_future()
    if step.start(bridge_of(loop), answered):
        try:
            await answered
        except BaseException:
            step.abandon()
            raise
    if step.is_mine():
        await load.run()


class Load:
    """One run of the application whose answer the cache wants.

    ``client`` is the receive channel of the client that asked first, or ``None`` for a refresh nobody waits for.
    """

    __slots__ = (
        "_app",
        "_body",
        "_client",
        "_client_left",
        "_client_scope",
        "_drained",
        "_error",
        "_exchange",
        "_expired",
        "_finished",
        "_gone",
        "_listeners",
        "_orphan",
        "_outbox",
        "_released",
        "_request_given",
        "_traceback",
        "_watch",
        "scope",
    )

    scope: dict[str, Any]
    """The scope of the run; the router writes into it."""

    def __init__(
        self, app: ASGIApp, exchange: Exchange, scope: Scope, body: bytes | None, client: Receive | None
    ) -> None:
        self._app = app
        self._exchange = exchange
        self._client_scope = scope
        self.scope = exchange.load_scope(scope)
        self._body = body or b""
        self._client = client
        self._client_left = client is None
        self._drained: asyncio.Future[None] | None = None
        self._released: asyncio.Event | None = None
        self._gone: asyncio.Event | None = None
        self._listeners = 0
        self._watch: asyncio.Task[None] | None = None
        self._orphan: asyncio.TimerHandle | None = None
        self._request_given = False
        self._expired = False
        self._finished = False
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._outbox = Outbox(exchange)
        if client is None:
            self._outbox.close()

    # The load's own side.

    async def run(self) -> None:
        """Runs the application to its end and tells the exchange how it went. Raises nothing but cancellation."""
        exchange = self._exchange
        outbox = self._outbox
        if self._client is None:
            self._expire_later()
        try:
            await self._app(self.scope, self._receive, self._send)
            while exchange.end():
                # The router has written into the first scope; the second run starts from what the client sent.
                self.scope = exchange.load_scope(self._client_scope)
                self._request_given = False
                await self._app(self.scope, self._receive, self._send)
        except Exception as error:  # the client's coroutine raises it again, as the application did
            answer = exchange.fail(error)
            if answer is not None:
                text = "served a stale response because its load failed: %r"
                self._report("stale-if-error", text, error, about=type(error).__name__)
                outbox.put(answer)
            else:
                self._error, self._traceback = error, error.__traceback__
                if self._client is None:
                    text = "a refresh failed; the stored response stays as it is"
                    self._report("refresh-failed", text, error=error)
                elif self._client_left:
                    self._report("load-failed", "a load failed whose client has left", error=error)
        except BaseException as error:
            exchange.abandon()
            self._error = error
            raise
        finally:
            self._finished = True
            if self._watch is not None:
                self._watch.cancel()
                self._watch = None  # cancelled, it holds this
            if self._orphan is not None:
                self._orphan.cancel()
            if self._gone is not None:
                self._gone.set()
            self._release()
            outbox.end()

    def _report(self, reason: str, text: str, *values: object, **how: Any) -> None:
        exchange = self._exchange
        path = self._client_scope.get("path")
        exchange.cache.faults.report(reason, text, *values, path=path, seconds=exchange.seconds, **how)

    async def _send(self, message: Message) -> None:
        """The send channel of the application: waits where the slowness of the client is to be felt."""
        more = self._outbox.tell(message)
        if more:
            self._watch_client()
        if self._released is not None and (self._expired or self._let_go()):
            self._release()
        passing = self._exchange.passing
        if self._client_left:
            if (self._expired or passing) and self._raises_on_disconnect():
                raise OSError("nobody listens to this response any more")
            return
        while more and passing and self._is_being_read():
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            # Shared by all tasks of the handler that send; one that is cancelled must not cancel it for the others.
            await asyncio.shield(self._drained)

    def _is_being_read(self) -> bool:
        """Whether the client has yet to take what was sent, and will."""
        return bool(self._outbox) and not self._client_left and not self._finished

    async def _receive(self) -> Message:
        if not self._request_given:
            self._request_given = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._finished:
            return {"type": "http.disconnect"}
        if self._released is None or self._gone is None:
            self._released, self._gone = asyncio.Event(), asyncio.Event()
            if self._expired or self._let_go():
                self._released.set()
            if self._client_left:
                self._gone.set()
        if self._client is not None and self._watch is None and not self._client_left:
            await self._listen(self._client)
        await self._released.wait()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def _let_go(self) -> bool:
        """Whether the load belongs to its client: its answer is not for the cache, or not any longer."""
        return self._exchange.passing or self._outbox.is_complete

    def _raises_on_disconnect(self) -> bool:
        version = str(self.scope.get("asgi", {}).get("spec_version", "2.0"))
        return tuple(int(part) for part in version.split(".")) >= (2, 4)

    def _expire_later(self) -> None:
        self._orphan = asyncio.get_running_loop().call_later(ORPHAN_SECONDS, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._release()

    def _release(self) -> None:
        if self._released is not None:
            self._released.set()

    def _watch_client(self) -> None:
        """Has a task listen for the client's leaving: for a stream, where the application does not listen itself."""
        if self._watch is None and not self._listeners and self._client is not None and not self._finished:
            self._watch = asyncio.get_running_loop().create_task(self._until_disconnect(self._client))

    async def _listen(self, client: Receive) -> None:
        """Listens for the client's leaving for as long as the application asks."""
        self._listeners += 1
        try:
            await self._until_disconnect(client)
        finally:
            self._listeners -= 1

    async def _until_disconnect(self, client: Receive) -> None:
        try:
            while (await client())["type"] != "http.disconnect":
                pass
        except Exception as error:
            text = "the receive channel of a client raised; its load goes on as if the client had left"
            self._report("receive-failed", text, error=error)
        self.leave()

    # The client's side.

    async def lead(self, send: Send) -> None:
        """Sends the client its answer as the load produces it, and returns when the load has ended.

        Raises what the application raised. Cancelling this does not cancel the load.
        """
        outbox = self._outbox
        try:
            while True:
                while (message := outbox.take()) is not None:
                    await send(message)
                if self._drained is not None:
                    resolve(self._drained)
                    self._drained = None
                if self._finished:
                    break
                wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                outbox.wait(wake)
                await wake
        except BaseException:
            self.leave()
            raise
        finally:
            self._exchange.give_back(self.scope, self._client_scope)
        if self._error is not None:
            # Others who waited may have raised the same exception before.
            raise self._error.with_traceback(self._traceback)

    def leave(self) -> None:
        """The client has gone. The load goes on for the cache, within bounds."""
        if self._client_left or self._finished:
            return
        self._client_left = True
        self._outbox.close()
        if self._gone is not None:
            self._gone.set()
        if self._drained is not None:
            resolve(self._drained)
        if self._let_go():
            self._release()
        else:
            self._expire_later()
