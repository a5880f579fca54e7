"""``hotplate doctor``: real servers, well and unwell, and what it says of each."""

import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hotplate import Cache, ConfigError
from hotplate.cli.doctor import examination, reaching
from hotplate.cli.doctor.address import Address, address_of
from hotplate.cli.doctor.reaching import Reached
from hotplate.cli.doctor.rights import acl_line
from hotplate.cli.doctor.server import about_servers
from hotplate.cli.findings import Finding
from tests.command_line import run
from tests.proxy import Proxy
from tests.redis_client import HOST
from tests.redis_servers import Cluster, RedisServer, Sentinel, free_port
from tests.waiting import eventually, until

WELL = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")


def examined(url: str, prefix: str | None = "shop") -> dict[str, Finding]:
    """What is found, by subject; the worst where there are several."""
    found: dict[str, Finding] = {}
    for one in examination(address_of(url, prefix)):
        if one.subject not in found or found[one.subject].level == "ok":
            found[one.subject] = one
    return found


def levels(found: Mapping[str, Finding]) -> dict[str, str]:
    """What is not well."""
    return {subject: one.level for subject, one in found.items() if one.level != "ok"}


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
        done = run("doctor", server.url, "--prefix", "shop", "--strict")
        assert (done.status, done.err) == (0, "")
        assert all(line.startswith("ok ") for line in done.out.splitlines())


def test_a_server_as_it_is_installed_has_no_memory_limit_which_is_a_warning(redis: RedisServer) -> None:
    done = run("doctor", redis.url, "--prefix", "shop")
    assert done.status == 0
    assert "warn memory       no limit (maxmemory 0)" in done.out
    assert "CONFIG SET maxmemory" in done.out
    assert run("doctor", redis.url, "--prefix", "shop", "--strict").status == 1


def test_json_has_the_same_findings(redis: RedisServer) -> None:
    done = run("doctor", redis.url, "--json", HOTPLATE_PREFIX="shop")
    assert {one["subject"]: one["level"] for one in done.json} == {
        subject: finding.level for subject, finding in examined(redis.url).items()
    }


def test_a_prefix_that_nobody_named_is_a_warning(redis: RedisServer) -> None:
    assert examined(redis.url, None)["prefix"].level == "warn"
    assert "prefix" not in examined(f"{redis.url}?prefix=shop", None)


def test_it_leaves_nothing_behind(redis: RedisServer) -> None:
    examined(redis.url)
    assert redis.command("DBSIZE") == 0


@pytest.mark.asyncio
async def test_what_a_cache_has_there_is_counted(redis: RedisServer) -> None:
    assert "there is none" in examined(redis.url)["log"].text
    redis.command("SET", "somebody-elses", "1")
    cache = Cache(redis.url, prefix="shop")
    await eventually(lambda: cache.set("product:1", 1, ttl=60), "the value is in Redis")
    found = examined(redis.url)
    assert found["log"].text.startswith("at position ")
    count = int(str(redis.command("DBSIZE"))) - 1
    assert f"{count} under shop:*; 1 others in the same database" in found["names"].text


def test_a_prefix_with_a_pattern_in_it_counts_its_own_names_only(redis: RedisServer) -> None:
    redis.command("MSET", "a.b:1", "1", "axb:1", "1")
    assert "1 under a.b:*; 1 others" in examined(redis.url, "a.b")["names"].text


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
        one, other = Cache(url, prefix="shop"), Cache(url, prefix="shop")
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


# --- Where the server is ---------------------------------------------------------------------------------------------


def test_nobody_there_is_status_1(redis_server: RedisServer) -> None:
    redis_server.kill()
    found = examined(redis_server.url)
    assert list(found) == ["connection"]
    assert "refused" in found["connection"].text


