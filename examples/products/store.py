"""Products in a dict behind a delay: the slow database of the example.

Every read waits `PRODUCTS_DELAY` seconds (0.5 unless the environment says otherwise), as a report query or a call to
another service would. Writes are quick. Nothing here knows that there is a cache.
"""

import asyncio
import os

from pydantic import BaseModel, Field


class NewProduct(BaseModel):
    """A product as a client sends it."""

    name: str = Field(min_length=1, max_length=80)
    category: str = Field(min_length=1, max_length=40)
    price_cents: int = Field(ge=0)


class Product(NewProduct):
    """A product as the store keeps it."""

    id: int


class Store:
    """All products, slowly."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = delay_seconds
        self._products: dict[int, Product] = {}
        for name, category, price_cents in SHELF:
            self.create(NewProduct(name=name, category=category, price_cents=price_cents))

    async def page(self, category: str | None, page: int, size: int) -> list[Product]:
        """One page of the products of a category, or of all; pages count from 1."""
        await asyncio.sleep(self._delay_seconds)
        found = [product for product in self._products.values() if category in (None, product.category)]
        return found[(page - 1) * size : page * size]

    async def find(self, product_id: int) -> Product | None:
        """The product, or `None`."""
        await asyncio.sleep(self._delay_seconds)
        return self._products.get(product_id)

    async def value_cents(self) -> int:
        """What all products cost together."""
        await asyncio.sleep(self._delay_seconds)
        return sum(product.price_cents for product in self._products.values())

    def create(self, new: NewProduct) -> Product:
        """Keep a new product under the next id."""
        product = Product(id=max(self._products, default=0) + 1, **new.model_dump())
        self._products[product.id] = product
        return product

    def update(self, product_id: int, new: NewProduct) -> Product | None:
        """Replace a product; `None` if there is none with this id."""
        if product_id not in self._products:
            return None
        product = Product(id=product_id, **new.model_dump())
        self._products[product_id] = product
        return product

    def delete(self, product_id: int) -> bool:
        """Forget a product; whether there was one."""
        return self._products.pop(product_id, None) is not None


SHELF = [
    ("Moka pot", "coffee", 2900),
    ("Hand grinder", "coffee", 7900),
    ("Paper filters", "coffee", 450),
    ("Cast-iron pan", "pans", 5400),
    ("Crêpe pan", "pans", 3100),
    ("Copper saucepan", "pans", 14900),
    ("Bread knife", "knives", 4200),
    ("Paring knife", "knives", 1800),
]


def open_store() -> Store:
    """The store with the delay that the environment asks for."""
    return Store(delay_seconds=float(os.environ.get("PRODUCTS_DELAY", "0.5")))
