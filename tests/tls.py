"""TLS in front of a server that need not know it: a few threads of this test run, and a certificate of its own."""

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from tests.redis_client import HOST
from tests.started import Started
from tests.waiting import DEADLINE_SECONDS


def make_certificate(directory: Path) -> None:
    """Makes ``cert.pem`` and ``key.pem`` of a server on this machine, which has signed for itself, for ten days."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 10 -subj /CN=test"
    more = ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command.split(), *more], cwd=directory, check=True, capture_output=True, timeout=60)


class TlsFront(Started):
    """Speaks TLS with clients, and passes on what they say to a port of this machine."""

    def __init__(self, upstream_port: int, certificate: Path) -> None:
        self._upstream_port = upstream_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]

    def start(self) -> None:
        """Begins to accept."""
        self._run(self._accept)

    def close(self) -> None:
        """Closes everything and waits for its threads."""
        self._closing.set()
        for thread in self._threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive(), "a thread of the TLS front does not end"
        self._listener.close()

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, name="tls", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """One connection. A client that speaks no TLS is hung up on."""
        client.settimeout(DEADLINE_SECONDS)
        with (
            contextlib.suppress(OSError),
            client,
            self._context.wrap_socket(client, server_side=True) as near,
            socket.create_connection((HOST, self._upstream_port), DEADLINE_SECONDS) as far,
        ):
            while not self._closing.is_set():
                ready = [near] if near.pending() else select.select([near, far], [], [], 0.05)[0]
                for source, sink in ((near, far), (far, near)):
                    if source not in ready:
                        continue
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)
