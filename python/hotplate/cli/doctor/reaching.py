"""Connecting to the servers of a cache (one, by sentinels, all of a cluster), and what is found on the way."""

import ssl
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from hotplate.cli.doctor.address import Address
from hotplate.cli.doctor.resp import Connection, Garbled, Refused
from hotplate.cli.figures import seconds_text
from hotplate.cli.findings import Finding

__all__ = ["NEEDED", "Reached", "Unreached", "fields_of", "is_here", "login", "reach"]

PATIENCE_SECONDS = 5.0
"""How long anything may take: longer than a cache waits, so that what is slow can be told from what is away."""

NEEDED = "use Redis 7.0 or later, or Valkey 7.2 or later"

SLOTS = 16384


class Unreached(Exception):  # noqa: N818 - an end, with its finding
    """There is no way to the server."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Reached:
    """A server that answers: a connection in RESP3, and what ``HELLO`` said."""

    name: str
    host: str | None
    """``None`` by a Unix socket."""
    connection: Connection
    hello: dict[str, Any]


def is_here(host: str | None) -> bool:
    """Whether what is sent there stays on this machine."""
    return host is None or host in ("localhost", "::1") or host.startswith("127.")


def reach(address: Address, servers: list[Reached]) -> Iterator[Finding]:
    """Connects, and appends to ``servers``: the one, or every master of a cluster. ``Unreached`` where it cannot."""
    begun = time.monotonic()
    if address.kind == "sentinel":
        host, port = yield from _master(address)
        servers.append(login(address, (host, port)))
    elif address.kind == "cluster":
        yield from _cluster(address, servers)
    else:
        servers.append(login(address, address.path if address.kind == "socket" else address.hosts[0]))
    took = time.monotonic() - begun
    for server in servers if address.kind != "cluster" else ():
        _check_role(server)
    places = ", ".join(server.name for server in servers)
    if took > address.connect_seconds:
        text = (
            f"{places} took {seconds_text(took)}, longer than a cache waits ({seconds_text(address.connect_seconds)})"
        )
        yield Finding("fail", "connection", text, "give it more by connect_timeout=, or find out what is slow")
    else:
        yield Finding("ok", "connection", f"{places} in {seconds_text(took)}")
    yield _about_wire(servers[0])


def login(address: Address, place: tuple[str, int] | str) -> Reached:
    """A connection to one server, authenticated, in RESP3 and in the right database."""
    name = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
    connection = _open(address, place, name)
    try:
        auth = ("AUTH", address.user or "default", address.password) if address.password else ()
        hello = connection.command("HELLO", 3, *auth, "SETNAME", "hotplate-doctor")
        if address.db:
            connection.command("SELECT", address.db)
    except Refused as refused:
        connection.close()
        raise Unreached(_of_refusal(name, refused, address)) from None
    except (OSError, Garbled) as error:
        connection.close()
        raise Unreached(_of_silence(name, error, address)) from None
    if not isinstance(hello, dict):
        connection.close()
        raise Unreached(Finding("fail", "connection", f"{name} does not speak RESP3", NEEDED))
    return Reached(name, None if isinstance(place, str) else place[0], connection, hello)


def _open(address: Address, place: tuple[str, int] | str, name: str) -> Connection:
    try:
        return Connection.to(place, max(PATIENCE_SECONDS, address.connect_seconds), _tls(address))
    except (OSError, ValueError) as error:
        raise Unreached(_of_silence(name, error, address)) from None


def _tls(address: Address) -> ssl.SSLContext | None:
    if not address.is_encrypted:
        return None
    context = ssl.create_default_context(cafile=address.ca_file)
    if address.cert_file:
        context.load_cert_chain(address.cert_file, address.key_file)
    return context


def _of_silence(name: str, error: Exception, address: Address) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"{name} shows a certificate that is not trusted: {error.verify_message}"
        return Finding(
            "fail", "TLS", text, "name the authority that signed it by ca_file=, and the host as it is signed"
        )
    if isinstance(error, ssl.SSLError):
        text = f"{name}: no TLS ({error.reason or error})"
        return Finding("fail", "TLS", text, "if the server speaks none, write redis:// instead of rediss://")
    if isinstance(error, Garbled):
        return Finding(
            "fail", "connection", f"{name} does not answer as Redis does", "look at host and port of the URL"
        )
    if isinstance(error, TimeoutError):
        text = f"{name} does not answer within {PATIENCE_SECONDS:g} s"
        remedy = "look at the address, the firewall, and whether the server is stuck"
        if address.is_encrypted:
            remedy = "if the server speaks no TLS, write redis:// instead of rediss://; else " + remedy
        return Finding("fail", "connection", text, remedy)
    if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
        remedy = "" if address.is_encrypted else "if it speaks TLS only, write rediss:// instead of redis://"
        return Finding("fail", "connection", f"{name} hung up: {_words(error)}", remedy)
    return Finding("fail", "connection", f"{name}: {_words(error)}", "is the server running, and is that its address?")


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _of_refusal(name: str, refused: Refused, address: Address) -> Finding:
    # A server that does not know a command repeats what it was sent, the password too.
    if "unknown command" in str(refused):
        return Finding("fail", "server", f"{name} does not know HELLO: it is too old, or no Redis", NEEDED)
    words = str(refused) if not address.password or address.password not in str(refused) else refused.code
    remedies = {
        "NOAUTH": "write the password into the URL: redis://user:password@host:port/db",
        "WRONGPASS": "look at user and password; percent-encode what is special in them",
        "DENIED": "the server is in protected mode: give it a password, or bind it to an address",
        "NOPERM": "let the user of the cache do that (ACL SETUSER)",
        "LOADING": "wait until it has loaded its data",
        "NOPROTO": NEEDED,
    }
    return Finding("fail", "login", f"{name}: {words}", remedies.get(refused.code, ""))


def _check_role(server: Reached) -> None:
    mode, role = server.hello.get("mode"), server.hello.get("role")
    if mode == "cluster":
        text, remedy = "is a node of a cluster", "write redis+cluster:// in the URL, with some of its nodes"
    elif mode == "sentinel":
        text, remedy = "is a sentinel", "write redis+sentinel://host:port/name in the URL"
    elif role not in ("master", "primary"):
        text, remedy = f"is a {role}: it takes no writes", "write its master's address, or redis+sentinel://"
    else:
        return
    server.connection.close()
    raise Unreached(Finding("fail", "server", f"{server.name} {text}", remedy))


def _about_wire(server: Reached) -> Finding:
    wire = server.connection.tls
    if wire is None:
        if is_here(server.host):
            return Finding("ok", "TLS", "none: the connection stays on this machine")
        text = "none: whoever is on the network can read and change what is sent"
        return Finding("warn", "TLS", text, "write rediss:// where the server speaks TLS, or use encryption_keys=")
    certificate = wire.getpeercert() or {}
    cipher = (wire.cipher() or ("?",))[0]
    text = f"{wire.version()}, {cipher}"
    ends = certificate.get("notAfter")
    if not isinstance(ends, str):
        return Finding("ok", "TLS", text)
    days = (ssl.cert_time_to_seconds(ends) - time.time()) / 86_400
    text += f"; the certificate ends in {days:,.0f} days"
    return Finding("warn", "TLS", text, "renew it") if days < 14 else Finding("ok", "TLS", text)


# --- Sentinel --------------------------------------------------------------------------------------------------------


def _master(address: Address) -> Generator[Finding, None, tuple[str, int]]:
    """Where the sentinels say the master is, after what was found of them."""
    said: dict[str, tuple[str, int]] = {}
    silent: list[str] = []
    unknown: list[str] = []
    quorum = ""
    for place in address.hosts:
        name = f"{place[0]}:{place[1]}"
        try:
            connection = _open(address, place, name)
        except Unreached:
            silent.append(name)
            continue
        try:
            if address.sentinel_password:
                user = (address.sentinel_user,) if address.sentinel_user else ()
                connection.command("AUTH", *user, address.sentinel_password)
            answer = connection.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.path)
            if answer:
                said[name] = (str(answer[0]), int(answer[1]))
                quorum = quorum or _quorum(connection, address.path)
            else:
                unknown.append(name)
        except Refused as refused:
            finding = _of_refusal(name, refused, address)
            if "unknown command" in str(refused):
                finding = Finding("fail", "sentinel", f"{name} is no sentinel", "write redis:// in the URL")
            raise Unreached(finding) from None
        except (OSError, Garbled):
            silent.append(name)
        finally:
            connection.close()
    masters = set(said.values())
    if not masters:
        why = (
            f"{', '.join(unknown)} know no master {address.path!r}" if unknown else f"{', '.join(silent)} do not answer"
        )
        raise Unreached(Finding("fail", "sentinel", why, "look at the sentinels' addresses and the name after them"))
    host, port = next(iter(said.values()))
    text = f"{len(said)} of {len(address.hosts)} answer; the master {address.path} is {host}:{port}"
    if len(masters) > 1:
        text += f", and others say {', '.join(f'{h}:{p}' for h, p in masters - {(host, port)})}"
        yield Finding("fail", "sentinel", text, "wait until they agree (a failover is going on), or mend them")
    elif silent or unknown:
        yield Finding(
            "warn", "sentinel", f"{text}; not {', '.join(silent + unknown)}", "start those, or leave them out"
        )
    elif quorum:
        yield Finding(
            "warn", "sentinel", f"{text}; {quorum}", "a failover could not be agreed on: start more sentinels"
        )
    else:
        yield Finding("ok", "sentinel", text)
    return host, port


def _quorum(connection: Connection, service: str) -> str:
    try:
        connection.command("SENTINEL", "CKQUORUM", service)
    except Refused as refused:
        return str(refused) if refused.code == "NOQUORUM" else ""
    return ""


# --- Cluster ---------------------------------------------------------------------------------------------------------


def _cluster(address: Address, servers: list[Reached]) -> Iterator[Finding]:
    first = _first_node(address)
    try:
        if first.hello.get("mode") != "cluster":
            raise Unreached(Finding("fail", "cluster", f"{first.name} is in no cluster", "write redis:// in the URL"))
        information = fields_of(str(first.connection.command("CLUSTER", "INFO")))
        ranges = first.connection.command("CLUSTER", "SLOTS")
    finally:
        first.connection.close()
    masters: dict[tuple[str, int], int] = {}
    for start, end, owner, *_replicas in ranges:
        # A node that does not know its own name leaves it out: it is the one that was asked.
        place = (str(owner[0] or first.host), int(owner[1]))
        masters[place] = masters.get(place, 0) + int(end) - int(start) + 1
    servers.extend(login(address, place) for place in masters)
    assigned = sum(masters.values())
    text = f"{len(masters)} masters, {assigned:,} of {SLOTS:,} slots, state {information.get('cluster_state', '?')}"
    if assigned == SLOTS and information.get("cluster_state") == "ok":
        yield Finding("ok", "cluster", text)
    else:
        yield Finding("fail", "cluster", text, "what belongs to the other slots is not cached: mend the cluster")


def _first_node(address: Address) -> Reached:
    last: Unreached | None = None
    for place in address.hosts:
        try:
            return login(address, place)
        except Unreached as end:  # noqa: PERF203 - a handful of nodes
            last = end
    assert last is not None, "a cluster has a node"
    raise last


def fields_of(information: str) -> dict[str, str]:
    """The lines of ``INFO`` and ``CLUSTER INFO`` by their names."""
    pairs = (line.partition(":") for line in information.splitlines() if ":" in line and not line.startswith("#"))
    return {name: value.strip() for name, _, value in pairs}