def test_a_server_that_does_not_answer_is_given_up(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PATIENCE_SECONDS", 0.2)
    redis_server.pause()
    assert "does not answer within" in examined(redis_server.url)["connection"].text


def test_a_slow_network_is_told_from_a_fast_one(slow: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotplate.cli.doctor.server.ROUND_TRIPS", 3)
    for delay, level in ((0.0, "ok"), (0.02, "warn"), (0.06, "fail")):
        slow.delay = delay
        assert examined(slow.url)["latency"].level == level
    assert examined(f"{slow.url}?command_timeout=1s")["latency"].level == "ok"
    assert examined(f"{slow.url}?connect_timeout=10ms")["connection"].level == "fail"


def test_what_is_no_redis_is_said_to_be_none(slow: Proxy) -> None:
    slow.garble = True
    assert examined(slow.url)["connection"].text.endswith("does not answer as Redis does")
    slow.garble, slow.refuse = False, True
    found = examined(slow.url)["connection"]
    assert "hung up" in found.text
    assert "rediss://" in found.remedy


def test_by_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "redis.sock")
    with RedisServer("--unixsocket", path, *WELL):
        found = examined(f"redis+unix://{path}")
        assert levels(found) == {}
        assert found["connection"].text.startswith(path)


def test_a_database_of_its_own(redis: RedisServer) -> None:
    redis.command("SET", "in-database-0", "1")
    assert examined(f"redis://{HOST}:{redis.port}/3")["names"].text == "0 under shop:*"


def test_a_replica_takes_no_writes(sentinel: Sentinel) -> None:
    found = examined(sentinel.replica.url)["server"]
    assert (found.level, "takes no writes" in found.text) == ("fail", True)


def test_sentinels_lead_to_the_master(sentinel: Sentinel) -> None:
    found = examined(sentinel.url)
    assert levels(found) == {"memory": "warn"}, found
    assert found["connection"].text.startswith(f"{HOST}:{sentinel.master.port} ")
    assert "1 of 1 answer" in found["sentinel"].text


def test_sentinels_that_do_not_answer_or_know_no_such_master(sentinel: Sentinel) -> None:
    nobody = f"{HOST}:{free_port()}"
    one = f"{HOST}:{sentinel.process.port}"
    found = examined(f"redis+sentinel://{nobody},{one}/mymaster")
    assert (found["sentinel"].level, nobody in found["sentinel"].text) == ("warn", True)
    found = examined(f"redis+sentinel://{one}/other")
    assert (list(found), found["sentinel"].level) == (["sentinel"], "fail")
    assert "redis+sentinel://" in examined(f"redis://{one}")["server"].remedy
    assert "write redis://" in examined(f"redis+sentinel://{HOST}:{sentinel.master.port}/mymaster")["sentinel"].remedy


def test_every_master_of_a_cluster_is_asked(cluster: Cluster) -> None:
    for node in cluster.nodes[:2]:
        node.config("maxmemory", "100mb")
        node.config("maxmemory-policy", "allkeys-lru")
    found = examined(cluster.url)
    assert levels(found) == {"memory": "warn"}, found
    assert found["memory"].text.startswith(f"{HOST}:{cluster.nodes[2].port}: no limit")
    assert found["server"].text.endswith("the other 2 are well too")
    assert "3 masters, 16,384 of 16,384 slots, state ok" in found["cluster"].text
    assert "redis+cluster://" in examined(cluster.nodes[0].url)["server"].remedy


def test_a_cluster_that_is_not_whole_fails(cluster: Cluster) -> None:
    cluster.nodes[0].command("CLUSTER", "DELSLOTS", 0)
    until(lambda: "cluster_state:fail" in str(cluster.nodes[0].command("CLUSTER", "INFO")), "it knows")
    assert examined(cluster.url)["cluster"].level == "fail"


def test_a_single_server_is_no_cluster(redis: RedisServer) -> None:
    assert "is in no cluster" in examined(f"redis+cluster://{HOST}:{redis.port}")["cluster"].text


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``cert.pem`` and ``key.pem`` of a server on this machine that has signed for itself."""
    directory = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 10 -subj /CN=test"
    more = ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command.split(), *more], cwd=directory, check=True, capture_output=True, timeout=60)
    return directory


@contextmanager
def encrypted(certificate: Path) -> Iterator[str]:
    port = free_port()
    files = ("--tls-cert-file", f"{certificate}/cert.pem", "--tls-key-file", f"{certificate}/key.pem")
    with RedisServer("--tls-port", str(port), *files, "--tls-auth-clients", "no", *WELL):
        yield f"rediss://{HOST}:{port}"


def test_tls_is_said_with_the_end_of_its_certificate(certificate: Path) -> None:
    with encrypted(certificate) as url:
        found = examined(f"{url}?ca_file={certificate}/cert.pem")
        assert levels(found) == {"TLS": "warn"}
        assert found["TLS"].text.startswith("TLSv1.")
        assert found["TLS"].text.endswith("; the certificate ends in 10 days")


def test_a_certificate_that_nobody_known_has_signed_is_refused(certificate: Path) -> None:
    with encrypted(certificate) as url:
        found = examined(url)
        assert (list(found), found["TLS"].level) == (["TLS"], "fail")
        assert "ca_file=" in found["TLS"].remedy


def test_tls_where_there_is_none_and_none_where_there_is(
    redis: RedisServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "PATIENCE_SECONDS", 0.2)
    (found,) = examined(f"rediss://{HOST}:{redis.port}").values()
    assert "write redis:// instead" in found.remedy
    with encrypted(certificate) as url:
        (found,) = examined(url.replace("rediss", "redis")).values()
        assert "write rediss:// instead" in found.remedy


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
