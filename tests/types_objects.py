"""What a type checker says of `LocalCache` and `memoize`: `make check` has mypy read this file, and nothing runs it."""

from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

from hotplate import LocalCache, memoize

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


@memoize
def bare(number: int, text: str = "") -> list[int]:
    return [number, len(text)]


@memoize(ttl="5m", maxsize=10)
def with_settings(number: int, *, text: str) -> list[int]:
    return [number, len(text)]


@memoize()
async def awaited(number: int) -> str:
    return str(number)


class Shop:
    @memoize
    def method(self, number: int) -> str:
        return str(number)

    @memoize(ttl=60)
    async def awaited(self, number: int) -> str:
        return str(number)


async def results(shop: Shop) -> None:
    assert_type(bare(1, text="a"), list[int])
    assert_type(with_settings(1, text="a"), list[int])
    running: Coroutine[Any, Any, str] = awaited(1)
    assert_type(await running, str)
    assert_type(await awaited(1), str)
    assert_type(shop.method(1), str)
    assert_type(Shop.method(shop, 1), str)
    assert_type(await shop.awaited(number=1), str)
    assert_type(bare.__wrapped__(1), list[int])
    assert_type(shop.method.cache_info().hits, int)
    function: Callable[[int, str], list[int]] = bare
    method: Callable[[int], str] = shop.method
    function(1, "a")
    method(1)


def wrong_calls(shop: Shop) -> None:
    bare("1")  # type: ignore[arg-type]
    with_settings(1)  # type: ignore[call-arg]
    shop.method("1")  # type: ignore[arg-type]
    Shop.method(1)  # type: ignore[call-arg,arg-type]


async def caches(cache: LocalCache[str, int]) -> None:
    assert_type(cache["a"], int)
    assert_type(cache.get("a"), int | None)
    assert_type(cache.get("a", 5), int)
    assert_type(cache.get("a", "b"), int | str)
    assert_type(cache.pop("a"), int)
    assert_type(cache.setdefault("a", 1), int)
    assert_type(cache.get_or_set("a", lambda: 1), int)
    assert_type(cache.items(), list[tuple[str, int]])
    cache.update({"a": 1}, b=2)
    cache.update([("a", 1)])
    cache["a"] = "text"  # type: ignore[assignment]
    cache.set(1, 1)  # type: ignore[arg-type]

    async def load() -> int:
        return 1

    assert_type(await cache.aget_or_set("a", load), int)


inferred: LocalCache[str, bytes] = LocalCache(None, max_bytes="64MiB", weigh=len)
