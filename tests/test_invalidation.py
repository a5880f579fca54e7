"""Making stored responses untrue: by tag, path, prefix, key, everything, and by unsafe methods."""

import asyncio

import pytest

from hotplate import ConfigError, Rule
from hotplate.asgi import Scope
from tests.driver import Header, Reply, Site

pytestmark = pytest.mark.asyncio

PRODUCTS = [
    Rule("/products", tags=["products"]),
    Rule("/products/{product_id}", tags=["products", "product:{product_id}"]),
    Rule("/shops/{shop}/{rest:path}", tags=["shop:{shop}", "{shop}/{rest}"]),
]


@pytest.fixture
def shop() -> Site:
    return Site(rules=PRODUCTS)


async def survivors(site: Site, *targets: str, **invalidate: list[str]) -> list[str]:
    """Which of the targets are still hits after an invalidation."""
    for target in targets:
        await site.get(target)
    await site.cache.invalidate(**invalidate)  # type: ignore[arg-type]
    return [target for target in targets if (await site.get(target)).hit]


@pytest.mark.parametrize(
    ("tags", "left"),
    [
        (["products"], ["/other"]),
        (["product:1"], ["/products", "/products/2", "/other"]),
        (["product:1", "product:2"], ["/products", "/other"]),
        (["product:"], ["/products", "/products/1", "/products/2", "/other"]),
        (["PRODUCTS"], ["/products", "/products/1", "/products/2", "/other"]),
        (["unknown"], ["/products", "/products/1", "/products/2", "/other"]),
        ([], ["/products", "/products/1", "/products/2", "/other"]),
    ],
)
async def test_a_tag_reaches_every_response_that_has_it(shop: Site, tags: list[str], left: list[str]) -> None:
    assert await survivors(shop, "/products", "/products/1", "/products/2", "/other", tags=tags) == left


@pytest.mark.parametrize("tag", ["shop:a", "a/b/c"])
async def test_names_of_the_pattern_are_filled_into_tags(shop: Site, tag: str) -> None:
    assert await survivors(shop, "/shops/a/b/c", "/shops/z/b/c", tags=[tag]) == ["/shops/z/b/c"]


async def test_names_are_filled_in_as_the_application_sees_them(shop: Site) -> None:
    assert await survivors(shop, "/products/caf%C3%A9", tags=["product:caf\u00e9"]) == []


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["/a"], ["/a/b", "/ab"]),
        (["/a/"], ["/a", "/a?x=1", "/a/b", "/ab"]),
        (["/a", "/ab"], ["/a/b"]),
        (["/A"], ["/a", "/a?x=1", "/a/b", "/ab"]),
    ],
)
async def test_a_path_reaches_every_query_of_it(site: Site, paths: list[str], left: list[str]) -> None:
    assert await survivors(site, "/a", "/a?x=1", "/a/b", "/ab", paths=paths) == left


@pytest.mark.parametrize("path", ["/caf\u00e9"])
async def test_a_path_is_written_as_the_application_sees_it(site: Site, path: str) -> None:
    assert await survivors(site, "/caf%C3%A9", paths=[path]) == []


async def test_a_path_is_written_without_the_root_path(site: Site) -> None:
    await site.get("/api/a", root_path="/api")
    await site.cache.invalidate(paths=["/a"])
    assert not (await site.get("/api/a", root_path="/api")).hit


async def test_a_path_reaches_every_host_and_scheme(site: Site) -> None:
    requests = [{"host": "a.test"}, {"host": "b.test"}, {"scheme": "https"}]
    for request in requests:
        await site.get("/a", **request)
    await site.cache.invalidate(paths=["/a"])
    assert [(await site.get("/a", **request)).hit for request in requests] == [False] * 3


async def test_a_path_reaches_every_partition() -> None:
    site = Site(partition=lambda head: head.field("x-user"))
    for user in ("alice", "bob"):
        await site.get("/a", headers=[("x-user", user)])
    await site.cache.invalidate(paths=["/a"])
    assert [(await site.get("/a", headers=[("x-user", user)])).hit for user in ("alice", "bob")] == [False, False]


@pytest.mark.parametrize(
    ("prefixes", "left"),
    [
        (["/a"], ["/ab", "/"]),
        (["/a/"], ["/ab", "/"]),
        (["/a/b"], ["/a", "/ab", "/"]),
        (["/"], []),
        (["/z"], ["/a", "/a/b", "/a/b/c", "/ab", "/"]),
    ],
)
async def test_a_prefix_reaches_all_paths_below_it(site: Site, prefixes: list[str], left: list[str]) -> None:
    assert await survivors(site, "/a", "/a/b", "/a/b/c", "/ab", "/", prefixes=prefixes) == left


