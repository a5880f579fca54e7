"""What a type checker says of cached functions, events and values: mypy reads this file, and nothing runs it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

from hotplate import Cache
from hotplate.protocols import CacheInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

cache = Cache()
products_of = cache.namespace("products", ttl="5m")


@dataclass
class Product:
    number: int
    name: str


class ProductEvent(Enum):
    UPDATED = 1


# --- Cached functions ------------------------------------------------------------------------------------------------


@cache.cached("10m")
async def bare(number: int) -> Product:
    return Product(number, "")


@cache.cached(
    "10m",
    key="product:{number}",
    tags=["products", "product:{number}"],
    stale_while_revalidate=60,
    stale_if_error=timedelta(hours=1),
    refresh_ahead=0.8,
    soft_timeout="100ms",
    condition=lambda product: product is not None,
    codec="json",
)
async def product(number: int, *, lang: str = "en") -> Product | None:
    return Product(number, lang) if number else None


@cache.cached(lambda products: "1m" if products else None, tags=lambda products: [f"product:{p}" for p in products])
def search(text: str, page: int = 1) -> list[Product]:
    return [Product(page, text)]


@products_of.cached("1m", key="first:{number}")
def of_namespace(number: int) -> str:
    return str(number)


@cache.cached(60, key=lambda number: f"n:{number}", exclude=["session"])
def nothing(session: object) -> None:
    return None


async def of_async_functions() -> None:
    assert_type(await bare(1), Product)
    assert_type(await bare(number=1), Product)
    assert_type(await product(1), Product | None)
    assert_type(await product(1, lang="de"), Product | None)
    assert_type(await product.refresh(1), Product | None)
    assert_type(await product.bypass(number=1, lang="de"), Product | None)
    assert_type(await product.invalidate(1, lang="de"), int)
    assert_type(product.key(1), str)
    assert_type(product.cache_info(), CacheInfo)
    assert_type(product.cache_info().hits, int)
    assert_type(product.__name__, str)
    running: Coroutine[Any, Any, Product] = bare(1)
    assert_type(await running, Product)
    assert_type(await bare.__wrapped__(1), Product)
    function: Callable[[int], Coroutine[Any, Any, Product]] = bare
    await function(1)


def of_sync_functions() -> None:
    assert_type(search("a"), list[Product])
    assert_type(search("a", page=2), list[Product])
    assert_type(search.refresh("a"), list[Product])
    assert_type(search.bypass("a", 2), list[Product])
    assert_type(search.invalidate("a"), int)
    assert_type(search.key(text="a"), str)
    assert_type(search.cache_info(), CacheInfo)
    assert_type(search.__wrapped__("a"), list[Product])
    assert_type(of_namespace(1), str)
    assert_type(of_namespace.invalidate(1), int)
    function: Callable[[str], list[Product]] = search
    function("a")


async def wrong_calls_of_functions() -> None:
    await bare("1")  # type: ignore[arg-type]
    await bare()  # type: ignore[call-arg]
    await bare(1, 2)  # type: ignore[call-arg]
    await product(1, "de")  # type: ignore[call-arg]
    await product(1, language="de")  # type: ignore[call-arg]
    product.key()  # type: ignore[call-arg]
    await product.invalidate("1")  # type: ignore[arg-type]
    await product.refresh(1, 2)  # type: ignore[call-arg,arg-type]
    await product.bypass(lang="de")  # type: ignore[call-arg]
    search(1)  # type: ignore[arg-type]
    search.invalidate()  # type: ignore[call-arg]
    search.key("a", pages=1)  # type: ignore[call-arg]
    await search("a")  # type: ignore[misc]


cache.cached()  # type: ignore[call-arg]
cache.cached("1m", tag=["products"])  # type: ignore[call-arg]
cache.cached("1m", copy="shallow")  # type: ignore[arg-type]
cache.cached("1m", refresh_ahead="1m")  # type: ignore[arg-type]
cache.cached(None)  # type: ignore[arg-type]
cache.cached("1m")(1)  # type: ignore[call-overload]


# --- Cached methods --------------------------------------------------------------------------------------------------


class Shop:
    @cache.cached("1m", key="shop:{number}")
    async def product(self, number: int, *, lang: str = "en") -> Product | None:
        return Product(number, lang)

    @cache.cached("1m", exclude=["self"])
    def names(self, page: int = 1) -> list[str]:
        return [str(page)]

    @classmethod
    @cache.cached("1m", exclude=["cls"])
    async def of_class(cls, number: int) -> Product:
        return Product(number, "")

    @staticmethod
    @cache.cached("1m")
    def of_none(number: int) -> Product:
        return Product(number, "")

    @classmethod
    @cache.cached("1m", exclude=["cls"])
    def count(cls) -> int:
        return 1

    @staticmethod
    @cache.cached("1m")
    async def of_nothing() -> Product:
        return Product(1, "")

    @staticmethod
    @cache.cached("1m")
    async def of_keywords(*, number: int) -> Product:
        return Product(number, "")

    @staticmethod
    @cache.cached("1m")
    def of_anything(thing: object) -> str:
        return str(thing)

    @cache.invalidates(tags=["product:{number}"])
    async def change(self, number: int, name: str) -> Product:
        return Product(number, name)

    @cache.write_through("1m", key="shop:{number}")
    def save(self, number: int) -> Product:
        return Product(number, "")


async def of_methods(shop: Shop) -> None:
    assert_type(await shop.product(1), Product | None)
    assert_type(await shop.product(1, lang="de"), Product | None)
    assert_type(await Shop.product(shop, 1), Product | None)
    assert_type(await Shop.product.invalidate(shop, 1), int)
    assert_type(await shop.product.invalidate(shop, 1, lang="de"), int)
    assert_type(await shop.product.refresh(shop, number=1), Product | None)
    assert_type(await Shop.product.bypass(shop, 1), Product | None)
    assert_type(Shop.product.key(shop, 1), str)
    assert_type(shop.product.key(shop, 1), str)
    assert_type(shop.product.cache_info(), CacheInfo)
    assert_type(shop.names(), list[str])
    assert_type(Shop.names(shop, page=1), list[str])
    assert_type(shop.names.invalidate(shop, 2), int)
    assert_type(Shop.names.refresh(shop), list[str])
    assert_type(shop.names.bypass(shop), list[str])
    assert_type(shop.names.key(shop), str)
    assert_type(await shop.change(1, name="a"), Product)
    assert_type(shop.save(1), Product)
    method: Callable[[int], Coroutine[Any, Any, Product | None]] = shop.product
    await method(1)


async def of_static_methods(shop: Shop) -> None:
    assert_type(Shop.of_none(1), Product)
    assert_type(Shop.of_none(number=1), Product)
    assert_type(Shop.of_none.invalidate(1), int)
    assert_type(Shop.of_none.key(1), str)
    assert_type(shop.of_none(number=1), Product)
    assert_type(shop.of_none.key(number=1), str)
    assert_type(shop.of_none.invalidate(1), int)
    assert_type(await Shop.of_nothing(), Product)
    assert_type(await shop.of_nothing(), Product)
    assert_type(await shop.of_nothing.invalidate(), int)
    assert_type(await Shop.of_keywords(number=1), Product)
    assert_type(await shop.of_keywords(number=1), Product)
    assert_type(Shop.of_anything(1), str)
    assert_type(shop.of_anything(shop), str)


async def of_class_methods(shop: Shop, shops: type[Shop]) -> None:
    assert_type(await Shop.of_class(1), Product)
    assert_type(await shop.of_class(number=1), Product)
    assert_type(await shops.of_class(1), Product)
    assert_type(await Shop.of_class.invalidate(Shop, 1), int)
    assert_type(await shop.of_class.refresh(Shop, number=1), Product)
    assert_type(await Shop.of_class.bypass(Shop, 1), Product)
    assert_type(shop.of_class.key(Shop, 1), str)
    assert_type(Shop.of_class.cache_info(), CacheInfo)
    assert_type(Shop.count(), int)
    assert_type(shop.count(), int)
    assert_type(Shop.count.invalidate(Shop), int)
    method: Callable[[int], Coroutine[Any, Any, Product]] = Shop.of_class
    await method(1)


class Corner(Shop):
    @cache.cached("1m", exclude=["self"])
    def names(self, page: int = 1) -> list[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return super().names(page)

    async def all(self) -> list[str]:
        assert_type(await self.product(1), Product | None)
        assert_type(await self.of_class(1), Product)
        assert_type(self.of_none(1), Product)
        assert_type(super().count(), int)
        return [*self.names(), *super().names()]

    @classmethod
    async def first(cls) -> Product:
        assert_type(cls.of_none(1), Product)
        return await cls.of_class(1)


async def of_subclasses(corner: Corner) -> None:
    assert_type(await corner.product(1), Product | None)
    assert_type(await corner.product.invalidate(corner, 1), int)
    assert_type(await Corner.product(corner, 1), Product | None)
    assert_type(await Corner.of_class(1), Product)
    assert_type(await corner.of_class(1), Product)
    assert_type(await Corner.of_class.invalidate(Corner, 1), int)
    assert_type(corner.of_none(1), Product)


async def wrong_calls_of_methods(shop: Shop) -> None:
    await shop.product("1")  # type: ignore[arg-type]
    await shop.product(1, "de")  # type: ignore[call-arg]
    await Shop.product(1)  # type: ignore[call-arg,arg-type]
    await Shop.product.invalidate(1)  # type: ignore[call-arg,arg-type]
    await shop.product.invalidate(1)  # type: ignore[call-arg,arg-type]
    shop.names.invalidate()  # type: ignore[call-arg]
    shop.names("1")  # type: ignore[arg-type]
    Shop.of_none("1")  # type: ignore[arg-type]
    shop.of_none("1")  # type: ignore[arg-type]
    shop.of_none()  # type: ignore[call-arg]
    await Shop.of_class("1")  # type: ignore[arg-type]
    await shop.of_class(Shop, 1)  # type: ignore[call-arg,arg-type]
    await Shop.of_class.invalidate(1)  # type: ignore[call-arg,arg-type]
    await shop.of_nothing(1)  # type: ignore[call-arg]
    await shop.change(1)  # type: ignore[call-arg]
    shop.save()  # type: ignore[call-arg]


# --- What writes and invalidates -------------------------------------------------------------------------------------


@cache.write_through("10m", key="product:{number}", tags=["products"])
async def save(number: int, *, name: str = "") -> Product:
    return Product(number, name)


@cache.write_through(600, key="product:{result.number}")
def save_now(name: str) -> Product:
    return Product(1, name)


@cache.invalidates(tags=["product:{number}"], keys=["first:{number}"], prefixes=["/products"], soft=True)
async def remove(number: int) -> Product | None:
    return None


@cache.invalidates(tags=["products"])
def remove_all() -> int:
    return 0


@cache.invalidates(tags=["products"])
@cache.cached("1m")
async def both(number: int) -> Product:
    return Product(number, "")


async def of_changes() -> None:
    assert_type(await save(1, name="a"), Product)
    running: Coroutine[Any, Any, Product] = save(1)
    await running
    assert_type(save_now("a"), Product)
    assert_type(await remove(1), Product | None)
    assert_type(remove_all(), int)
    assert_type(save.__name__, str)
    assert_type(await both.invalidate(1), int)
    dependency: Callable[[], object] = cache.invalidates(tags=["products"])
    dependency()


async def wrong_calls_of_changes() -> None:
    await save("1")  # type: ignore[arg-type]
    await save(1, "a")  # type: ignore[call-arg]
    save_now()  # type: ignore[call-arg]
    await remove(number="1")  # type: ignore[arg-type]
    remove_all(1)  # type: ignore[call-arg]


cache.write_through("10m")  # type: ignore[call-arg]
cache.write_through(lambda result: "1m", key="product")  # type: ignore[arg-type]
cache.invalidates(["products"])  # type: ignore[call-arg]
cache.invalidates(tags=["products"])(1)  # type: ignore[call-overload]


# --- Events ----------------------------------------------------------------------------------------------------------

cache.on(ProductEvent.UPDATED, invalidate_tags=["product:{number}"])
cache.on(ProductEvent.UPDATED, tags=["products"])  # type: ignore[call-arg]


@cache.on(ProductEvent.UPDATED)
async def reindex(number: int) -> str:
    return str(number)


@cache.on("stock", invalidate_keys=["first:{number}"])
def count(number: int) -> None: ...


async def of_events() -> None:
    assert_type(await reindex(1), str)
    reindex("1")  # type: ignore[arg-type,unused-coroutine]
    count("1")  # type: ignore[arg-type]
    assert_type(await cache.emit(ProductEvent.UPDATED, number=1), tuple[Exception, ...])
    assert_type(cache.sync.emit("stock", number=1), tuple[Exception, ...])


# --- Values under names ----------------------------------------------------------------------------------------------


async def load() -> Product:
    return Product(1, "")


async def load_or_none() -> Product | None:
    return None


def load_now() -> list[int]:
    return [1]


async def of_values() -> None:
    assert_type(await cache.get_or_set("k", load, ttl="5m"), Product)
    assert_type(await cache.get_or_set("k", load_or_none, ttl="5m"), Product | None)
    assert_type(await cache.get_or_set("k", load_now, ttl="5m", tags=["products"]), list[int])
    assert_type(await cache.get_or_set("k", lambda: bare(1), ttl=5), Product)
    assert_type(await cache.get_or_set("k", lambda: 1, ttl=5), int)
    assert_type(await products_of.get_or_set("k", load), Product)
    assert_type(await products_of.get_or_set("k", load_now), list[int])
    assert_type(cache.sync.get_or_set("k", load_now, ttl="5m"), list[int])
    assert_type(await cache.set("k", 1, ttl="5m"), bool)
    assert_type(await cache.delete("k"), bool)
    assert_type(await cache.incr("k", ttl="1h"), int | None)


async def wrong_calls_of_values() -> None:
    await cache.get_or_set("k", load)  # type: ignore[call-overload]
    await cache.get_or_set("k", 1, ttl=5)  # type: ignore[call-overload]
    await cache.get_or_set("k", bare, ttl=5)  # type: ignore[arg-type]
    await cache.set("k", 1)  # type: ignore[call-arg]
    await cache.delete(1)  # type: ignore[arg-type]
