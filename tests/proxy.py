"""A bad network: a TCP proxy in front of a server, a few threads of this test run."""

import contextlib
import random
import socket
import threading
from collections.abc import Callable

from tests.redis_client import HOST
from tests.redis_servers import free_port
from tests.started import Started
from tests.waiting import DEADLINE_SECONDS


class Proxy(Started):
    """A TCP proxy in front of a server, with switches. Each acts at once, on open connections too.

    * ``delay``: seconds that each chunk from the server waits before it is passed on;
    * ``garble``: the server's bytes are replaced by as many random ones, from a generator with this ``seed``;
    * ``refuse``: new connections are closed at once.
    """

    def __init__(self, upstream_port: int, seed: int = 0) -> None:
        self.upstream_port = upstream_port
        self.delay = 0.0
        self.garble = False
        self.refuse = False
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._closing = threading.Event()
        self._listener = socket.create_server((HOST, free_port()), backlog=512)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Its address, as ``Cache`` takes it."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._pairs)

    def start(self) -> None:
        """Begins to accept."""
        self._run(self._accept)

    def cut(self) -> None:
        """Closes every connection there is. New ones are accepted as before."""
        with self._lock:
            pairs = list(self._pairs.items())
        for pair in pairs:
            for end in pair:
                _shut(end)

    def close(self) -> None:
        """Closes everything and waits for its threads."""
        self._closing.set()
        _shut(self._listener)
        self._listener.close()
        # The accepting thread ends first, so that no connection comes after the cut.
        for thread in self._threads[:1]:
            thread.join(DEADLINE_SECONDS)
        self.cut()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "the proxy's thread does not end"

    def _run(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection((HOST, self.upstream_port), DEADLINE_SECONDS)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs[client] = server
            self._run(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Both directions of one connection: this thread the server's, another the client's."""
        back = threading.Thread(target=_pass_on, args=(client, server), name="proxy", daemon=True)
        back.start()
        _pass_on(server, client, self._spoil)
        back.join()
        with self._lock:
            del self._pairs[client]
        client.close()
        server.close()

    def _spoil(self, chunk: bytes) -> bytes:
        if self.delay:
            self._closing.wait(self.delay)
        if self.garble:
            with self._lock:
                return self._random.randbytes(len(chunk))
        return chunk


def _pass_on(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes] = bytes) -> None:
    """Copies bytes until either end is gone, then ends both."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            sink.sendall(change(chunk))
    _shut(source)
    _shut(sink)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
