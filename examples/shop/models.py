"""The tables. Rows live and die with a session and are never cached: `schemas` has what is."""

from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Table(DeclarativeBase):
    """Base of every table."""


class ProductRow(Table):
    """A product on sale."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    category: Mapped[str] = mapped_column(String(40), index=True)
    price_cents: Mapped[int]
    stock: Mapped[int]


class SettingsRow(Table):
    """What one user has chosen. Who has chosen nothing has no row."""

    __tablename__ = "settings"

    user_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    language: Mapped[str] = mapped_column(String(2))
    page_size: Mapped[int]
