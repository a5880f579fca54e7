"""Real Redis servers for the tests: one server, a master with replica and sentinel, a cluster.

Everything is a process of this test run: on free ports of 127.0.0.1, with a temporary directory of its own, ended by
its pid when its ``with`` block ends. Should the run itself be killed, a watcher ends what is left. Starting waits until
the server answers; nothing here waits for time to pass.

To ask a server: ``server.command("SET", "name", "value")`` (see ``tests/redis_client.py``). A bad network before it is
in ``tests/proxy.py``.

Another program than ``redis-server`` that speaks the same: set ``REDIS_SERVER`` to its path (Valkey's, for one).
"""

import atexit
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.redis_client import HOST, SECONDS, Argument, Connection
from tests.started import Started
from tests.waiting import until

SLOTS = 16384
SENTINEL_NAME = "mymaster"
INSTALL = (
    "the tests start real servers and need redis-server 7.0 or later on the PATH.\n"
    "  Install: apt-get install redis-server   (macOS: brew install redis)"
)

# --- Ports and processes ---------------------------------------------------------------------------------------------

# Below the ports that systems hand out themselves (Linux from 32768, macOS from 49152): a client that tries again and
# again to reach a server that is down could otherwise be given the server's port for its own end, and meet itself.
_PORTS = range(20000, 32000)
_candidates = itertools.count(os.getpid() * 37)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens, and which this run has not given out before."""
    for _ in _PORTS:
        port = _PORTS[next(_candidates) % len(_PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port from {_PORTS.start} to {_PORTS.stop}")


def program() -> str:
    """The path of the server's program. Missing, the test fails and says what to install; it is never skipped."""
    path = shutil.which(os.environ.get("REDIS_SERVER", "redis-server"))
    if path is None:
        raise RuntimeError(INSTALL)
    return path


class _Watcher:
    """Ends the servers of a test run that was killed before it could: a shell that reads until our end is gone.

    The directory of all servers' directories is its as well: made here, removed when the run ends, however it ends.
    """

    _SCRIPT = """
        running=
        while read -r word pid; do
            case $word in
                started) running="$running $pid" ;;
                ended) rest=; for one in $running; do [ "$one" = "$pid" ] || rest="$rest $one"; done; running=$rest ;;
            esac
        done
        [ -z "$running" ] || kill -KILL $running
        rm -rf -- "$1"
    """

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="hotplate-tests-")
        # A session of its own: what a terminal sends to the test run (Ctrl-C) must not end the watcher first.
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", self._SCRIPT, "watcher", self.directory],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._pid = os.getpid()
        atexit.register(self._let_go)

    def _let_go(self) -> None:
        if self._pid == os.getpid() and self._shell.stdin is not None:
            self._shell.stdin.close()
            self._shell.wait()

    def tell(self, word: str, pid: int) -> None:
        pipe = self._shell.stdin
        assert pipe is not None
        with self._lock:
            pipe.write(f"{word} {pid}\n".encode())
            pipe.flush()

    _running: "_Watcher | None" = None

    @classmethod
    def of_this_process(cls) -> "_Watcher":
        if cls._running is None or cls._running._pid != os.getpid():
            cls._running = cls()
        return cls._running


class _Process(Started):
    """A server's process: its port, its directory, its life. Starting, killing and pausing are the test's to do."""

    def __init__(self, password: str | None = None) -> None:
        self.port = free_port()
        self.password = password
        self._directory: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _arguments(self, directory: Path) -> Sequence[str]:
        """What stands on the command line after the program."""

    @property
    def pid(self) -> int:
        """The process id. Only while the process is there."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is there; paused counts."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process; returns when it answers. At first only, a port taken meanwhile is exchanged."""
        assert self._process is None or self._process.poll() is not None, "already started"
        first = self._directory is None
        if self._directory is None:
            parent = _Watcher.of_this_process().directory
            self._directory = Path(tempfile.mkdtemp(dir=parent, prefix=f"{self.port}-"))
        while True:
            self._spawn(self._directory)
            until(lambda: not self.is_alive or self._answers(), f"{type(self).__name__} on port {self.port} answers")
            if self.is_alive:
                return
            self.kill()
            log = self._log()
            if not (first and "Address already in use" in log):
                raise RuntimeError(f"{program()} ended at once:\n{log}")
            self.port = free_port()

    def _spawn(self, directory: Path) -> None:
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program(), *self._arguments(directory)],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _Watcher.of_this_process().tell("started", self._process.pid)

    def _answers(self) -> bool:
        # Whoever has the port may answer: another server that took it before ours did, for one.
        return f"process_id:{self.pid}\r\n" in str(self.command("INFO", "server", seconds=0.25))

    def _log(self) -> str:
        assert self._directory is not None
        return (self._directory / "log").read_text(errors="replace")

    def kill(self) -> None:
        """Ends the process at once (SIGKILL) and waits until it is gone. Fine when it is gone already."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            _Watcher.of_this_process().tell("ended", self._process.pid)
            self._process = None

    def pause(self) -> None:
        """Stops the process where it stands (SIGSTOP): connections stay, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """The same server on the same port, started anew (and killed before, if it is alive): it has forgotten all."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Ends the process and removes its directory."""
        self.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory)
            self._directory = None

    def connect(self, seconds: float = SECONDS) -> Connection:
        """A connection to it; the caller closes it."""
        return Connection(self.port, self.password, seconds)

    def command(self, *arguments: Argument, seconds: float = SECONDS) -> object:
        """What the server answers to one command, on a connection of its own (see :class:`Connection`)."""
        with self.connect(seconds) as connection:
            return connection.command(*arguments)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {HOST}:{self.port}>"


