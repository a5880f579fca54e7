"""The database: an engine, sessions to read in, and the unit of work, in which everything is written.

`DATABASE_URL` names it: `sqlite+aiosqlite:///shop.db` is a file, which several processes can share. Without, it is in
the memory of this process, new at every start.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import insert, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from examples.shop.cache import cache
from examples.shop.events import ProductEvent
from examples.shop.models import ProductRow, Table


def open_engine(url: str) -> AsyncEngine:
    """The engine for a URL. A database in memory is one connection, so transactions take turns on it."""
    if make_url(url).database in (None, "", ":memory:"):
        return create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0)
    return create_async_engine(url)


engine = open_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite://"))
sessions = async_sessionmaker(engine, expire_on_commit=False)


class UnitOfWork:
    """One transaction, and what shall be told once it is committed."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self._events: list[tuple[ProductEvent, int]] = []

    def tell(self, event: ProductEvent, *, product_id: int) -> None:
        """Has an event emitted after the commit. If there is none, nothing has happened, and nothing is told."""
        self._events.append((event, product_id))

    async def commit(self) -> None:
        """Commits, then tells. Not the other way round: who reads in between would store the old value as new."""
        await self.session.commit()
        for event, product_id in self._events:
            await cache.emit(event, product_id=product_id)


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[UnitOfWork]:
    """A transaction that is committed at the end of the block, or rolled back if the block or the commit raises."""
    async with sessions() as session:  # closing it rolls back what is not committed
        work = UnitOfWork(session)
        yield work
        await work.commit()


async def prepare() -> None:
    """Makes the tables and fills the shelf, in a new database; several processes may start at once."""
    async with engine.begin() as connection:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")  # SQLite: whoever comes second waits here
        await connection.run_sync(Table.metadata.create_all)
        is_new = (await connection.execute(select(ProductRow.id).limit(1))).first() is None
        if is_new:
            await connection.execute(insert(ProductRow), SHELF)
    if is_new:
        cache.clear()  # on Redis it may know the products of another database


SHELF = [
    {"name": name, "category": category, "price_cents": price_cents, "stock": 10}
    for name, category, price_cents in [
        ("Moka pot", "coffee", 2900),
        ("Hand grinder", "coffee", 7900),
        ("Paper filters", "coffee", 450),
        ("Cast-iron pan", "pans", 5400),
        ("Crêpe pan", "pans", 3100),
        ("Copper saucepan", "pans", 14900),
        ("Bread knife", "knives", 4200),
        ("Paring knife", "knives", 1800),
    ]
]
