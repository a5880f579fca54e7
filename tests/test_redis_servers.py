"""The tests' own Redis servers: they start, answer, break and end as the tests that use them take for granted."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import Proxy
from tests.redis_client import HOST, Connection, ErrorReply
from tests.redis_servers import INSTALL, SLOTS, Cluster, RedisServer, Sentinel
from tests.waiting import until

ROOT = Path(__file__).parents[1]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# --- One server ------------------------------------------------------------------------------------------------------


def test_server_answers_commands_with_python_objects(redis_server: RedisServer) -> None:
    command = redis_server.command
    assert command("SET", "name", "Käse") == "OK"
    assert command("GET", "name") == "Käse"
    assert command("GET", "nothing") is None
    assert command("INCRBY", "count", 3) == 3
    assert command("EVAL", "return {1, 'two', {3}}", 0) == [1, "two", [3]]
    assert command("SET", "raw", b"\xff\x00\r\n") == "OK"
    assert command("GET", "raw") == b"\xff\x00\r\n".decode(errors="surrogateescape")
    with pytest.raises(ErrorReply, match="WRONGTYPE"):
        command("LPUSH", "name", 1)


def test_server_takes_arguments_and_settings() -> None:
    with RedisServer("--maxmemory", "10mb") as server:
        assert server.command("CONFIG", "GET", "maxmemory") == ["maxmemory", str(10 << 20)]
        server.config("maxmemory", "20mb")
        assert server.command("CONFIG", "GET", "maxmemory") == ["maxmemory", str(20 << 20)]


def test_server_with_a_password_refuses_who_does_not_know_it() -> None:
    with RedisServer(password="open-sesame") as server:
        assert server.url == f"redis://:open-sesame@{HOST}:{server.port}/0"
        assert server.command("PING") == "PONG"
        with Connection(server.port) as stranger, pytest.raises(ErrorReply, match="NOAUTH"):
            stranger.command("GET", "name")


def test_servers_listen_on_this_machine_only(redis_server: RedisServer) -> None:
    assert redis_server.command("CONFIG", "GET", "bind") == ["bind", HOST]
    assert redis_server.url == f"redis://{HOST}:{redis_server.port}/0"
    assert redis_server.port != 6379


def test_killed_server_refuses_connections(redis_server: RedisServer) -> None:
    pid = redis_server.pid
    redis_server.kill()
    assert is_gone(pid)
    with pytest.raises(ConnectionRefusedError):
        redis_server.command("PING")


def test_restarted_server_has_the_same_port_and_nothing_stored(redis_server: RedisServer) -> None:
    before = (redis_server.port, redis_server.url)
    redis_server.command("SET", "name", "value")
    redis_server.restart()
    assert (redis_server.port, redis_server.url) == before
    assert redis_server.command("GET", "name") is None


def test_paused_server_accepts_and_answers_only_when_resumed(redis_server: RedisServer) -> None:
    redis_server.pause()
    with redis_server.connect(seconds=0.05) as connection, pytest.raises(TimeoutError):
        connection.command("PING")
    redis_server.resume()
    assert redis_server.command("PING") == "PONG"


def test_paused_server_can_be_killed(redis_server: RedisServer) -> None:
    pid = redis_server.pid
    redis_server.pause()
    redis_server.kill()
    assert is_gone(pid)


def test_server_ends_with_a_test_that_fails() -> None:
    with pytest.raises(ZeroDivisionError), RedisServer() as server:  # noqa: PT012
        pid = server.pid
        raise ZeroDivisionError
    assert is_gone(pid)


def test_server_ends_with_a_run_that_is_killed() -> None:
    script = (
        "from tests.redis_servers import RedisServer; s = RedisServer(); s.start(); print(s.pid, flush=True); input()"
    )
    run = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    with run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert not is_gone(pid)
        run.send_signal(signal.SIGKILL)
    # Gone, or a zombie that nobody has collected yet: its port is free in both cases.
    until(lambda: is_gone(pid) or Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z", "it ended")


def test_missing_program_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_SERVER", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="apt-get install redis-server") as caught, RedisServer():
        pass
    assert str(caught.value) == INSTALL


def test_server_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(RuntimeError, match="no-such-setting"), RedisServer("--no-such-setting", "1"):
        pass


def test_port_that_was_taken_meanwhile_is_exchanged() -> None:
    server = RedisServer()
    wanted = server.port
    with socket.create_server((HOST, wanted)), server:
        assert server.port != wanted
        assert server.command("PING") == "PONG"


@pytest.fixture(scope="module")
def _redis_of_the_run() -> Iterator[RedisServer]:
    """In place of that of the whole run, which caches of earlier tests that something still holds go on writing to."""
    with RedisServer() as server:
        server.command("SET", "name", "left by an earlier test")
        yield server


@pytest.mark.parametrize("name", ["first", "second"])
def test_server_of_the_run_is_empty_for_each_test(redis: RedisServer, name: str) -> None:
    assert redis.command("KEYS", "*") == []
    redis.command("SET", name, "value")


# --- Sentinel --------------------------------------------------------------------------------------------------------


def test_sentinel_calls_the_replica_when_the_master_is_killed(sentinel: Sentinel) -> None:
    assert sentinel.url == f"redis+sentinel://{HOST}:{sentinel.process.port}/mymaster"
    sentinel.master.command("SET", "name", "value")
    until(lambda: sentinel.replica.command("GET", "name") == "value", "the replica has the value")
    replica = sentinel.replica
    old = sentinel.kill_master()
    new = sentinel.wait_for_new_master(old)
    assert new is replica
    assert new.command("GET", "name") == "value"
    assert new.command("SET", "name", "another") == "OK"


def test_failover_exchanges_living_servers(sentinel: Sentinel) -> None:
    old, replica = sentinel.master, sentinel.replica
    assert sentinel.failover() is replica
    assert sentinel.master is replica
    assert old.is_alive


# --- Cluster ---------------------------------------------------------------------------------------------------------


def test_cluster_has_every_slot_and_says_where_a_key_is(cluster: Cluster) -> None:
    assert cluster.url == "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in cluster.nodes)
    assert [cluster.slot_owner(slot) for slot in (0, SLOTS // 2, SLOTS - 1)] == cluster.nodes
    assert cluster.slot_of("{a}1") == cluster.slot_of("{a}2")
    owner = cluster.owner_of("name")
    assert owner.command("SET", "name", "value") == "OK"
    stranger = next(node for node in cluster.nodes if node is not owner)
    with pytest.raises(ErrorReply, match=f"^MOVED {cluster.slot_of('name')} {HOST}:{owner.port}$"):
        stranger.command("GET", "name")


def test_reshard_moves_slots_with_their_keys(cluster: Cluster) -> None:
    first, second, _ = cluster.nodes
    keys = [key for key in (f"key-{number}" for number in range(20_000)) if cluster_slot(key) < 50]
    assert len(keys) > 10
    for key in keys:
        first.command("SET", key, f"value of {key}")
    moved = cluster.reshard(50)
    assert moved == list(range(50))
    assert {cluster.slot_owner(slot) for slot in moved} == {second}
    assert cluster.slot_owner(50) is first
    assert [second.command("GET", key) for key in keys] == [f"value of {key}" for key in keys]
    with pytest.raises(ErrorReply, match="MOVED"):
        first.command("GET", keys[0])


def test_half_moved_slot_is_answered_with_ask(cluster: Cluster) -> None:
    owner = cluster.owner_of("name")
    other = next(node for node in cluster.nodes if node is not owner)
    cluster.begin_move(cluster.slot_of("name"), other)
    with pytest.raises(ErrorReply, match=f"^ASK {cluster.slot_of('name')} {HOST}:{other.port}$"):
        owner.command("GET", "name")
    cluster.finish_move(cluster.slot_of("name"), other)
    assert cluster.owner_of("name") is other
    assert other.command("SET", "name", "value") == "OK"


# --- Proxy -----------------------------------------------------------------------------------------------------------


def test_proxy_passes_everything_on(redis: RedisServer) -> None:
    large = "x" * 3_000_000
    with Proxy(redis.port) as proxy, Connection(proxy.port) as connection:
        assert connection.command("SET", "large", large) == "OK"
        assert connection.command("GET", "large") == large
        assert proxy.connections == 1
        connection.close()
        until(lambda: proxy.connections == 0, "the proxy sees the end")


def test_delay_holds_back_each_answer(redis: RedisServer) -> None:
    with Proxy(redis.port) as proxy, Connection(proxy.port) as connection:
        proxy.delay = 0.1
        before = time.monotonic()
        assert connection.command("PING") == "PONG"
        assert time.monotonic() - before >= 0.1


def test_delay_does_not_hold_back_the_end(redis: RedisServer) -> None:
    with Proxy(redis.port) as proxy, Connection(proxy.port, seconds=0.05) as connection:
        proxy.delay = 3600.0
        with pytest.raises(TimeoutError):
            connection.command("PING")


def test_garble_replaces_answers_by_the_same_bytes_for_the_same_seed(redis: RedisServer) -> None:
    def answer(seed: int) -> bytes:
        with Proxy(redis.port, seed) as proxy, socket.create_connection((HOST, proxy.port), 10.0) as client:
            proxy.garble = True
            client.sendall(b"PING\r\n")
            return client.recv(1 << 10)

    assert len(answer(1)) == len(b"+PONG\r\n")
    assert answer(1) == answer(1) != answer(2)


def test_cut_ends_open_connections_and_accepts_new_ones(redis: RedisServer) -> None:
    with Proxy(redis.port) as proxy, Connection(proxy.port) as connection:
        assert connection.command("PING") == "PONG"
        proxy.cut()
        with pytest.raises(ConnectionError):
            connection.command("PING")
        with Connection(proxy.port) as another:
            assert another.command("PING") == "PONG"


def test_refuse_closes_new_connections_and_keeps_old_ones(redis: RedisServer) -> None:
    with Proxy(redis.port) as proxy, Connection(proxy.port) as old:
        assert old.command("PING") == "PONG"
        proxy.refuse = True
        with Connection(proxy.port) as new, pytest.raises(ConnectionError):
            new.command("PING")
        assert old.command("PING") == "PONG"


def test_proxy_closes_the_client_when_the_server_is_gone(redis_server: RedisServer) -> None:
    with Proxy(redis_server.port) as proxy:
        redis_server.kill()
        with Connection(proxy.port) as client, pytest.raises(ConnectionError):
            client.command("PING")
        redis_server.start()
        with Connection(proxy.port) as client:
            assert client.command("PING") == "PONG"


def cluster_slot(key: str) -> int:
    """A key's slot: CRC-16 (XMODEM) of the key, for keys without braces."""
    register = 0
    for byte in key.encode():
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1) ^ 0x1021 if register & 0x8000 else register << 1
    return (register & 0xFFFF) % SLOTS
