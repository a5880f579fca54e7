"""What the user of the cache may do: every command that a cache sends is tried, on names of its own.

They stand beside the log of the cache's prefix, live for seconds, and are removed. What is not allowed is found as the
server says it, also inside scripts, where the same commands are judged by the same rights.
"""

import secrets
from collections.abc import Iterator

from hotplate.cli.doctor.address import Address
from hotplate.cli.doctor.reaching import Reached, login
from hotplate.cli.doctor.resp import Connection, Refused
from hotplate.cli.findings import Finding

__all__ = ["COMMANDS", "about_rights", "acl_line"]

COMMANDS = (
    *("del", "eval", "evalsha", "exists", "expire", "get", "getrange", "hdel", "hget", "hgetall", "hlen", "hmget"),
    *("hset", "incrby", "mget", "pexpire", "ping", "pttl", "publish", "set", "subscribe", "time", "type", "unlink"),
    *("xadd", "xrange", "xread", "xrevrange"),
)
"""Every command that a cache sends, or runs in a script."""

OF_DATABASES = ("select",)
OF_CLUSTERS = ("cluster|slots",)

_SECONDS = 5
_SCRIPT = "#!lua flags=allow-oom\nreturn 1"


def acl_line(address: Address, user: str = "hotplate") -> str:
    """The command that makes a user who may do what a cache of this prefix does, and nothing else."""
    more = OF_CLUSTERS if address.kind == "cluster" else OF_DATABASES if address.db else ()
    rights = " ".join(f"+{name}" for name in (*COMMANDS, *more))
    return f"ACL SETUSER {user} on >PASSWORD ~{address.prefix}:* &{address.prefix}:notices {rights}"


def about_rights(address: Address, servers: list[Reached]) -> Iterator[Finding]:
    """Tries every command on the server that has the log, and says which are not allowed."""
    base = f"{address.prefix}:{{log}}:doctor-{secrets.token_hex(8)}"
    server = _owner(servers, base)
    denied: dict[str, str] = {}
    trouble: dict[str, str] = {}
    for command in _trial(address, base):
        try:
            server.connection.command(*command)
        except Refused as refused:  # noqa: PERF203 - a few dozen commands
            _sort(str(command[0]).lower(), refused, denied, trouble)
    _try_subscribing(address, server, denied)
    user = address.user or "default"
    if trouble:
        code, words = next(iter(trouble.items()))
        yield Finding("fail", "writes", f"refused: {words}", _REMEDIES.get(code, "look at the server's log"))
    if not denied:
        yield Finding("ok", "rights", f"the user {user} may do what a cache does, under {address.prefix}:*")
        return
    words = next(iter(denied.values()))
    text = f"the user {user} may not {', '.join(sorted(denied))}: {words}"
    yield Finding("fail", "rights", text, acl_line(address, address.user or "hotplate"))


_REMEDIES = {
    "OOM": "the memory is full: give it more, or CONFIG SET maxmemory-policy allkeys-lru",
    "MISCONF": "the disk is full or fails: see above",
    "READONLY": "it is a replica: write its master's address, or redis+sentinel://",
    "NOREPLICAS": "too few replicas follow (min-replicas-to-write)",
    "CLUSTERDOWN": "the cluster is not whole: mend it",
}


def _trial(address: Address, base: str) -> Iterator[tuple[str | int, ...]]:
    text, table, stream, counter = base, f"{base}:h", f"{base}:s", f"{base}:c"
    yield "SET", text, "value", "PX", _SECONDS * 1000
    yield from ((name, text) for name in ("GET", "MGET", "TYPE", "PTTL", "EXISTS"))
    yield "GETRANGE", text, 0, 1
    yield "INCRBY", counter, 1
    yield "PEXPIRE", counter, _SECONDS * 1000
    yield "HSET", table, "field", "value"
    yield "EXPIRE", table, _SECONDS
    yield "HGET", table, "field"
    yield "HMGET", table, "field"
    yield "HGETALL", table
    yield "HLEN", table
    yield "HDEL", table, "field"
    yield "XADD", stream, "1-1", "field", "value"
    yield "PEXPIRE", stream, _SECONDS * 1000
    yield "XREAD", "COUNT", 1, "STREAMS", stream, "0-0"
    yield "XRANGE", stream, "-", "+"
    yield "XREVRANGE", stream, "+", "-"
    yield ("TIME",)
    yield ("PING",)
    yield "EVAL", _SCRIPT, 1, text
    yield "EVALSHA", "0" * 40, 1, text
    # Of a length that no notice has: whoever hears it passes over it.
    yield "PUBLISH", f"{address.prefix}:notices", "doctor"
    yield "DEL", table
    yield "UNLINK", text, stream, counter


def _sort(command: str, refused: Refused, denied: dict[str, str], trouble: dict[str, str]) -> None:
    words = str(refused)
    if refused.code == "NOSCRIPT":
        return  # allowed, and unknown as it should be
    if refused.code == "NOPERM" or "unknown command" in words:
        denied[command] = words if refused.code == "NOPERM" else f"the server does not know {command} (renamed?)"
    elif "ACL failure" in words or "can't run this command" in words:
        denied[command] = words
    else:
        trouble.setdefault(refused.code, words)


def _owner(servers: list[Reached], name: str) -> Reached:
    """The server that has a name; in a cluster the one that does not point to another."""
    for server in servers if len(servers) > 1 else ():
        try:
            server.connection.command("GET", name)
        except Refused as refused:
            if refused.code in ("MOVED", "ASK"):
                continue
        return server
    return servers[0]


def _try_subscribing(address: Address, server: Reached, denied: dict[str, str]) -> None:
    # A connection of its own: one that listens takes no other commands.
    place = address.path if server.host is None else (server.host, int(server.name.rpartition(":")[2]))
    listener: Connection = login(address, place).connection
    try:
        listener.command("SUBSCRIBE", f"{address.prefix}:notices")
    except Refused as refused:
        _sort("subscribe", refused, denied, {})
    finally:
        listener.close()
