"""The shop as a process of its own has it: modules imported anew, a client, and a record of its queries.

Several in one test share what processes share, a database file and a Redis, and nothing else.
"""

import importlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
from sqlalchemy import event
from sqlalchemy.orm import Session

from tests.waiting import eventually

if TYPE_CHECKING:
    from hotplate import Cache

PACKAGE = "examples.shop"


def imported_anew(environment: Mapping[str, str]) -> Any:
    """The module of the app, with modules of its own below it, as a program with this environment imports it."""
    before = {name: module for name, module in sys.modules.items() if name.startswith(PACKAGE)}
    for name in before:
        del sys.modules[name]
    try:
        with patch.dict(os.environ, environment):
            return importlib.import_module(f"{PACKAGE}.app")
    finally:
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(before)


class Shop:
    """One running shop."""

    def __init__(self, module: Any, client: httpx.AsyncClient) -> None:
        self.module = module
        self.service = module.service
        self.cache: Cache = module.cache
        self.client = client
        self.queries: list[str] = []
        event.listen(module.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self.queries.append(statement)

    @contextmanager
    def asks(self, number: int) -> Iterator[None]:
        """Inside, the database is sent exactly so many statements."""
        before = len(self.queries)
        yield
        sent = self.queries[before:]
        assert len(sent) == number, sent

    async def request(self, method: str, target: str, body: object = None, **headers: str) -> httpx.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, target, json=body, headers=fields)

    async def get(self, target: str, **headers: str) -> httpx.Response:
        return await self.request("GET", target, **headers)

    async def json(self, target: str, **headers: str) -> Any:
        answer = await self.get(target, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def names(self, target: str = "/products") -> list[str]:
        """What stands on a list."""
        return [product["name"] for product in (await self.json(target))["items"]]

    async def connected(self) -> None:
        """Waits until it reads and writes the shared tier, if it has one."""
        if self.cache.is_shared:
            self.cache.core.start()
            await eventually(lambda: self._seen.up and self._seen.certain, f"connected: {self._seen}")

    @property
    def _seen(self) -> Any:
        return self.cache.shared_stats()


@asynccontextmanager
async def shop_process(environment: Mapping[str, str], *, connect: bool = True) -> AsyncIterator[Shop]:
    """A shop from start to shutdown; ``connect``: it begins when its cache is connected."""
    module = imported_anew(environment)
    transport = httpx.ASGITransport(app=module.app)
    async with (
        module.app.router.lifespan_context(module.app),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        shop = Shop(module, client)
        if connect:
            await shop.connected()
        yield shop


@contextmanager
def at_commit(do: Any) -> Iterator[None]:
    """Inside, ``do()`` is called when a session is about to commit: to look, or to raise."""

    def before(session: Session) -> None:
        do()

    event.listen(Session, "before_commit", before)
    try:
        yield
    finally:
        event.remove(Session, "before_commit", before)
