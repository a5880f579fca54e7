"""What is decorated stays what it is: methods of all kinds, FastAPI endpoints, and what tools read of them."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response

from hotplate import Cache, ConfigError
from hotplate.errors import UnkeyableError
from tests.value_fleet import Place, Product, Runs

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio


# Methods.


@dataclass(frozen=True)
class Tenant:
    name: str


def service(place: Place) -> tuple[type[Any], Runs]:
    """A class of a shop's services, whose methods are cached."""
    runs = Runs()
    cache = place.cache

    class Service:
        __qualname__ = "Service"

        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        @cache.cached("1m", key="{self.tenant}:product:{number}")
        async def product(self, number: int) -> str:
            await runs()
            return f"{self.tenant} {number}"

        @cache.cached("1m", key="{self.tenant}:name:{number}")
        def name(self, number: int) -> str:
            runs.now()
            return f"{self.tenant} {number}"

        @classmethod
        @cache.cached("1m")
        async def of_class(cls, number: int) -> str:
            await runs()
            return f"{cls.__name__} {number}"

        @staticmethod
        @cache.cached("1m")
        async def static(number: int) -> str:
            await runs()
            return f"static {number}"

        @cache.cached("1m", exclude=["self"])
        async def same_for_all(self, number: int = 1) -> int:
            return await runs()

    return Service, runs


async def test_methods_of_two_objects_have_results_of_their_own(place: Place) -> None:
    kind, runs = service(place)
    one, other = kind("one"), kind("other")
    for _ in range(2):
        assert [await one.product(1), await other.product(1), one.name(1), other.name(1)] == [
            "one 1",
            "other 1",
            "one 1",
            "other 1",
        ]
        place.settle()
    assert runs.count == 4


async def test_an_equal_object_gets_the_same_result(place: Place) -> None:
    kind, runs = service(place)
    await kind("one").product(1)
    place.settle()
    await kind("one").product(number=1)
    assert runs.count == 1


async def test_what_is_beside_a_method_takes_the_instance_first(place: Place) -> None:
    kind, runs = service(place)
    one = kind("one")
    await one.product(1)
    place.settle()
    assert kind.product.key(one, 1) == one.product.key(one, 1) == "one:product:1"
    await kind.product.invalidate(one, 1)
    await one.product(1)
    assert runs.count == 2
    assert await kind.product.bypass(one, 2) == "one 2"
    assert await kind.product.refresh(one, 1) == "one 1"
    assert runs.count == 4
    kind.name.invalidate(one, 1)
    assert kind.product.cache_info().loads == 3


async def test_class_and_static_methods_are_cached(place: Place) -> None:
    kind, runs = service(place)

    class Special(kind):  # type: ignore[valid-type, misc]
        __qualname__ = "Special"

    for _ in range(2):
        assert await kind.of_class(1) == "Service 1"
        assert await Special.of_class(1) == "Special 1"
        assert await kind("x").static(1) == await kind.static(number=1) == "static 1"
        place.settle()
    assert runs.count == 3


async def test_a_self_that_does_not_matter_may_be_excluded(place: Place) -> None:
    kind, _ = service(place)
    assert await kind("one").same_for_all() == 1
    place.settle()
    assert await kind("other").same_for_all() == 1


async def test_a_self_that_cannot_be_keyed_is_refused(place: Place) -> None:
    class Service:
        @place.cache.cached("1m")
        async def product(self, number: int) -> int:
            return number

    with pytest.raises(UnkeyableError, match=r"exclude=\[.self.\]"):
        await Service().product(1)


async def test_a_self_that_is_a_dataclass_enters_the_key(place: Place) -> None:
    runs = Runs()

    @dataclass(frozen=True)
    class Shop:
        __qualname__ = "Shop"
        name: str

        @place.cache.cached("1m")
        async def product(self, number: int) -> int:
            return await runs()

    assert [await Shop("a").product(1), await Shop("b").product(1)] == [1, 2]
    place.settle()
    assert [await Shop("a").product(1), await Shop("b").product(1)] == [1, 2]


async def test_an_instance_is_not_kept_alive_by_its_results(place: Place) -> None:
    import weakref

    from tests.value_fleet import collected

    kind, _ = service(place)
    one = kind("one")
    await one.product(1)
    gone = weakref.ref(one)
    del one
    assert collected(lambda: gone() is None)


@pytest.mark.parametrize("kind", [classmethod, staticmethod])
@pytest.mark.parametrize("decorator", ["cached", "write_through", "invalidates"])
async def test_a_decorator_above_classmethod_says_what_to_write(
    place: Place, kind: Callable[..., Any], decorator: str
) -> None:
    decorate: dict[str, Callable[..., Any]] = {
        "cached": place.cache.cached("1m"),
        "write_through": place.cache.write_through("1m", key="key"),
        "invalidates": place.cache.invalidates(tags=["tag"]),
    }

    def function(one: int) -> int:
        return one

    with pytest.raises(ConfigError, match=f"{kind.__name__} first"):
        decorate[decorator](kind(function))


async def test_a_generator_is_refused(place: Place) -> None:
    def numbers():  # type: ignore[no-untyped-def]  # noqa: ANN202
        yield 1

    async def async_numbers():  # type: ignore[no-untyped-def]  # noqa: ANN202
        yield 1

    for function in (numbers, async_numbers):
        with pytest.raises(ConfigError, match="generator"):
            place.cache.cached("1m")(function)


# What tools read.


