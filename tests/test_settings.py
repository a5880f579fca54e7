"""Settings that cannot be meant are refused where they are set: with their name, their value and what to write."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from hotplate import Cache, CacheMiddleware, ConfigError, HotplateError, Query, RequestHead, Rule
from tests.driver import Origin


def middleware(**settings: Any) -> CacheMiddleware:
    return CacheMiddleware(Origin(), **settings)


def rule(**settings: Any) -> CacheMiddleware:
    return middleware(rules=[Rule(settings.pop("pattern", "/products/{id}"), **settings)])


LIFETIMES: list[tuple[object, str]] = [
    (0, "longer than zero"),
    (0.0, "longer than zero"),
    ("0", "longer than zero"),
    ("0s", "longer than zero"),
    (timedelta(0), "longer than zero"),
    (-1, "not negative"),
    (-0.5, "not negative"),
    ("-5m", "write seconds"),
    ("-1", "not negative"),
    (timedelta(seconds=-1), "not negative"),
    ("5 parsecs", "write seconds"),
    ("", "write seconds"),
    ("m", "write seconds"),
    ("5M", "write seconds"),
    ("1.5h", "write seconds"),
    ("1m1h", "largest down"),
    ("1m1m", "largest down"),
    ("nan", "write seconds"),
    (float("nan"), "write seconds"),
    (float("inf"), "at most"),
    ("inf", "at most"),
    (2**31 + 1, "at most"),
    (10**400, "at most"),
    ("99999999999999999999s", "at most"),
    ("2147483649s", "at most"),
    (True, "write seconds"),
    (False, "write seconds"),
    ([30], "write seconds"),
    (b"30", "write seconds"),
    ({"seconds": 30}, "write seconds"),
    (Decimal(30), "write seconds"),
]


@pytest.mark.parametrize(("value", "remedy"), LIFETIMES)
def test_a_ttl_that_cannot_be_meant_is_refused(value: object, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        middleware(ttl=value)


@pytest.mark.parametrize("value", [-1, "5 parsecs", float("nan"), True, "-5m", 2**31 + 1])
@pytest.mark.parametrize("name", ["ttl", "client_ttl", "stale_while_revalidate", "stale_if_error"])
def test_every_lifetime_of_a_rule_is_checked(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"rules\[0\]\.{name}="):
        rule(**{name: value})


async def waits(head: RequestHead) -> str:
    return "user"


Make = Callable[[], object]

REFUSED: list[tuple[str, str, str, Make]] = [
    # setting, value, part of the remedy, what is written
    ("ttl", '"5 parsecs"', "5m", lambda: middleware(ttl="5 parsecs")),
    ("ttl", "-1", "not negative", lambda: middleware(ttl=-1)),
    ("ttl", "0", "cache=False", lambda: middleware(ttl=0)),
    ("ttl", "True", "write seconds", lambda: middleware(ttl=True)),
    ("client_ttl", "-1", "not negative", lambda: middleware(client_ttl=-1)),
    ("jitter", "1.5", "0 to 1", lambda: middleware(jitter=1.5)),
    ("jitter", "-0.1", "0 to 1", lambda: middleware(jitter=-0.1)),
    ("jitter", "NaN", "0 to 1", lambda: middleware(jitter=float("nan"))),
    ("jitter", "'much'", "0 to 1", lambda: middleware(jitter="much")),
    ("jitter", "True", "0 to 1", lambda: middleware(jitter=True)),
    ("max_body", "0", "write", lambda: middleware(max_body=0)),
    ("max_body", "-1", "write", lambda: middleware(max_body=-1)),
    ("max_body", "'large'", "64MiB", lambda: middleware(max_body="large")),
    ("max_body", "True", "write", lambda: middleware(max_body=True)),
    ("max_bytes", "0", "write", lambda: Cache(max_bytes=0)),
    ("max_bytes", "'64 parsecs'", "64MiB", lambda: Cache(max_bytes="64 parsecs")),
    ("max_bytes", "-1", "write", lambda: middleware(max_bytes=-1)),
    ("max_bytes", "", "Cache", lambda: middleware(max_bytes=1, cache=Cache())),
    ("include", "[]", "leave include out", lambda: middleware(include=[])),
    ("include", "'/api'", "list", lambda: middleware(include="/api")),
    ("include", '"api"', "starts with", lambda: middleware(include=["api"])),
    ("exclude", "'/admin'", "list", lambda: middleware(exclude="/admin")),
    ("exclude", '"admin"', "starts with", lambda: middleware(exclude=["admin"])),
    ("exclude", "[1]", "list of text", lambda: middleware(exclude=[1])),
    ("allowed_hosts", "[]", "leave allowed_hosts out", lambda: middleware(allowed_hosts=[])),
    ("allowed_hosts", "'a.test'", "list", lambda: middleware(allowed_hosts="a.test")),
    ("allowed_hosts", '"https://a.test"', "without scheme", lambda: middleware(allowed_hosts=["https://a.test"])),
    ("allowed_hosts", '"a.test:80"', "port", lambda: middleware(allowed_hosts=["a.test:80"])),
    ("profile", "'fast'", '"safe" or "rfc9111"', lambda: middleware(profile="fast")),
    ("request_directives", "'obey'", '"honor" or "ignore"', lambda: middleware(request_directives="obey")),
    ("x_cache", "'yes'", "True or False", lambda: middleware(x_cache="yes")),
    ("partition", "'user'", "function", lambda: middleware(partition="user")),
    ("partition", "waits", "async", lambda: middleware(partition=waits)),
    ("rules[0].partition", "waits", "async", lambda: rule(partition=waits)),
    ("cache", "'memory'", "Cache(", lambda: middleware(cache="memory")),
    ("wait_timeout", "-1", "not negative", lambda: middleware(wait_timeout=-1)),
    ("url", '"memcached://localhost"', "redis://", lambda: Cache("memcached://localhost")),
    ("command_timeout", "", "redis://", lambda: Cache(command_timeout="10ms")),
    ("local", "", "redis://", lambda: Cache(local=False)),
    ("prefix", '"my{api}"', "letters", lambda: Cache("redis://localhost", prefix="my{api}")),
    ("command_timeout", "0", "", lambda: Cache("redis://localhost", command_timeout=0)),
    ("lease", "", "", lambda: Cache("redis://localhost", lease="1h")),
    ("on_outage", "'panic'", "serve-local", lambda: Cache("redis://localhost", on_outage="panic")),  # type: ignore[arg-type]
    ("encryption_keys", "(not printed)", "list", lambda: Cache("redis://localhost", encryption_keys="secret")),
    ("encryption_keys", "", "secrets.token_urlsafe", lambda: Cache("redis://localhost", encryption_keys=["short"])),
    ("compress_above", "'much'", "bytes", lambda: Cache("redis://localhost", compress_above="much")),
    ("rules", "", "Rule", lambda: middleware(rules=["/products"])),
    ("rules", "", "Rule", lambda: middleware(rules=Rule("/products"))),
    ("rules[0].pattern", '"products"', "starts with", lambda: rule(pattern="products")),
    ("rules[0].pattern", '"/a/{"', "close", lambda: rule(pattern="/a/{")),
    ("rules[0].pattern", '"/{a}/{a}"', "once", lambda: rule(pattern="/{a}/{a}")),
    ("rules[0].pattern", '"/{a:int}"', "path", lambda: rule(pattern="/{a:int}")),
    ("rules[0].tags", '"p:{name}"', "it has {id}", lambda: rule(tags=["p:{name}"])),
    ("rules[0].tags", '"p:{id"', "close", lambda: rule(tags=["p:{id"])),
    ("rules[0].tags", '""', "at least one", lambda: rule(tags=[""])),
    ("rules[0].tags", "'products'", "list", lambda: rule(tags="products")),
    ("rules[0].methods", "'POST'", "list", lambda: rule(methods="POST")),
    ("rules[0].methods", "P ST", "method", lambda: rule(methods=["P ST"])),
    ("rules[0].methods", "DELETE", "", lambda: rule(methods=["DELETE"])),
    ("rules[0].methods", "PUT", "", lambda: rule(methods=["PUT"])),
    ("rules[0].vary", "Accept Language", "one request field", lambda: rule(vary=["Accept Language"])),
    ("rules[0].vary", "'Accept'", "list", lambda: rule(vary="Accept")),
    ("rules[0].vary", "*", "", lambda: rule(vary=["*"])),
    ("rules[0].cookies", "'maybe'", '"guard" or "ignore"', lambda: rule(cookies="maybe")),
    ("rules[0].cache", "False", "drop one", lambda: rule(cache=False, ttl=5)),
    ("rules[0].partition", "'user'", "function", lambda: rule(partition="user")),
    ("rules[0].override", "'yes'", "True or False", lambda: rule(override="yes")),
    ("rules[0].query.keep", "'a'", "list", lambda: rule(query=Query(keep="a"))),
    ("rules[0].query.drop", "'utm_*'", "list", lambda: rule(query=Query(drop="utm_*"))),
    ("rules[0].query", "", "Query", lambda: rule(query={"sort": True})),
    ("rules[0].max_request_body", "0", "write", lambda: rule(max_request_body=0)),
    ("rules[1].ttl", "-1", "not negative", lambda: middleware(rules=[Rule("/a"), Rule("/b", ttl=-1)])),
    ("ttl", '"5 parsecs"', "5m", lambda: Cache().policy(ttl="5 parsecs")),
    ("tags", "'products'", "list", lambda: Cache().policy(tags="products")),
]


@pytest.mark.parametrize(
    ("setting", "value", "remedy", "make"), REFUSED, ids=[f"{row[0]}={row[1] or row[2]}" for row in REFUSED]
)
def test_an_error_names_the_setting_the_value_and_the_remedy(setting: str, value: str, remedy: str, make: Make) -> None:
    with pytest.raises(ConfigError) as refused:
        make()
    text = str(refused.value)
    assert setting in text
    assert value in text
    assert remedy in text


@pytest.mark.parametrize("name", ["ttl", "cache", "rules"])
def test_settings_are_keyword_only(name: str) -> None:
    with pytest.raises(TypeError):
        CacheMiddleware(Origin(), 30)  # type: ignore[call-arg, arg-type]


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError, match="tll"):
        middleware(tll=30)


@pytest.mark.parametrize("error", [HotplateError, ValueError])
def test_a_config_error_is_a_hotplate_error_and_a_value_error(error: type[Exception]) -> None:
    with pytest.raises(error):
        middleware(ttl=-1)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigError) as refused:
        middleware(ttl="x" * 10_000)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("max_bytes", [1 << 20, "1MiB", "64MiB", "1GB", "1GiB", "2097152"])
def test_sizes_are_bytes_or_text(max_bytes: int | str) -> None:
    assert Cache(max_bytes=max_bytes).stats().max_bytes >= 1_000_000


@pytest.mark.parametrize("value", [0, 0.0, "1m", 5, timedelta(seconds=5), None])
def test_client_ttl_may_be_zero(value: object) -> None:
    middleware(client_ttl=value)


def test_rules_may_come_from_any_sequence() -> None:
    middleware(rules=(Rule("/a"),), exclude=("/b",), include=("/a",))


def test_a_middleware_without_settings_is_a_middleware() -> None:
    assert middleware().cache.stats().entries == 0


def test_a_prefix_may_be_given_to_a_cache_in_memory_so_that_one_line_serves_both() -> None:
    assert not Cache("memory://", prefix="myapi").is_shared
