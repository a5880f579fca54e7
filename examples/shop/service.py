"""What the shop can do, without HTTP. Reads are cached by a decorator; writes happen in a unit of work, and tell.

No write names what is cached: that is in `events`. No read looks at the cache: that is in its decorator.
"""

from collections.abc import Iterable

from sqlalchemy import delete, select, update

from examples.shop.cache import cache
from examples.shop.database import sessions, unit_of_work
from examples.shop.events import ProductEvent
from examples.shop.models import ProductRow, SettingsRow
from examples.shop.schemas import (
    Filters,
    NewProduct,
    OrderLine,
    Product,
    ProductChange,
    ProductPage,
    Receipt,
    Settings,
)

EVERYTHING = Filters()


class OutOfStockError(Exception):
    """There are not so many of this product."""

    def __init__(self, product_id: int) -> None:
        super().__init__(f"there are not so many of product {product_id}")
        self.product_id = product_id


# Products: cache-aside.


@cache.cached("10m", key="product:{product_id}", tags=["product:{product_id}"])
async def find_product(product_id: int) -> Product | None:
    """The product, or `None`, which is kept too: nobody asks the database again for what is not there."""
    async with sessions() as session:
        row = await session.get(ProductRow, product_id)
        return None if row is None else Product.model_validate(row)


@cache.cached("1m", tags=["products:list"])
async def list_products(page: int = 1, size: int = 20, filters: Filters = EVERYTHING) -> ProductPage:
    """One page of the products that pass the filters. Its key is made of page, size and filters."""
    query = select(ProductRow).order_by(ProductRow.id).offset((page - 1) * size).limit(size + 1)
    if filters.categories:
        query = query.where(ProductRow.category.in_(filters.categories))
    if filters.max_price_cents is not None:
        query = query.where(ProductRow.price_cents <= filters.max_price_cents)
    if filters.search is not None:
        query = query.where(ProductRow.name.icontains(filters.search, autoescape=True))
    async with sessions() as session:
        found = [Product.model_validate(row) for row in await session.scalars(query)]
    return ProductPage(items=tuple(found[:size]), page=page, size=size, has_more=len(found) > size)


async def create_product(new: NewProduct) -> Product:
    """Puts a product on sale."""
    async with unit_of_work() as work:
        row = ProductRow(**new.model_dump())
        work.session.add(row)
        await work.session.flush()  # gives it its id
        work.tell(ProductEvent.CREATED, product_id=row.id)
        return Product.model_validate(row)


async def update_product(product_id: int, change: ProductChange) -> Product | None:
    """Changes a product; `None` if there is none with this id."""
    async with unit_of_work() as work:
        row = await work.session.get(ProductRow, product_id)
        if row is None:
            return None
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(row, name, value)
        work.tell(ProductEvent.UPDATED, product_id=product_id)
        return Product.model_validate(row)


async def delete_product(product_id: int) -> bool:
    """Takes a product off sale; whether there was one."""
    async with unit_of_work() as work:
        gone = await work.session.scalar(delete(ProductRow).where(ProductRow.id == product_id).returning(ProductRow.id))
        if gone is not None:
            work.tell(ProductEvent.DELETED, product_id=product_id)
        return gone is not None


async def place_order(lines: Iterable[OrderLine]) -> Receipt:
    """Takes what is ordered from the stock: all of it, or nothing and `OutOfStockError`.

    Where the last line fails, the first has already been written and told. Neither leaves the unit of work.
    """
    total_cents = 0
    async with unit_of_work() as work:
        for line in lines:
            price_cents = await work.session.scalar(
                update(ProductRow)
                .where(ProductRow.id == line.product_id, ProductRow.stock >= line.quantity)
                .values(stock=ProductRow.stock - line.quantity)
                .returning(ProductRow.price_cents)
            )
            if price_cents is None:
                raise OutOfStockError(line.product_id)
            work.tell(ProductEvent.UPDATED, product_id=line.product_id)
            total_cents += price_cents * line.quantity
    return Receipt(total_cents=total_cents)


# Settings: written through. What is saved is what is read next, without a query.


@cache.cached("1h", key="settings:{user_id}")
async def find_settings(user_id: str) -> Settings:
    """What a user has chosen, or what holds for everybody."""
    async with sessions() as session:
        row = await session.get(SettingsRow, user_id)
        return Settings() if row is None else Settings.model_validate(row)


@cache.write_through("1h", key="settings:{user_id}")
async def save_settings(user_id: str, settings: Settings) -> Settings:
    """Keeps what a user has chosen. What it returns is in the cache once the transaction is committed."""
    async with unit_of_work() as work:
        await work.session.merge(SettingsRow(user_id=user_id, **settings.model_dump()))
    return settings
