"""What the cache has in the server: its log, its processes, how many names; and what else is there."""

import time
from collections.abc import Iterator

from hotplate.cli.doctor.address import Address
from hotplate.cli.doctor.reaching import Reached
from hotplate.cli.doctor.resp import Answer, Refused
from hotplate.cli.figures import count_text
from hotplate.cli.findings import Finding

__all__ = ["about_names"]

LONGEST_SECONDS = 2.0
"""For how long names are counted."""

_GLOB = str.maketrans({character: f"\\{character}" for character in "*?[]^\\"})


def about_names(address: Address, servers: list[Reached]) -> Iterator[Finding]:
    """Looks at the prefix: whether it is one's own, and what stands under it."""
    if not address.has_prefix:
        text = f"none was named, so it is {address.prefix!r}: two programs on one server would be one cache"
        yield Finding("warn", "prefix", text, "name one for each program: Cache(url, prefix='shop'), --prefix shop")
    yield _about_log(address, servers)
    yield _about_count(address, servers)


def _about_log(address: Address, servers: list[Reached]) -> Finding:
    head = _ask(servers, "GET", f"{address.prefix}:{{log}}:head")
    told = _ask(servers, "HLEN", f"{address.prefix}:{{reports}}:told")
    if isinstance(head, Refused) and head.code == "WRONGTYPE":
        text = f"{address.prefix}:{{log}}:head is not hotplate's: another program writes under this prefix"
        return Finding("fail", "log", text, "choose another prefix")
    if isinstance(head, Refused):
        return Finding("fail", "log", f"cannot be read: {head}")
    if head is None:
        return Finding("ok", "log", f"there is none: no cache with the prefix {address.prefix} has been here lately")
    position = str(head).partition(":")[2]
    alive = f", {count_text(told)} processes" if isinstance(told, int) and told else ""
    return Finding("ok", "log", f"at position {position}{alive}")


def _about_count(address: Address, servers: list[Reached]) -> Finding:
    own = others = 0
    is_whole = True
    deadline = time.monotonic() + LONGEST_SECONDS
    pattern = f"{address.prefix.translate(_GLOB)}:*"
    for server in servers:
        try:
            size = int(server.connection.command("DBSIZE"))
            counted, ended = _count(server, pattern, deadline)
        except Refused:
            return Finding("ok", "names", "not counted: the user may not (SCAN, DBSIZE), and a cache need not")
        own += counted
        others += max(0, size - counted) if ended else 0
        is_whole = is_whole and ended
    least = "" if is_whole else "at least "
    text = f"{least}{count_text(own)} under {address.prefix}:*"
    if is_whole and others:
        text += f"; {count_text(others)} others in the same database, which make room for each other"
    return Finding("ok", "names", text)


def _count(server: Reached, pattern: str, deadline: float) -> tuple[int, bool]:
    cursor, count = "0", 0
    while True:
        cursor, names = server.connection.command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        count += len(names)
        if cursor == "0":
            return count, True
        if time.monotonic() >= deadline:
            return count, False


def _ask(servers: list[Reached], *command: str) -> Answer:
    """The answer of the server that has a name, in a cluster of the one that owns it; or what it refused."""
    answer: Answer = None
    for server in servers:
        try:
            return server.connection.command(*command)
        except Refused as refused:  # noqa: PERF203 - a handful of servers
            answer = refused
            if refused.code not in ("MOVED", "ASK"):
                return refused
    return answer
