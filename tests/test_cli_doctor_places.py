"""``hotplate doctor``: servers that are away, slow, by a socket, replicas, sentinels, clusters, and TLS."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hotplate.cli.doctor import examination, reaching
from hotplate.cli.doctor.address import address_of
from hotplate.cli.findings import Finding
from tests.examined import WELL, examined, levels
from tests.proxy import Proxy
from tests.redis_client import HOST
from tests.redis_servers import Cluster, RedisServer, Sentinel, free_port
from tests.tls import TlsFront, make_certificate
from tests.waiting import until

# --- Where the server is ---------------------------------------------------------------------------------------------


def test_nobody_there_is_status_1(redis_server: RedisServer) -> None:
    redis_server.kill()
    found = examined(redis_server.url)
    assert list(found) == ["connection"]
    assert "refused" in found["connection"].text


def test_a_server_that_does_not_answer_is_given_up(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "PATIENCE_SECONDS", 0.2)
    redis_server.pause()
    found = examined(redis_server.url, connect_timeout="100ms")
    assert "does not answer within" in found["connection"].text


def first(subject: str, url: str, **settings: str) -> Finding:
    """What is said of a subject first; nothing is asked after that."""
    with closing(examination(address_of(url, "shop", **settings))) as findings:
        return next(one for one in findings if one.subject == subject)


def test_a_slow_network_is_told_from_a_fast_one(slow: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotplate.cli.doctor.server.ROUND_TRIPS", 3)
    for delay, level in ((0.0, "ok"), (0.1, "warn"), (0.4, "fail")):
        slow.delay = delay
        assert first("latency", slow.url, command_timeout="300ms").level == level
    slow.delay = 0.05
    assert first("latency", slow.url, command_timeout="10s").level == "ok"
    assert first("connection", slow.url, connect_timeout="5s").level == "ok"
    assert first("connection", slow.url, connect_timeout="10ms").level == "fail"


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
    """A directory with a server's certificate and its key."""
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory)
    return directory


@contextmanager
def encrypted(certificate: Path) -> Iterator[str]:
    with RedisServer(*WELL) as server, TlsFront(server.port, certificate) as front:
        yield f"rediss://{HOST}:{front.port}"


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
    (found,) = examined(f"rediss://{HOST}:{redis.port}", connect_timeout="100ms").values()
    assert "write redis:// instead" in found.remedy
    with encrypted(certificate) as url:
        (found,) = examined(url.replace("rediss", "redis")).values()
        assert "write rediss:// instead" in found.remedy