async def test_clear_reaches_everything(shop: Site) -> None:
    for target in ("/products", "/other"):
        await shop.get(target)
    shop.cache.clear()
    assert [(await shop.get(target)).hit for target in ("/products", "/other")] == [False, False]


async def test_clear_frees_the_memory(shop: Site) -> None:
    for number in range(50):
        await shop.get(f"/{number}")
    shop.cache.clear()
    assert shop.cache.stats().entries == 0


async def test_what_is_loaded_after_an_invalidation_is_stored_again(shop: Site) -> None:
    await survivors(shop, "/products", tags=["products"])
    assert (await shop.get("/products")).hit


async def test_a_load_that_began_before_an_invalidation_is_not_served_after_it(shop: Site) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope) -> bytes:
        number = shop.runs
        if number == 1:
            entered.set()
            await gate.wait()
        return f"run {number}".encode()

    shop.origin.answer = slow
    first = asyncio.ensure_future(shop.get("/products"))
    await entered.wait()
    await shop.cache.invalidate(tags=["products"])
    gate.set()
    await first
    assert (await shop.get("/products")).body == b"run 2"


async def test_invalidating_returns_positions_that_grow(site: Site) -> None:
    first = await site.cache.invalidate(paths=["/a"])
    assert await site.cache.invalidate(tags=["t"]) > first


async def test_the_number_of_tags_does_not_change_what_they_reach() -> None:
    site = Site(rules=[Rule("*", tags=[f"t{number}" for number in range(50)])])
    assert await survivors(site, "/", tags=["t49"]) == []


@pytest.mark.parametrize("length", [255, 256, 257, 5000])
async def test_a_long_tag_reaches_what_it_names(length: int) -> None:
    site = Site(rules=[Rule("*", tags=["x" * length])])
    assert await survivors(site, "/", tags=["x" * length]) == []


# Soft invalidation.


async def test_soft_invalidation_serves_the_old_answer_once_more(site: Site) -> None:
    await site.get("/")
    await site.cache.invalidate(paths=["/"], soft=True)
    response = await site.get("/")
    await site.settle()
    assert response.body == b"run 1"


async def test_soft_invalidation_refreshes_in_the_background(site: Site) -> None:
    await site.get("/")
    await site.cache.invalidate(paths=["/"], soft=True)
    await site.get("/")
    await site.settle()
    assert (await site.get("/")).body == b"run 2"


async def test_soft_invalidation_respects_must_revalidate() -> None:
    site = Site(Reply(b"one", headers=[("cache-control", "max-age=60, must-revalidate")]))
    await site.get("/")
    await site.cache.invalidate(paths=["/"], soft=True)
    site.origin.answer = b"two"
    assert (await site.get("/")).body == b"two"


async def test_hard_outranks_soft(site: Site) -> None:
    await site.get("/")
    await site.cache.invalidate(paths=["/"])
    await site.cache.invalidate(paths=["/"], soft=True)
    assert (await site.get("/")).body == b"run 2"


# Arguments.


@pytest.mark.parametrize("name", ["tags", "paths", "prefixes", "keys"])
async def test_one_text_where_several_are_meant_is_refused(site: Site, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}='x'.*write {name}="):
        await site.cache.invalidate(**{name: "x"})  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["", "xyz", "0" * 31, "0" * 32, "0" * 33, "g" * 32, "-" + "0" * 31])
async def test_the_name_of_a_value_is_a_key(site: Site, key: str) -> None:
    await site.cache.set(key, b"value", ttl=60)
    await site.cache.set("other", b"other", ttl=60)
    await site.cache.invalidate(keys=[key])
    assert (await site.cache.get(key), await site.cache.get("other")) == (None, b"other")


async def test_a_key_nobody_has_is_no_error(site: Site) -> None:
    await site.get("/")
    await site.cache.invalidate(keys=["0" * 32])
    assert (await site.get("/")).hit


@pytest.mark.parametrize("name", ["paths", "prefixes"])
async def test_a_path_without_a_slash_is_refused(site: Site, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        await site.cache.invalidate(**{name: ["products"]})  # type: ignore[arg-type]


# Unsafe methods (RFC 9111 section 4.4).


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE", "PROPPATCH"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 303, 304])
async def test_an_unsafe_method_that_worked_invalidates_its_uri(method: str, status: int) -> None:
    site = Site(lambda scope: Reply(b"", 200 if scope["method"] == "GET" else status))
    await site.get("/a")
    await site.request(method, "/a")
    assert not (await site.get("/a")).hit


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500, 503])
async def test_an_unsafe_method_that_failed_invalidates_nothing(status: int) -> None:
    site = Site(lambda scope: Reply(b"", 200 if scope["method"] == "GET" else status))
    await site.get("/a")
    await site.post("/a")
    assert (await site.get("/a")).hit


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "HEAD", "QUERY"])
async def test_a_safe_method_invalidates_nothing(site: Site, method: str) -> None:
    await site.get("/a")
    await site.request(method, "/a")
    assert (await site.get("/a")).hit


