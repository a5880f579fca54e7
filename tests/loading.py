"""Origins that are held back, and requests that wait for one load."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from hotplate.asgi import Scope
from tests.driver import Call, Reply, Response, Site, call
from tests.waiting import eventually, turns

Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


def lazily(run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    return asyncio.get_running_loop().create_task(run)


STARTS: dict[str, Start] = {"lazily": lazily}
if sys.version_info >= (3, 12):

    def eagerly(run: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return asyncio.Task(run, loop=asyncio.get_running_loop(), eager_start=True)

    STARTS["eagerly"] = eagerly


class Gate:
    """An origin that is held back: counts who is inside, and lets all go when opened."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.opened = asyncio.Event()
        self.inside = 0

    async def __call__(self, _scope: Scope) -> Reply:
        self.inside += 1
        await self.opened.wait()
        return self.reply

    async def entered(self, count: int = 1) -> None:
        await eventually(lambda: self.inside >= count, f"{count} runs of the application are under way")


def asking(site: Site, request: Call) -> "asyncio.Task[Response]":
    return asyncio.get_running_loop().create_task(request.run(site.app))


async def led_and_followed(site: Site, gate: Gate, followers: int) -> "list[asyncio.Task[Response]]":
    """One request that loads and some that wait for it; the leader is the first."""
    leader = asking(site, call("GET", "/"))
    await gate.entered()
    waiting = [asking(site, call("GET", "/")) for _ in range(followers)]
    await turns()
    return [leader, *waiting]
