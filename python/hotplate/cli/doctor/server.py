"""What each server says of itself: version, memory and what it evicts, disk, connections, latency, clock."""

import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

from hotplate.cli.doctor.address import Address
from hotplate.cli.doctor.reaching import NEEDED, Reached, fields_of, is_here
from hotplate.cli.doctor.resp import Refused
from hotplate.cli.figures import bytes_text, count_text, seconds_text
from hotplate.cli.findings import Finding

__all__ = ["about_memory", "about_servers"]

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}

ROUND_TRIPS = 50

CLOCK_SECONDS = 1.0
"""How far a server's clock may be from this machine's."""

Information = Mapping[str, str]


def about_servers(address: Address, servers: list[Reached]) -> Iterator[Finding]:
    """Asks every server, and says of several what is not well with each, or once that all are well."""
    asked = [_information(server) for server in servers]
    questions: list[Callable[[Address, Reached, Information], Finding | None]] = [
        _about_version,
        _about_password,
        _about_latency,
        about_memory,
        _about_disk,
        _about_clients,
        _about_clock,
    ]
    for question in questions:
        found = [question(address, server, known) for server, known in zip(servers, asked, strict=True)]
        yield from _together(servers, found)


def _together(servers: list[Reached], found: list[Finding | None]) -> Iterator[Finding]:
    if len(servers) == 1:
        yield from (one for one in found if one is not None)
        return
    unwell = [(server, one) for server, one in zip(servers, found, strict=True) if one and one.level != "ok"]
    for server, one in unwell:
        yield Finding(one.level, one.subject, f"{server.name}: {one.text}", one.remedy)
    well = [one for one in found if one is not None]
    if well and not unwell:
        yield Finding(
            "ok", well[0].subject, f"{servers[0].name}: {well[0].text}; the other {len(servers) - 1} are well too"
        )


def _information(server: Reached) -> Information:
    try:
        return fields_of(str(server.connection.command("INFO")))
    except Refused:
        return {}


def _about_version(_address: Address, server: Reached, _known: Information) -> Finding:
    product, version = str(server.hello.get("server", "?")), str(server.hello.get("version", "?"))
    numbers = re.match(r"(\d+)\.(\d+)", version)
    name = {"redis": "Redis", "valkey": "Valkey"}.get(product, product)
    text = f"{name} {version}, {server.hello.get('mode', '?')}, RESP{server.hello.get('proto', '?')}"
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST.get(product, OLDEST["redis"]):
        return Finding("fail", "server", f"{text}: too old", NEEDED)
    return Finding("ok", "server", text)


def _about_password(address: Address, server: Reached, _known: Information) -> Finding | None:
    if address.password is not None or is_here(server.host):
        return None
    text = "none is asked for: whoever reaches the server can read and change the cache"
    return Finding("warn", "password", text, "give the cache a user of its own (docs/cli.md has the ACL line)")


def _about_latency(address: Address, server: Reached, _known: Information) -> Finding:
    server.connection.command("PING")
    took = []
    for _ in range(ROUND_TRIPS):
        begun = time.perf_counter()
        server.connection.command("PING")
        took.append(time.perf_counter() - begun)
    median, longest, limit = statistics.median(took), max(took), address.command_seconds
    text = (
        f"{seconds_text(median)} typically, {seconds_text(longest)} at most in {ROUND_TRIPS} round trips "
        f"(a command may take {seconds_text(limit)})"
    )
    remedy = "put the server nearer, or give commands more time by command_timeout="
    if median > limit:
        return Finding("fail", "latency", text, remedy)
    if median > limit / 5 or longest > limit:
        return Finding("warn", "latency", text, remedy)
    return Finding("ok", "latency", text)


def about_memory(_address: Address, _server: Reached, known: Information) -> Finding:
    """Whether the server forgets what is old when its memory is full."""
    if "maxmemory" not in known:
        return _untold("memory")
    limit, used = int(known["maxmemory"]), int(known.get("used_memory", "0"))
    policy = known.get("maxmemory_policy", "?")
    remedy = "CONFIG SET maxmemory 1gb, and maxmemory-policy allkeys-lru"
    if not limit:
        text = f"no limit (maxmemory 0), {bytes_text(used)} used: the server grows until the machine has no more"
        return Finding("warn", "memory", text, remedy)
    evicted = count_text(_number(known, "evicted_keys"))
    text = f"{bytes_text(used)} of {bytes_text(limit)} used, policy {policy}, {evicted} evicted"
    if policy != "noeviction":
        return Finding("ok", "memory", text)
    remedy = "CONFIG SET maxmemory-policy allkeys-lru, so that what is old makes room"
    if used >= limit:
        return Finding("fail", "memory", f"{text}: full, nothing more is stored", remedy)
    return Finding("warn", "memory", f"{text}: when it is full, nothing more is stored", remedy)


def _about_disk(_address: Address, _server: Reached, known: Information) -> Finding:
    if "aof_enabled" not in known:
        return _untold("disk")
    if known.get("loading") == "1":
        return Finding("warn", "disk", "the server is loading its data: it answers nothing else yet", "wait")
    if known.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            "fail", "disk", "the last write to the append-only file failed: writes are refused", "free the disk"
        )
    if known.get("rdb_last_bgsave_status", "ok") != "ok":
        text = "the last snapshot failed: the server may refuse writes until one succeeds (MISCONF)"
        return Finding("warn", "disk", text, "free the disk, or CONFIG SET save '' where nothing else needs snapshots")
    kept = "append-only file" if known["aof_enabled"] == "1" else "at most snapshots"
    return Finding("ok", "disk", f"{kept}; a cache needs neither: after a restart without data it begins anew")


def _about_clients(_address: Address, _server: Reached, known: Information) -> Finding | None:
    connected, most = _number(known, "connected_clients"), _number(known, "maxclients")
    if not most:
        return None
    text = f"{count_text(connected)} of {count_text(most)}; each process of a cache has three"
    if connected > 0.8 * most:
        return Finding("warn", "connections", text, "CONFIG SET maxclients to more, or look who holds them")
    return Finding("ok", "connections", text)


def _about_clock(_address: Address, server: Reached, _known: Information) -> Finding:
    best, difference = float("inf"), 0.0
    for _ in range(5):
        sent = time.time()
        try:
            seconds, micros = server.connection.command("TIME")
        except Refused:
            return Finding("ok", "clock", "not told: the user may not ask for the TIME by itself")
        received = time.time()
        if received - sent < best:
            best = received - sent
            difference = int(seconds) + int(micros) / 1e6 - (sent + received) / 2
    text = f"{seconds_text(abs(difference))} {'ahead of' if difference >= 0 else 'behind'} this machine's"
    if abs(difference) > CLOCK_SECONDS:
        remedy = "keep all clocks in step (NTP): each machine tells the age of a response by its own"
        return Finding("warn", "clock", text, remedy)
    return Finding("ok", "clock", text)


def _number(known: Information, name: str) -> int:
    text = known.get(name, "0")
    return int(text) if text.isdigit() else 0


def _untold(subject: str) -> Finding:
    return Finding("warn", subject, "not told: the user may not ask for INFO", "let it (+info), or ask as another user")