async def test_an_unsafe_method_reaches_every_query_of_its_path(site: Site) -> None:
    await site.get("/a?x=1")
    await site.post("/a")
    assert not (await site.get("/a?x=1")).hit


async def test_an_unsafe_method_leaves_other_paths(site: Site) -> None:
    await site.get("/a/b")
    await site.post("/a")
    assert (await site.get("/a/b")).hit


@pytest.mark.parametrize(
    ("read", "written"),
    [("example.test", "EXAMPLE.test"), ("example.test", "example.test:80"), ("example.test:80", "example.test")],
)
async def test_a_write_reaches_its_host_however_it_is_spelled(site: Site, read: str, written: str) -> None:
    """RFC 9110 section 4.2.3: the host has no case, and a default port is none."""
    await site.get("/a", host=read)
    await site.request("PUT", "/a", host=written)
    assert not (await site.get("/a", host=read)).hit


@pytest.mark.parametrize(("read", "written"), [("/caf%C3%A9", "/caf%c3%a9"), ("/a%2Db", "/a-b"), (b"/\xff", b"/\xff")])
async def test_a_write_reaches_its_path_however_it_is_spelled(
    site: Site, read: str | bytes, written: str | bytes
) -> None:
    await site.get(read)
    await site.request("PUT", written)
    assert not (await site.get(read)).hit


@pytest.mark.parametrize("writer", [[("x-user", "bob")], []], ids=["another identity", "nobody"])
async def test_a_write_reaches_every_partition(writer: list[Header]) -> None:
    site = Site(partition=lambda head: head.field("x-user"))
    await site.get("/a", headers=[("x-user", "alice")])
    await site.request("PUT", "/a", headers=writer)
    assert not (await site.get("/a", headers=[("x-user", "alice")])).hit


async def test_an_unsafe_method_leaves_other_hosts(site: Site) -> None:
    await site.get("/a", host="a.test")
    await site.post("/a", host="b.test")
    assert (await site.get("/a", host="a.test")).hit


@pytest.mark.parametrize("name", ["location", "content-location"])
@pytest.mark.parametrize("value", ["/products/1", "http://example.test/products/1", "products/1", "/x/../products/1"])
async def test_the_uris_a_write_names_are_invalidated_too(name: str, value: str) -> None:
    site = Site(lambda scope: Reply(b"", headers=[(name, value)] if scope["method"] == "POST" else []))
    await site.get("/products/1")
    await site.post("/products")
    assert not (await site.get("/products/1")).hit


@pytest.mark.parametrize("value", ["http://other.test/products/1", "//other.test/products/1", "https://[", "::::"])
async def test_uris_of_another_origin_are_left(value: str) -> None:
    site = Site(lambda scope: Reply(b"", headers=[("location", value)] if scope["method"] == "POST" else []))
    await site.get("/products/1")
    await site.post("/products")
    assert (await site.get("/products/1")).hit


async def test_a_write_under_a_root_path_invalidates_what_was_read_under_it(site: Site) -> None:
    await site.get("/api/a", root_path="/api")
    await site.post("/api/a", root_path="/api")
    assert not (await site.get("/api/a", root_path="/api")).hit


async def test_a_write_that_raises_invalidates_nothing(site: Site) -> None:
    await site.get("/a")
    site.origin.answer = Reply(error_before=RuntimeError("no"))
    with pytest.raises(RuntimeError):
        await site.post("/a")
    assert (await site.get("/a")).hit


async def test_what_a_reader_loaded_while_a_write_ran_is_not_kept(site: Site) -> None:
    """A read between the write's first byte and its end may have seen the old state."""
    between: list[bytes] = []

    async def write(scope: Scope) -> Reply:
        if scope["method"] == "POST":
            between.append((await site.get("/a")).body)
        return Reply(str(site.runs).encode())

    site.origin.answer = write
    await site.post("/a")
    assert (await site.get("/a")).body != between[0]


async def test_the_answer_of_a_write_is_passed_on_as_it_is(site: Site) -> None:
    headers: list[Header] = [("location", "/a/1"), ("x-a", "1"), ("x-a", "2")]
    site.origin.answer = Reply(b"made", 201, headers)
    response = await site.post("/a")
    assert (response.status, response.body, response.lines("x-a")) == (201, b"made", ["1", "2"])
