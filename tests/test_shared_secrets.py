"""What must not reach the server, what must not reach another user, and what must not reach another application."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from hotplate import Cache, CacheMiddleware, Rule, by_cookie, by_field
from hotplate.asgi import Scope
from hotplate.rules import Partition
from tests.driver import Header, Origin, Reply, call
from tests.fleet import Fleet, Gate, signed
from tests.redis_servers import RedisServer
from tests.value_fleet import connected
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

SECRET = "s3cr3t-of-alice"


def greeting(*headers: Header) -> Callable[[Scope], Reply]:
    """Answers with the credentials of the request."""

    def answer(scope: Scope) -> Reply:
        own = [value for name, value in scope["headers"] if name in (b"authorization", b"cookie")]
        return Reply(b"for " + b"|".join(own), headers=headers)

    return answer


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


# What is for one client alone.

PRIVATE: list[tuple[Sequence[Header], Sequence[Header]]] = [
    ([], [("set-cookie", f"sid={SECRET}")]),
    ([], [("cache-control", "private, max-age=60"), ("x-user", SECRET)]),
    ([], [("cache-control", "no-store"), ("x-user", SECRET)]),
    ([], [("cdn-cache-control", "no-store"), ("x-user", SECRET)]),
    ([("authorization", f"Bearer {SECRET}")], []),
    ([("authorization", f"Bearer {SECRET}")], [("cache-control", "max-age=60")]),
    ([("cookie", f"sid={SECRET}")], []),
    ([("cookie", f"sid={SECRET}")], [("cache-control", "max-age=60")]),
    ([("cache-control", "no-store"), ("x-user", SECRET)], []),
]


@pytest.mark.parametrize(("asked", "answered"), PRIVATE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_for_one_client_never_reaches_the_server(
    fleet: Fleet, method: str, asked: Sequence[Header], answered: Sequence[Header]
) -> None:
    def answer(scope: Scope) -> Reply:
        return Reply(SECRET.encode(), headers=answered) if scope["path"] == "/private" else Reply(b"for all")

    one, other = await fleet.nodes(2, answer)
    await one.request(method, "/private", headers=asked)
    await other.request(method, "/private", headers=asked)
    await one.get("/public")
    await one.shares(1)
    assert SECRET.encode() not in fleet.dump()
    assert (len(fleet.names(":v")), one.seen.stored, other.seen.stored) == (1, 1, 0)


@pytest.mark.parametrize(("asked", "answered"), PRIVATE)
async def test_what_is_for_one_client_is_loaded_by_each_process(
    fleet: Fleet, asked: Sequence[Header], answered: Sequence[Header]
) -> None:
    one, other = await fleet.nodes(2, Reply(headers=answered))
    for node in (one, other):
        await node.get("/", headers=asked)
        await node.get("/", headers=asked)
    assert (one.runs, other.runs) == (2, 2)


@pytest.mark.parametrize("headers", [[("authorization", "Bearer b")], [("cookie", "sid=b")]], ids=["auth", "cookie"])
async def test_a_shared_anonymous_response_is_not_served_to_credentials(fleet: Fleet, headers: list[Header]) -> None:
    one, other = await fleet.nodes(2, greeting())
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=headers)
    assert response.body == f"for {headers[0][1]!s}".encode()


async def test_a_shared_response_for_everyone_is_served_to_credentials(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, greeting(("cache-control", "public, max-age=60")))
    await one.get("/")
    await one.shares(1)
    response = await other.get("/", headers=[("authorization", "Bearer b")])
    assert (response.body, response.hit, other.runs) == (b"for ", True, 0)


async def test_what_credentials_loaded_for_everyone_is_shared(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, Reply(b"same", headers=[("cache-control", "public, max-age=60")]))
    await one.get("/", headers=[("authorization", "Bearer a")])
    await one.shares(1)
    assert (await other.get("/", headers=[("authorization", "Bearer b")])).hit
    assert (await other.get("/")).hit


async def test_a_field_that_is_private_is_not_shared(fleet: Fleet) -> None:
    headers: list[Header] = [("cache-control", 'max-age=60, private="x-user"'), ("x-user", SECRET)]
    one, other = await fleet.nodes(2, Reply(b"body", headers=headers))
    await one.get("/")
    await one.shares(1)
    assert SECRET.encode() not in fleet.dump()
    assert "x-user" not in await other.hit("/")


async def test_a_set_cookie_that_may_be_stored_is_shared(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    reply = Reply(headers=[("set-cookie", "a=1"), ("set-cookie", "b=2")])
    one, other = await fleet.nodes(2, reply, rules=[Rule("*", cookies="danger-store")])
    await one.get("/")
    await one.shares(1)
    assert (await other.hit("/")).lines("set-cookie") == ["a=1", "b=2"]


# Users.

PARTITIONS: list[tuple[Partition, str, str]] = [
    (by_field("Authorization"), "authorization", "Bearer {}"),
    (by_field("X-Tenant"), "x-tenant", "{}"),
    (by_cookie("sid"), "cookie", "theme=dark; sid={}"),
]


@pytest.mark.parametrize(("partition", "field", "form"), PARTITIONS, ids=["authorization", "tenant", "cookie"])
async def test_users_never_see_each_others_responses(fleet: Fleet, partition: Partition, field: str, form: str) -> None:
    def answer(scope: Scope) -> bytes:
        return b"for " + b"|".join(value for name, value in scope["headers"] if name == field.encode())

    nodes = await fleet.nodes(3, answer, partition=partition)
    users = ["alice", "bob", "alice2", ""]
    for turn in range(3):
        for place, user in enumerate(users):
            node = nodes[(place + turn) % 3]
            body = (await node.get("/", headers=[(field, form.format(user))])).body
            assert body == f"for {form.format(user)}".encode()
        assert (await nodes[turn].get("/")).body == b"for "
        await eventually(lambda: not fleet.names(":l"), "every load stored")
    assert sum(node.runs for node in nodes) == len(users) + 1, "each was loaded once, and found by the others"


@pytest.mark.parametrize(("partition", "field", "form"), PARTITIONS, ids=["authorization", "tenant", "cookie"])
async def test_no_credential_stands_in_the_server(fleet: Fleet, partition: Partition, field: str, form: str) -> None:
    (one,) = await fleet.nodes(1, b"welcome", partition=partition)
    await one.get("/", headers=[(field, form.format(SECRET))])
    await one.shares(1)
    assert SECRET.encode() not in fleet.dump()


async def test_a_partition_that_refuses_reaches_no_other_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, greeting(), partition=lambda head: None)
    await one.get("/")
    await other.get("/")
    assert (one.runs, other.runs, fleet.names(":v")) == (1, 1, [])


# Names.


async def test_no_name_in_the_server_says_what_it_is_for(fleet: Fleet) -> None:
    words = ["products", "needle", "shop.test", "tagged", "alice", "named", "gone"]
    rules = [Rule("/products/*", tags=["tagged"], partition=by_field("x-user"))]
    (one,) = await fleet.nodes(1, b"", rules=rules)
    await one.get("/products/1?q=needle", host="shop.test", headers=[("x-user", "alice")])
    await one.cache.set("named", b"", ttl=60, tags=["tagged"])
    await one.cache.invalidate(tags=["tagged"], paths=["/gone"], prefixes=["/products"])
    await one.cache.delete("named")
    await one.shares(2)
    names = "\n".join(fleet.names()).lower()
    assert [word for word in words if word in names] == []


async def test_the_log_names_nothing_in_clear(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1)
    await one.cache.invalidate(tags=[SECRET], paths=[f"/{SECRET}"], prefixes=[f"/{SECRET}"])
    assert SECRET.encode() not in fleet.dump()


async def test_nothing_in_the_server_stays_for_ever(fleet: Fleet) -> None:
    rules = [Rule("*", vary=["x-color"], stale_if_error=60)]
    one, other = await fleet.nodes(2, signed("one"), rules=rules)
    await one.get("/", headers=[("x-color", "red")])
    await one.shares(1)
    await one.cache.set("name", b"value", ttl="1h", tags=["tag"])
    await one.cache.invalidate(tags=["tag"])
    await one.cache.invalidate(prefixes=["/"], soft=True)
    await other.cache.delete("name")
    other.cache.clear()
    await eventually(lambda: other.seen.position >= 5, "told")
    with fleet.redis.connect() as connection:
        left = {name: connection.command("PTTL", name) for name in fleet.names()}
    assert left
    assert [name for name, millis in left.items() if not (isinstance(millis, int) and millis > 0)] == []


async def test_a_lease_has_an_end(fleet: Fleet) -> None:
    gate = Gate()
    one = await fleet.node(gate)
    asking = asyncio.create_task(one.get("/"))
    await gate.reached()
    (name,) = fleet.names(":l")
    left = fleet.redis.command("PTTL", name)
    assert isinstance(left, int)
    assert 0 < left <= 3000
    gate.open()
    await asking


# Applications.


def pair(cache: Cache, first: Origin, second: Origin) -> tuple[CacheMiddleware, CacheMiddleware]:
    """Two applications of one program behind one cache."""
    return CacheMiddleware(first, cache=cache, ttl=60), CacheMiddleware(second, cache=cache, ttl=60)


async def test_two_applications_share_no_responses(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    here = pair(one.cache, Origin(b"shop"), Origin(b"admin"))
    there = pair(other.cache, Origin(b"other shop"), Origin(b"other admin"))
    for place, app in enumerate(here, start=1):
        await call("GET", "/").run(app)
        await one.shares(place)
    assert [(await call("GET", "/").run(app)).body for app in there] == [b"shop", b"admin"]


async def test_two_applications_share_no_responses_while_they_load(fleet: Fleet) -> None:
    (one,) = await fleet.nodes(1)
    apps = pair(one.cache, Origin(b"shop"), Origin(b"admin"))
    answers = await asyncio.gather(*[call("GET", "/").run(app) for app in apps for _ in range(10)])
    assert [answer.body for answer in answers] == [b"shop"] * 10 + [b"admin"] * 10


async def test_two_applications_share_their_invalidations(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    shop, admin = pair(one.cache, Origin(), Origin())
    for place, app in enumerate((shop, admin), start=1):
        await call("GET", "/").run(app)
        await one.shares(place)
    position = await other.cache.invalidate(paths=["/"])
    await one.reads_to(position)
    assert not (await call("GET", "/").run(shop)).hit
    assert not (await call("GET", "/").run(admin)).hit


async def test_another_prefix_is_another_cache(fleet: Fleet) -> None:
    one = await fleet.node(signed("one"))
    other = await fleet.node(signed("other"), cache=fleet.cache(prefix=f"{fleet.prefix}-other"))
    await one.get("/")
    await one.shares(1)
    await one.cache.set("name", b"value", ttl=60)
    assert (await other.get("/")).body == b"other, run 1"
    assert await other.cache.get("name") is None
    await other.cache.invalidate(prefixes=["/"])
    await one.hit("/")


async def test_a_prefix_that_begins_another_is_another_cache(fleet: Fleet) -> None:
    one = await fleet.node(cache=fleet.cache(prefix=fleet.prefix))
    other = await fleet.node(cache=fleet.cache(prefix=f"{fleet.prefix}:x"))
    await one.cache.set("name", b"one", ttl=60)
    await other.cache.set("name", b"other", ttl=60)
    assert (await one.cache.get("name"), await other.cache.get("name")) == (b"one", b"other")


async def test_another_database_is_another_cache(fleet: Fleet) -> None:
    one = await fleet.node(signed("one"))
    other = await fleet.node(signed("other"), cache=Cache(fleet.redis.url[:-1] + "1", prefix=fleet.prefix))
    await one.get("/")
    await one.shares(1)
    assert (await other.get("/")).body == b"other, run 1"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"host": "a.test"}, {"host": "b.test"}),
        ({"scheme": "http"}, {"scheme": "https"}),
        ({"target": "/?a=1"}, {"target": "/?a=2"}),
        ({"target": "/a"}, {"target": "/A"}),
        ({"target": "/a"}, {"target": "/a/"}),
        ({"target": "/a?"}, {"target": "/a?="}),
        ({"target": "/a%2Fb"}, {"target": "/a/b"}),
    ],
)
async def test_another_request_is_another_response(fleet: Fleet, first: dict[str, str], second: dict[str, str]) -> None:
    one, other = await fleet.nodes(2)
    await one.get(**first)
    await one.shares(1)
    assert (await other.get(**second)).body == b"node 1, run 1"


# Signatures.

SIGNED = "a secret of at least thirty-two bytes"


async def test_with_a_signing_key_nobody_else_writes_a_value(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    ours = connected(fleet, signing_key=SIGNED)
    others = [connected(fleet), connected(fleet, signing_key=SIGNED[::-1])]

    @ours.cached("1m", key="name")
    async def name() -> str:
        return "ours"

    for other in others:
        for forged in (b"forged", "forged"):
            await other.set("name", forged, ttl=60)
            assert await ours.get("name") is None
            assert await name() == "ours"


async def test_with_one_signing_key_processes_share_values(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    one, other = (connected(fleet, signing_key=SIGNED) for _ in range(2))
    for value in (b"octets", "text", {"a": [1]}):
        await one.set("name", value, ttl=60)
        assert await other.get("name") == value
