"""``hotplate doctor``: what it says of one server, well and unwell."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hotplate import Cache, ConfigError
from hotplate.cli.doctor.address import Address, address_of
from hotplate.cli.doctor.reaching import Reached
from hotplate.cli.doctor.rights import acl_line
from hotplate.cli.doctor.server import about_servers
from hotplate.cli.findings import Finding
from tests.command_line import run
from tests.examined import WELL, examined, levels
from tests.redis_client import HOST
from tests.redis_servers import RedisServer
from tests.waiting import eventually

# --- A server that is well, and one as it is installed ---------------------------------------------------------------


def test_of_a_server_that_is_well_every_line_says_so() -> None:
    with RedisServer(*WELL) as server:
        found = examined(server.url)
        assert levels(found) == {}
        assert found.keys() == {
            *(
                "connection",
                "TLS",
                "server",
                "latency",
                "memory",
                "disk",
                "connections",
                "clock",
                "rights",
                "log",
                "names",
            ),
        }
        assert "7." in found["server"].text or "Valkey" in found["server"].text
        assert found["memory"].text.endswith("policy allkeys-lru, 0 evicted")
        patient = "?command_timeout=10s&connect_timeout=5s"
        done = run("doctor", server.url + patient, "--prefix", "shop", "--strict")
        assert (done.status, done.err) == (0, "")
        assert all(line.startswith("ok ") for line in done.out.splitlines())


def test_a_server_as_it_is_installed_has_no_memory_limit_which_is_a_warning(redis: RedisServer) -> None:
    done = run("doctor", redis.url, "--prefix", "shop")
    assert done.status == 0
    assert "warn memory       no limit (maxmemory 0)" in done.out
    assert "CONFIG SET maxmemory" in done.out
    assert run("doctor", redis.url, "--prefix", "shop", "--strict").status == 1


def test_json_has_the_same_findings(redis: RedisServer) -> None:
    patient = "?command_timeout=10s&connect_timeout=5s"
    done = run("doctor", redis.url + patient, "--json", HOTPLATE_PREFIX="shop")
    assert {one["subject"]: one["level"] for one in done.json} == {
        subject: finding.level for subject, finding in examined(redis.url).items()
    }


def test_a_prefix_that_nobody_named_is_a_warning(redis: RedisServer) -> None:
    assert examined(redis.url, None)["prefix"].level == "warn"
    assert "prefix" not in examined(f"{redis.url}?prefix=shop", None)


def test_it_leaves_nothing_behind(redis_server: RedisServer) -> None:
    examined(redis_server.url)
    assert redis_server.command("DBSIZE") == 0


@pytest.mark.asyncio
async def test_what_a_cache_has_there_is_counted(redis_server: RedisServer) -> None:
    assert "there is none" in examined(redis_server.url)["log"].text
    redis_server.command("SET", "somebody-elses", "1")
    cache = Cache(redis_server.url, prefix="shop")
    await eventually(lambda: cache.set("product:1", 1, ttl=60), "the value is in Redis")
    found = examined(redis_server.url)
    assert found["log"].text.startswith("at position ")
    count = int(str(redis_server.command("DBSIZE"))) - 1
    assert f"{count} under shop:*; 1 others in the same database" in found["names"].text


def test_a_prefix_with_a_pattern_in_it_counts_its_own_names_only(redis_server: RedisServer) -> None:
    redis_server.command("MSET", "a.b:1", "1", "axb:1", "1")
    assert "1 under a.b:*; 1 others" in examined(redis_server.url, "a.b")["names"].text


def test_a_name_that_another_program_writes_is_found(redis: RedisServer) -> None:
    redis.command("RPUSH", "shop:{log}:head", "x")
    assert examined(redis.url)["log"].level == "fail"


# --- Memory ----------------------------------------------------------------------------------------------------------


def test_a_server_that_forgets_nothing_is_a_warning_and_a_full_one_a_failure(redis_server: RedisServer) -> None:
    redis_server.config("maxmemory", "100mb")
    assert examined(redis_server.url)["memory"].level == "warn"
    redis_server.config("maxmemory", "1")
    found = examined(redis_server.url)
    assert (found["memory"].level, found["writes"].level) == ("fail", "fail")
    assert found["writes"].text.startswith("refused: OOM")


@pytest.mark.parametrize("policy", ["allkeys-lfu", "volatile-lru", "volatile-ttl", "allkeys-random"])
def test_every_policy_that_makes_room_will_do(redis_server: RedisServer, policy: str) -> None:
    redis_server.config("maxmemory", "100mb")
    redis_server.config("maxmemory-policy", policy)
    assert levels(examined(redis_server.url)) == {}


# --- Rights ----------------------------------------------------------------------------------------------------------


@contextmanager
def user(server: RedisServer, line: str) -> Iterator[str]:
    """The url of a user who has what a line of ACL says, in which the password is PASSWORD."""
    server.command(*line.split())
    yield f"redis://hotplate:PASSWORD@{HOST}:{server.port}/0"
    server.command("ACL", "DELUSER", "hotplate")


@pytest.mark.asyncio
async def test_the_line_it_gives_makes_a_user_with_whom_a_cache_works(redis: RedisServer) -> None:
    line = acl_line(address_of(redis.url, "shop"))
    with user(redis, line) as url:
        found = examined(url)
        assert levels(found) == {"memory": "warn", "disk": "warn"}  # a cache need not know
        assert "not counted" in found["names"].text
        # Patient: what is asked here is what may be done, not how soon.
        one, other = (Cache(url, prefix="shop", command_timeout="10s") for _ in range(2))
        await eventually(lambda: one.set("product:1", [1], ttl=60), "the value is in Redis")
        other.core.start()
        await eventually(lambda: (stats := other.shared_stats()) is not None and stats.certain, "the other is there")
        assert await other.get("product:1") == [1]
        assert await other.invalidate(keys=["product:1"]) > 0
        assert await one.incr("visits", ttl=60) == 1
        assert await one.get_or_set("product:2", lambda: 2, ttl=60) == 2
        await eventually(lambda: _others(one), "each tells its report")
        for cache in (one, other):
            stats = cache.shared_stats()
            assert stats is not None
            assert (stats.trouble, dict(stats.faults)) == (None, {})


async def _others(cache: Cache) -> bool:
    return len(await cache.watch.reports()) > 1


@pytest.mark.parametrize("missing", ["evalsha", "xadd", "publish", "subscribe", "get", "unlink", "hgetall"])
def test_a_right_that_is_missing_is_named_and_given(redis: RedisServer, missing: str) -> None:
    line = acl_line(address_of(redis.url, "shop"))
    with user(redis, f"{line} -{missing}") as url:
        found = examined(url)["rights"]
        assert found.level == "fail"
        assert found.text.startswith(f"the user hotplate may not {missing}")
        assert found.remedy == line


@pytest.mark.parametrize(("word", "instead"), [("~shop:*", "~other:*"), ("&shop:notices", "&other")])
def test_names_and_channels_of_others_are_no_rights(redis: RedisServer, word: str, instead: str) -> None:
    line = acl_line(address_of(redis.url, "shop"))
    with user(redis, line.replace(word, instead)) as url:
        assert examined(url)["rights"].level == "fail"


def test_a_password_that_is_missing_or_wrong_is_said_and_never_shown() -> None:
    with RedisServer(password="hush-hush") as server:
        assert levels(examined(server.url)) == {"memory": "warn"}
        without = examined(f"redis://{HOST}:{server.port}")
        assert (list(without), without["login"].level) == (["login"], "fail")
        assert "NOAUTH" in without["login"].text
        done = run("doctor", f"redis://:wrong-word@{HOST}:{server.port}")
        assert (done.status, "WRONGPASS" in done.out, "wrong-word" in done.out + done.err) == (1, True, False)


# --- What no server here does ----------------------------------------------------------------------------------------


class Scripted:
    """A connection to a server that answers as it is told."""

    tls = None

    def __init__(self, information: str = "", time: float | None = None) -> None:
        self.information = information
        self.time = time

    def command(self, name: str, *_rest: object) -> Any:
        if name == "TIME":
            return ["1700000000", "0"]
        return self.information if name == "INFO" else "PONG"


def scripted(information: str = "", host: str = "db.example.org", **hello: str) -> list[Finding]:
    told = {"server": "redis", "version": "7.2.4", "mode": "standalone", "proto": "3", **hello}
    connection: Any = Scripted(information)
    address: Address = address_of("redis://db.example.org", "shop")
    return list(about_servers(address, [Reached(f"{host}:6379", host, connection, told)]))


def of(subject: str, findings: list[Finding]) -> Finding:
    (found,) = (one for one in findings if one.subject == subject)
    return found


@pytest.mark.parametrize(
    ("server", "version", "level"),
    [
        ("redis", "6.2.14", "fail"),
        ("redis", "7.0.0", "ok"),
        ("redis", "8.2", "ok"),
        ("valkey", "7.1.9", "fail"),
        ("valkey", "8.1.1-rc2", "ok"),
        ("redis", "new", "fail"),
    ],
)
def test_servers_that_are_too_old_fail(server: str, version: str, level: str) -> None:
    assert of("server", scripted(server=server, version=version)).level == level


@pytest.mark.parametrize(
    ("line", "subject", "level"),
    [
        ("aof_enabled:1\naof_last_write_status:err", "disk", "fail"),
        ("aof_enabled:0\nrdb_last_bgsave_status:err", "disk", "warn"),
        ("aof_enabled:0\nloading:1", "disk", "warn"),
        ("aof_enabled:0\nrdb_last_bgsave_status:ok", "disk", "ok"),
        ("connected_clients:90\nmaxclients:100", "connections", "warn"),
        ("connected_clients:10\nmaxclients:100", "connections", "ok"),
        ("", "memory", "warn"),
    ],
)
def test_what_a_server_says_of_itself(line: str, subject: str, level: str) -> None:
    assert of(subject, scripted(line)).level == level


def test_clocks_that_differ_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    for here, level in ((1_700_000_000.4, "ok"), (1_700_000_005.0, "warn")):
        monkeypatch.setattr("hotplate.cli.doctor.server.time.time", lambda here=here: here)
        assert of("clock", scripted()).level == level


def test_a_server_elsewhere_without_a_password_is_a_warning() -> None:
    assert of("password", scripted()).level == "warn"
    assert [one for one in scripted(host="127.0.0.1") if one.subject == "password"] == []


def test_a_server_that_does_not_know_hello_repeats_no_password() -> None:
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=_old_server, args=(listener,), daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        found = examined(f"redis://:hush-hush@{HOST}:{port}")
        thread.join(10)
    assert (list(found), found["server"].level) == (["server"], "fail")
    assert "hush" not in found["server"].text


def _old_server(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        sent = connection.recv(4096)
        words = b" ".join(sent.split(b"\r\n")[2::2])
        connection.sendall(b"-ERR unknown command `HELLO`, with args beginning with: `" + words + b"`\r\n")
        connection.recv(4096)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hush@host/3", "host:6379"),
        ("valkey+unix://:hush@/run/a%20b.sock?db=2", "/run/a b.sock"),
        (
            "redis+sentinel://:hush@a,b:1/my%2Fmaster/2?sentinel_password=hush",
            "my/master by the sentinels a:26379, b:1",
        ),
        ("rediss+cluster://:hush@[::1]:7000,b", "the cluster ::1:7000, b:6379"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    address = address_of(url, "shop")
    assert str(address) == shown
    assert "hush" not in repr(address)
    assert address.password == "hush"


def test_settings_by_keyword_are_part_of_the_address(tmp_path: Path) -> None:
    more: dict[str, Any] = {"sentinel_password": "hush", "db": 3, "command_timeout": 0.02, "connect_timeout": "2s"}
    address = address_of("redis+sentinel://a/mymaster", "shop", **more)
    assert (address.sentinel_password, address.db) == ("hush", 3)
    assert (address.command_seconds, address.connect_seconds) == (0.02, 2.0)
    with pytest.raises(ConfigError, match="ca_file"):
        address_of("rediss://a", "shop", ca_file=tmp_path / "none.pem")


def test_a_url_that_the_engine_refuses_is_status_2_without_its_password() -> None:
    done = run("doctor", "redis://user:hush/hush@host")
    assert (done.status, done.out, "hush" in done.err) == (2, "", False)