class RedisServer(_Process):
    """One server, empty and not on disk. ``arguments`` go on its command line: ``RedisServer("--maxmemory", "10mb")``.

    With ``password`` it asks for one, the url carries it and ``command`` sends it.
    """

    def __init__(self, *arguments: str, password: str | None = None) -> None:
        super().__init__(password)
        self._more = arguments

    @property
    def url(self) -> str:
        """Its address, as ``Cache`` takes it."""
        login = "" if self.password is None else f":{self.password}@"
        return f"redis://{login}{HOST}:{self.port}/0"

    def _arguments(self, directory: Path) -> Sequence[str]:
        settings = {
            "port": str(self.port),
            "bind": HOST,
            "dir": str(directory),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "repl-diskless-sync-delay": "0",
            **({} if self.password is None else {"requirepass": self.password}),
        }
        return [*itertools.chain.from_iterable((f"--{name}", value) for name, value in settings.items()), *self._more]

    def config(self, name: str, value: Argument) -> None:
        """Changes a setting while it runs (``CONFIG SET``). It lasts until the process ends."""
        self.command("CONFIG", "SET", name, value)


# --- More than one ---------------------------------------------------------------------------------------------------


class _SentinelProcess(_Process):
    """The process that watches a master. It writes what it learns into its configuration file."""

    def __init__(self, master: RedisServer) -> None:
        super().__init__()
        self._master = master

    def _arguments(self, directory: Path) -> Sequence[str]:
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {directory}",
            f"sentinel monitor {SENTINEL_NAME} {HOST} {self._master.port} 1",
            f"sentinel down-after-milliseconds {SENTINEL_NAME} 300",
            f"sentinel failover-timeout {SENTINEL_NAME} 2000",
        ]
        configuration = directory / "sentinel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [str(configuration), "--sentinel"]


class Sentinel(Started):
    """A master, its replica, and one sentinel that calls the replica to be master 0.3 s after the master is gone."""

    def __init__(self) -> None:
        first = RedisServer()
        self.servers = [first]
        self.process = _SentinelProcess(first)

    @property
    def url(self) -> str:
        """Its address, as ``Cache`` takes it: the sentinel's, and the name it knows the master by."""
        return f"redis+sentinel://{HOST}:{self.process.port}/{SENTINEL_NAME}"

    @property
    def master(self) -> RedisServer:
        """The server that the sentinel calls the master now."""
        address = self.process.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SENTINEL_NAME)
        assert isinstance(address, list), address
        return _on_port(self.servers, int(address[1]))

    @property
    def replica(self) -> RedisServer:
        """The other one."""
        (other,) = (server for server in self.servers if server is not self.master)
        return other

    def start(self) -> None:
        """Starts all three; returns when the replica has what the master has, and the sentinel knows both."""
        (first,) = self.servers
        first.start()
        second = RedisServer("--replicaof", HOST, str(first.port))
        self.servers.append(second)
        second.start()
        # The sentinel asks for the replicas when it starts, and then only every ten seconds.
        until(lambda: "state=online" in str(first.command("INFO", "replication")), "the replica follows the master")
        self.process.start()
        until(self._knows_the_replica, "the sentinel knows the replica")

    def _knows_the_replica(self) -> bool:
        replicas = self.process.command("SENTINEL", "REPLICAS", SENTINEL_NAME)
        assert isinstance(replicas, list), replicas
        known = [dict(itertools.zip_longest(*[iter(fields)] * 2)) for fields in replicas]
        return any(one["flags"] == "slave" and one["master-link-status"] == "ok" for one in known)

    def kill_master(self) -> RedisServer:
        """Kills the master and says which it was; ``wait_for_new_master`` with it waits for the next."""
        old = self.master
        old.kill()
        return old

    def failover(self) -> RedisServer:
        """Makes the sentinel exchange the living master for the replica; returns the new master once it is that.

        The old one goes on as a master that nobody asks: the sentinel makes it a replica some ten seconds later.
        """
        old = self.master
        until(lambda: self.process.command("SENTINEL", "FAILOVER", SENTINEL_NAME) == "OK", "the sentinel fails over")
        return self.wait_for_new_master(old)

    def wait_for_new_master(self, old: RedisServer) -> RedisServer:
        """The master after ``old``: the sentinel names it, and it says itself that it is one."""
        until(lambda: self.master is not old and _role(self.master) == "master", f"another master than {old}")
        return self.master

    def close(self) -> None:
        """Ends all three, the sentinel first."""
        for process in [self.process, *self.servers]:
            process.close()