async def test_inspection_sees_the_function(place: Place) -> None:
    async def product(number: int, *, size: int = 2) -> Product:
        """What it does."""
        return Product(id=number)

    def name(number: int) -> str:
        return str(number)

    for decorate in (
        place.cache.cached("1m"),
        place.cache.write_through("1m", key="product:{number}"),
        place.cache.invalidates(tags=["product:{number}"]),
    ):
        cached: Any = decorate(product)
        assert inspect.signature(cached) == inspect.signature(product)
        assert inspect.iscoroutinefunction(cached)
        assert asyncio.iscoroutinefunction(cached)
        assert cached.__wrapped__ is product
        assert cached.__annotations__ == product.__annotations__
        assert typing.get_type_hints(cached) == {"number": int, "size": int, "return": Product}
        assert (cached.__name__, cached.__qualname__) == (product.__name__, product.__qualname__)
        assert (cached.__doc__, cached.__module__) == (product.__doc__, product.__module__)
        assert not inspect.iscoroutinefunction(decorate(name))


async def test_a_class_sees_a_method(place: Place) -> None:
    kind, _ = service(place)
    assert inspect.isfunction(kind.product)
    assert inspect.ismethod(kind("x").product)
    assert list(inspect.signature(kind("x").product).parameters) == ["number"]


async def test_a_function_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level


async def test_another_decorator_may_stand_below(place: Place) -> None:
    runs = Runs()

    def plus_one(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def added(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs) + 1

        return added

    @place.cache.cached("1m", key="number:{number}")
    @plus_one
    async def product(number: int) -> int:
        return await runs()

    assert await product(1) == await product(number=1) == 2
    assert product.key(number=3) == "number:3"


# FastAPI endpoints.


class User:
    def __init__(self, name: str) -> None:
        self.name = name


def current_user(user: str = "alice") -> User:
    return User(user)


def endpoints(cache: Cache, runs: Runs) -> FastAPI:
    """An application whose endpoints are cached functions."""
    app = FastAPI()

    @app.get("/products/{number}")
    @cache.cached("1m", key="product:{number}")
    async def product(number: int, request: Request, response: Response, tasks: BackgroundTasks) -> Product:
        """One product."""
        response.headers["x-run"] = str(await runs())
        return Product(id=number, name=request.url.path)

    @app.get("/names/{number}")
    @cache.cached("1m")
    def name(number: int, size: Annotated[int, "pixels"] = 3) -> dict[str, int]:
        return {"number": number, "run": runs.now(), "size": size}

    @app.get("/mine")
    @cache.cached("1m", key="mine:{user.name}")
    async def mine(user: Annotated[User, Depends(current_user)]) -> str:
        await runs()
        return user.name

    @app.get("/missing/{number}")
    @cache.cached("1m")
    async def missing(number: int) -> Product:
        await runs()
        raise HTTPException(404, "nothing here")

    @app.get("/plain/{number}")
    @cache.cached("1m", tags=["plain"])
    async def plain(number: int, response: Response, tasks: BackgroundTasks) -> int:
        return await runs()

    return app


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_endpoints_are_cached(place: Place) -> None:
    runs = Runs()
    async with client(endpoints(place.cache, runs)) as http:
        for _ in range(2):
            assert (await http.get("/products/1")).json() == {"id": 1, "name": "/products/1", "price": 9.5}
            assert (await http.get("/names/1")).json() == {"number": 1, "run": 2, "size": 3}
            assert (await http.get("/plain/1")).json() == 3
            place.settle()
        assert (await http.get("/names/1?size=4")).json()["run"] == 4
        assert (await http.get("/names/x")).status_code == 422
        assert (await http.get("/products/2")).headers["x-run"] == "5"


async def test_one_users_result_never_reaches_another(place: Place) -> None:
    async with client(endpoints(place.cache, Runs())) as http:
        for user in ("alice", "bob", "alice"):
            assert (await http.get("/mine", params={"user": user})).json() == user
            place.settle()


async def test_an_http_exception_is_not_stored(place: Place) -> None:
    runs = Runs()
    async with client(endpoints(place.cache, runs)) as http:
        for _ in range(2):
            response = await http.get("/missing/1")
            assert (response.status_code, response.json()) == (404, {"detail": "nothing here"})
    assert runs.count == 2


async def test_the_documentation_is_what_it_was_without() -> None:
    class Uncached:
        def cached(self, *args: object, **kwargs: object) -> Callable[[Any], Any]:
            return lambda function: function

    plain = endpoints(Uncached(), Runs())  # type: ignore[arg-type]
    assert endpoints(Cache(), Runs()).openapi() == plain.openapi()


async def test_a_request_in_the_default_key_is_refused(place: Place) -> None:
    with pytest.raises(UnkeyableError, match="request"):

        @place.cache.cached("1m")
        async def product(number: int, request: Request) -> int:
            return number


async def test_a_dependency_that_cannot_be_keyed_is_refused(place: Place) -> None:
    with pytest.raises(UnkeyableError, match="user"):

        @place.cache.cached("1m")
        async def mine(user: Annotated[User, Depends(current_user)]) -> int:
            return 1


async def test_requests_at_once_run_an_endpoint_once(place: Place) -> None:
    runs = Runs(is_open=False)
    async with client(endpoints(place.cache, runs)) as http:
        asked = [asyncio.create_task(http.get("/plain/1")) for _ in range(30)]
        await runs.begun()
        runs.open()
        assert {(await one).json() for one in asked} == {1}


async def test_a_client_that_leaves_takes_nothing_from_the_others(place: Place) -> None:
    runs = Runs(is_open=False)
    async with client(endpoints(place.cache, runs)) as http:
        first = asyncio.create_task(http.get("/plain/1"))
        await runs.begun()
        second = asyncio.create_task(http.get("/plain/1"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        runs.open()
        assert (await second).json() == 1


@Cache().cached("1m")
async def at_module_level(number: int) -> int:
    return number
