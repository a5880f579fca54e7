"""``cache.write_through``: what a function returns is the stored value, once it has succeeded."""

import asyncio
from typing import Any

import pytest

from hotplate import Cache, ConfigError
from hotplate.errors import EncodeError
from tests.value_fleet import Pair, Place, Product, Runs, Settings

pytestmark = pytest.mark.asyncio


def users(cache: Cache, runs: Runs, key: str = "settings:{user_id}") -> tuple[Any, Any]:
    """How the settings of a user are read and saved."""
    rows: dict[int, Settings] = {}

    @cache.cached("1m", key=key)
    async def read(user_id: int) -> Settings:
        await runs()
        return rows.get(user_id, Settings("light"))

    @cache.write_through("1m", key=key, tags=["user:{user_id}", "theme:{result.theme}"])
    async def save(user_id: int, settings: Settings) -> Settings:
        if settings.theme == "none":
            raise LookupError(settings.theme)
        rows[user_id] = settings
        return settings

    return read, save


async def test_a_read_after_a_write_runs_nothing(place: Place) -> None:
    runs = Runs()
    read, save = users(place.cache, runs)
    assert await save(1, Settings("dark", 7)) == Settings("dark", 7)
    if place.name != "redis down":
        assert await read(1) == Settings("dark", 7)
        assert runs.count == 0
    assert await place.cache.get("settings:1", type=Settings) == Settings("dark", 7)


async def test_a_write_replaces_what_was_stored(place: Place) -> None:
    read, save = users(place.cache, Runs())
    assert await read(1) == Settings("light")
    place.settle()
    await save(1, Settings("dark"))
    assert await read(1) == Settings("dark")
    assert await read(2) == Settings("light")


async def test_a_write_that_fails_leaves_what_was_stored(place: Place) -> None:
    runs = Runs()
    read, save = users(place.cache, runs)
    assert await read(1) == Settings("light")
    place.settle()
    with pytest.raises(LookupError):
        await save(1, Settings("none"))
    assert (await read(1), runs.count) == (Settings("light"), 1)


async def test_another_process_reads_what_was_written(pair: Pair) -> None:
    runs = Runs()
    (_, save), (read, _) = (users(place.cache, runs) for place in pair)
    assert [await save(1, Settings("dark")), await read(1)] == [Settings("dark")] * 2
    await save(1, Settings("blue"))
    pair.settle()
    assert (await read(1), runs.count) == (Settings("blue"), 0)


async def test_tags_of_a_write_invalidate_it(place: Place) -> None:
    runs = Runs()
    read, save = users(place.cache, runs)
    for tag in ("user:1", "theme:dark"):
        await save(1, Settings("dark"))
        await place.cache.invalidate(tags=[tag])
        runs.count = 0
        await read(1)
        assert runs.count == 1


async def test_a_key_may_name_the_result(place: Place) -> None:
    @place.cache.write_through("1m", key="product:{result.id}", tags=lambda product: [product.name])
    async def create(name: str) -> Product:
        return Product(id=7, name=name)

    await create("chair")
    assert await place.cache.get("product:7", type=Product) == Product(id=7, name="chair")
    await place.cache.invalidate(tags=["chair"])
    assert await place.cache.get("product:7", type=Product) is None


@pytest.mark.parametrize("result", [None, 0, "", [], {}], ids=repr)
async def test_a_falsy_result_is_written(place: Place, result: Any) -> None:
    @place.cache.write_through("1m", key="key")
    async def save():  # type: ignore[no-untyped-def]  # noqa: ANN202
        return result

    await place.cache.set("key", "old", ttl=60)
    await save()  # type: ignore[no-untyped-call]
    assert await place.cache.get("key", "nothing") == result


async def test_what_is_written_expires(place: Place) -> None:
    _, save = users(place.cache, Runs())
    await save(1, Settings("dark"))
    place.clock.advance(60)
    assert await place.cache.get("settings:1", type=Settings) is None


async def test_a_slow_read_does_not_bring_back_what_was_before_a_write(place: Place) -> None:
    runs = Runs(is_open=False)
    rows = {1: "old"}

    @place.cache.cached("1m", key="row:{number}")
    async def read(number: int) -> str:
        row = rows[number]
        await runs()
        return row

    @place.cache.write_through("1m", key="row:{number}")
    async def save(number: int, row: str) -> str:
        rows[number] = row
        return row

    reading = asyncio.create_task(read(1))
    await runs.begun()
    await save(1, "new")
    runs.open()
    await reading
    place.settle()
    assert await read(1) == "new"


async def test_a_result_that_cannot_be_written_leaves_no_old_one(pair: Pair) -> None:
    """The function has succeeded: what is stored is not true any more."""

    class Special(Product):
        discount: int = 1

    @pair.one.cache.write_through("1m", key="product")
    async def save() -> Product:
        return Special(id=2)

    await pair.one.cache.set("product", Product(id=1), ttl=60)
    with pytest.raises(EncodeError):
        await save()
    pair.settle()
    for place in pair:
        assert await place.cache.get("product", type=Product) is None


async def test_a_result_whose_key_cannot_be_filled_is_an_error(place: Place) -> None:
    @place.cache.write_through("1m", key="product:{result.id}")
    async def save() -> Product | None:
        return None

    with pytest.raises((AttributeError, TypeError), match=r"result|id"):
        await save()


@pytest.mark.parametrize(
    "settings",
    [{"key": "x:{nobody}"}, {"key": "x", "tags": "tag"}, {"key": "x", "ttl": 0}, {"key": "x", "codec": "jsn"}],
    ids=repr,
)
async def test_what_cannot_be_meant_is_refused(place: Place, settings: dict[str, Any]) -> None:
    async def save(number: int) -> int:
        return number

    with pytest.raises(ConfigError):
        place.cache.write_through(settings.get("ttl", 60), **{k: v for k, v in settings.items() if k != "ttl"})(save)
