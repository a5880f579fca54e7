"""What goes over HTTP and into the cache.

What is cached is frozen: all who find a value in this process's memory get the same object, and nobody may change it.
Tuples and frozensets instead of lists and sets, for the same reason.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=80)]
Category = Annotated[str, Field(min_length=1, max_length=40)]
Amount = Annotated[int, Field(ge=0)]


class Frozen(BaseModel):
    """A model that nobody can change; made from a row as well as from JSON."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class NewProduct(Frozen):
    """A product as a client sends it."""

    name: Name
    category: Category
    price_cents: Amount
    stock: Amount = 0


class Product(NewProduct):
    """A product as everybody sees it."""

    id: int


class ProductChange(Frozen):
    """What shall be different about a product; what is left out stays."""

    name: Name | None = None
    category: Category | None = None
    price_cents: Amount | None = None
    stock: Amount | None = None


class Filters(Frozen):
    """Which products a list has. It is part of the key of a list: equal filters, in whatever order, are one key."""

    categories: frozenset[str] = frozenset()
    max_price_cents: int | None = None
    search: str | None = None


class ProductPage(Frozen):
    """One page of a list."""

    items: tuple[Product, ...]
    page: int
    size: int
    has_more: bool


class Settings(Frozen):
    """What a user can choose."""

    language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    page_size: Annotated[int, Field(ge=1, le=100)] = 20


class OrderLine(Frozen):
    """So many of one product."""

    product_id: int
    quantity: Annotated[int, Field(ge=1)]


class NewOrder(Frozen):
    """What somebody wants to have: all of it or nothing."""

    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]


class Receipt(Frozen):
    """What an order costs."""

    total_cents: int