class Cluster(Started):
    """Three masters that share the slots evenly, without replicas. ``arguments`` go on each one's command line."""

    def __init__(self, *arguments: str) -> None:
        self._bus_ports = [free_port() for _ in range(3)]
        self.nodes = [
            RedisServer(
                *("--cluster-enabled", "yes", "--cluster-port", str(bus_port), "--cluster-node-timeout", "2000"),
                *arguments,
            )
            for bus_port in self._bus_ports
        ]

    @property
    def url(self) -> str:
        """Its address, as ``Cache`` takes it: every node's."""
        return "redis+cluster://" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def start(self) -> None:
        """Starts the nodes; returns when each says that the cluster is whole and who has which slots."""
        for node in self.nodes:
            node.start()
        for index, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
            first, after = SLOTS * index // 3, SLOTS * (index + 1) // 3
            node.command("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
        for node, bus_port in zip(self.nodes[1:], self._bus_ports[1:], strict=True):
            self.nodes[0].command("CLUSTER", "MEET", HOST, node.port, bus_port)
        until(lambda: all(map(self._is_whole, self.nodes)), "every node knows the whole cluster")

    def _is_whole(self, node: RedisServer) -> bool:
        information = str(node.command("CLUSTER", "INFO"))
        return "cluster_state:ok" in information and len(self._owners(node)) == SLOTS

    def _owners(self, node: RedisServer) -> Mapping[int, int]:
        """The port of each slot's owner, as this node sees it."""
        ranges = node.command("CLUSTER", "SLOTS")
        assert isinstance(ranges, list), ranges
        return {slot: owner[1] for first, last, owner, *_ in ranges for slot in range(first, last + 1)}

    def slot_owner(self, slot: int) -> RedisServer:
        """The node that has this slot, as the first living node sees it."""
        return _on_port(self.nodes, self._owners(self._living())[slot])

    def slot_of(self, key: str) -> int:
        """The slot of a key; what stands in ``{}`` counts alone."""
        slot = self._living().command("CLUSTER", "KEYSLOT", key)
        assert isinstance(slot, int), slot
        return slot

    def owner_of(self, key: str) -> RedisServer:
        """The node that has this key's slot."""
        return self.slot_owner(self.slot_of(key))

    def reshard(self, slots: int) -> Sequence[int]:
        """Moves this many of the first node's slots to the second, with their keys. Says which."""
        first, second, _ = self.nodes
        moved = sorted(slot for slot, port in self._owners(first).items() if port == first.port)[:slots]
        assert len(moved) == slots, f"{first} has {len(moved)} slots"
        self.move(moved, second)
        return moved

    def move(self, slots: Iterable[int], to: RedisServer) -> None:
        """Moves these slots to a node, one after another, each with its keys, while everything goes on."""
        for slot in slots:
            self.begin_move(slot, to)
            self.finish_move(slot, to)

    def begin_move(self, slot: int, to: RedisServer) -> None:
        """The first half of a move. From here on the old owner answers ``ASK`` for a key that it does not have."""
        owner = self.slot_owner(slot)
        to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", _node_id(owner))
        owner.command("CLUSTER", "SETSLOT", slot, "MIGRATING", _node_id(to))

    def finish_move(self, slot: int, to: RedisServer) -> None:
        """The second half: the keys move, and every node is told. From here on the old owner answers ``MOVED``."""
        owner = self.slot_owner(slot)
        while keys := owner.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            assert isinstance(keys, list), keys
            raw = [str(key).encode(errors="surrogateescape") for key in keys]
            owner.command("MIGRATE", HOST, to.port, "", 0, 5000, "KEYS", *raw)
        # The new owner first, or for a moment nobody would have the slot.
        for node in [to, owner, *(node for node in self.nodes if node not in (to, owner))]:
            if node.is_alive:
                node.command("CLUSTER", "SETSLOT", slot, "NODE", _node_id(to))

    def _living(self) -> RedisServer:
        return next(node for node in self.nodes if node.is_alive)

    def close(self) -> None:
        """Ends all nodes."""
        for node in self.nodes:
            node.close()


def _on_port(servers: Iterable[RedisServer], port: int) -> RedisServer:
    (server,) = (server for server in servers if server.port == port)
    return server


def _role(server: RedisServer) -> object:
    role = server.command("ROLE")
    assert isinstance(role, list), role
    return role[0]


def _node_id(node: RedisServer) -> str:
    return str(node.command("CLUSTER", "MYID"))
