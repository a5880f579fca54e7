"""A constant load on caches that share a server, which checks and times every answer while the server fails.

    async with Load(url, members=MEMBERS) as load:
        await load.works()
        begun = load.now()
        ...                                  # the fault
        await load.more(300)
        load.report("killed", load.since(begun))

Each :class:`Member` stands for a process: a ``Cache`` of its own with a middleware of its own. All forward to one
origin, whose answer to each path is its version. Some tasks request the paths; one makes versions new and invalidates
the old; one sets values, others get them. Everything that must not happen is noted with the sample it happened in:

* an exception, a status, a body or value of something else;
* a body older than an invalidation that this process made, or has applied, or (``local=False``) any acknowledged one;
* a value older than one that this process has set, or (``local=False``) any that the server has taken.

The load never waits for time to pass, but for its pace: between two requests of one task are some milliseconds.
"""

import asyncio
import itertools
import json
import os
import statistics
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from hotplate import Cache, CacheMiddleware
from hotplate.asgi import Receive, Scope, Send
from hotplate.cache import SharedStats
from tests.driver import call
from tests.waiting import eventually

COMMAND_DEADLINE = 0.050
"""``command_timeout``, as it is by default."""

SLOW_MACHINE = 0.100
"""How much longer than the deadline the worst request may take: for a loop that does not get its turn."""

RECOVERY = 2.0
"""How long after the end of a fault everything is as before."""

PACE = 0.004
"""Seconds between two requests of one task."""

TICK = 0.005
"""How often it is looked whether this loop gets its turn."""

NOTICED = 10.0
"""By then everybody knows of a fault, or has written what it loaded."""

STUCK = 5.0
"""A request that takes longer will not end."""

SETTLED = 0.1
"""What a member says it has applied, it has told its memory this much later at the latest."""

PATHS = [f"/item/{number}" for number in range(20)]
KEYS = [f"value-{number}" for number in range(5)]

_prefixes = itertools.count()
_asked = itertools.count()


@dataclass
class Sample:
    """One request, get, set or invalidation."""

    member: str
    kind: str
    """``http``, ``get``, ``set`` or ``invalidate``."""
    target: str
    began: float
    seconds: float = 0.0
    outcome: str = "exception"
    """What ``Cache-Status`` says, whether there was a value, whether the server was told."""
    wrong: str | None = None
    """What must not be."""

    @property
    def hit(self) -> bool:
        return "; hit" in self.outcome


@dataclass(frozen=True)
class Kind:
    """What one member is like: settings of its ``Cache``."""

    name: str
    local: bool = True
    on_outage: str = "serve-local"


@dataclass
class Written:
    """The versions of one path or value, and what is known about who has to have them."""

    version: int = 1
    by_member: dict[str, int] = field(default_factory=dict)
    """The newest that was invalidated for, or set, by each member."""
    acknowledged: int = 0
    """The newest that the server has been told of."""
    records: list[tuple[int, int, int]] = field(default_factory=list)
    """Version, and the epoch and position of the record that made the one before untrue."""

    def told(self, member: str, version: int, acknowledged: bool) -> None:
        """A member knows of a version, and the server perhaps too."""
        self.by_member[member] = max(version, self.by_member.get(member, 1))
        if acknowledged:
            self.acknowledged = max(version, self.acknowledged)


class Member:
    """One process's cache, with what it was seen to know."""

    def __init__(self, kind: Kind, url: str, origin: "Load", **settings: Any) -> None:
        self.name = kind.name
        self.local = kind.local
        on_outage: Any = kind.on_outage
        self.cache = Cache(url, local=kind.local, on_outage=on_outage, **settings)
        self.app = CacheMiddleware(origin.answer, cache=self.cache, ttl=30)
        self._applied: deque[tuple[float, int, int]] = deque()
        self._settled = (0, 0)

    @property
    def shared(self) -> SharedStats:
        shared = self.cache.shared_stats()
        assert shared is not None
        return shared

    @property
    def works(self) -> bool:
        shared = self.shared
        return shared.up and shared.certain

    def applied(self, now: float) -> tuple[int, int]:
        """Epoch and position that it surely has applied to its memory."""
        shared = self.shared
        self._applied.append((now, shared.epoch, shared.position))
        while self._applied[0][0] < now - SETTLED:
            _, *settled = self._applied.popleft()
            self._settled = (settled[0], settled[1])
        return self._settled


class Load:
    """The members under load, from ``async with`` to its end."""

    def __init__(self, url: str, members: Sequence[Kind], *, tasks: int = 8, **settings: Any) -> None:
        settings.setdefault("prefix", f"outage-{os.getpid()}-{next(_prefixes)}")
        self.settings = settings
        self.members = [Member(kind, url, self, **settings) for kind in members]
        self.samples: list[Sample] = []
        self.runs: Counter[str] = Counter()
        """How often the application has run, by path."""
        self.changing = True
        """Whether versions are made new and values set."""
        self.paths = {path: Written() for path in PATHS}
        self.values = {key: Written() for key in KEYS}
        self.stall = 0.0
        """The longest time for which this loop or the tier's thread did not get its turn: the machine's doing."""
        self._count = tasks
        self._open: dict[int, Sample] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def __getitem__(self, name: str) -> Member:
        (member,) = (member for member in self.members if member.name == name)
        return member

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application: the version of the path, as it is when the request comes."""
        path: str = scope["path"]
        self.runs[path] += 1
        written = self.paths.get(path)
        body = f"{path} {0 if written is None else written.version}".encode()
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": body})

    # --- The life of a load

    async def __aenter__(self) -> "Load":
        for number in range(self._count):
            self._begin(self._request(number))
        for member in self.members:
            self._begin(self._get(member))
        self._begin(self._invalidate())
        self._begin(self._set())
        self._begin(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        if error is None:
            for one in ended:
                if isinstance(one, Exception):
                    raise one
            self.right()

    def _begin(self, forever: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(forever))

    def now(self) -> float:
        """A place among the samples, for ``since``. A load that has broken is told here too."""
        for task in self._tasks:
            if task.done():
                task.result()
        return time.monotonic()

    def since(self, begun: float, ended: float = float("inf"), kind: str = "http") -> list[Sample]:
        """The samples of one kind that were begun between two moments."""
        return [sample for sample in self.samples if begun <= sample.began < ended and sample.kind == kind]

    async def more(self, number: int, member: str | None = None) -> None:
        """Returns when so many more requests are answered, by one member or by all together."""
        begun = self.now()

        def count() -> int:
            return sum(1 for sample in self.since(begun) if member in (None, sample.member))

        await eventually(lambda: count() >= number, f"{number} more requests", 20.0)

    def right(self) -> None:
        """Fails if anything was wrong so far."""
        wrong = [sample for sample in self.samples if sample.wrong]
        assert not wrong, f"{len(wrong)} of {len(self.samples)} answers are wrong: " + "\n".join(map(str, wrong[:5]))

    def faults(self) -> Counter[str]:
        """Calls without an answer, of all members."""
        return sum((Counter(member.shared.faults) for member in self.members), Counter())

    # --- What it expects

    async def works(self, seconds: float = 10.0) -> float:
        """Waits until every member works and finds in the server what another has loaded; says how long that took."""
        certain = await eventually(
            lambda: all(member.works for member in self.members), lambda: self.say("up and certain"), seconds
        )
        shares = await eventually(
            lambda: self._shares(f"/probe/{time.monotonic_ns()}"),
            lambda: self.say("what one loads, others find"),
            seconds - certain,
        )
        return certain + shares

    async def get(self, member: Member, path: str) -> bytes:
        """One more request, which ends."""
        response = await asyncio.wait_for(call("GET", path).run(member.app), STUCK)
        return response.body

    async def _shares(self, path: str) -> bool:
        first, *others = self.members
        stored = first.shared.stored
        await self.get(first, path)
        await eventually(lambda: first.shared.stored > stored or not first.works, "what was loaded is written", NOTICED)
        for member in others:
            await self.get(member, path)
        return self.runs[path] == 1

    def say(self, what: str) -> str:
        """What is waited for, and how every member is."""
        return what + ": " + "; ".join(f"{member.name}: {member.shared}" for member in self.members)

    async def agrees(self, seconds: float = RECOVERY) -> None:
        """Every member serves the newest version of every path and value, within the time given. Stops the changes."""
        self.changing = False
        await self.more(len(self.members))

        late: list[str] = []

        async def agree() -> bool:
            late.clear()
            for member in self.members:
                for path, written in self.paths.items():
                    body = await self.get(member, path)
                    if body != f"{path} {written.version}".encode():
                        late.append(f"{member.name}: {body!r} instead of version {written.version}")
                for key, written in self.values.items():
                    value = await member.cache.get(key)
                    if value not in (None, f"{key} {written.version}".encode()):
                        late.append(f"{member.name}: {value!r} instead of {written.version}")
            return not late

        await eventually(agree, lambda: self.say(f"nothing is stale: {late}"), seconds)

    # --- The tasks

    async def _watch(self) -> None:
        in_line = _in_line()
        while True:
            began, used = time.monotonic(), time.thread_time()
            await asyncio.sleep(TICK)
            now = time.monotonic()
            used, stall, was_in_line = time.thread_time() - used, now - began - TICK, in_line
            in_line = _in_line()
            self.stall = max(self.stall, stall, in_line - was_in_line)
            assert used < COMMAND_DEADLINE + SLOW_MACHINE, f"something kept the loop busy for {used} s"
            stuck = [asked for asked in self._open.values() if now - asked.began > STUCK + stall]
            assert not stuck, self.say(f"these do not end: {stuck}")

    @contextmanager
    def _ask(self, member: Member, kind: str, target: str) -> Iterator[Sample]:
        """One question, which becomes a sample when it is answered. The asker fills in what came of it."""
        place, sample = next(_asked), Sample(member.name, kind, target, time.monotonic())
        self._open[place] = sample
        try:
            yield sample
        except Exception as error:
            sample.wrong = repr(error)
        finally:
            del self._open[place]
        sample.seconds = time.monotonic() - sample.began
        self.samples.append(sample)

    async def _request(self, number: int) -> None:
        member = self.members[number % len(self.members)]
        # Each task at another place, and with another step, so that members meet at each path in any order.
        place, step = number * 3, (1, 3, 7, 9)[number % 4]
        while True:
            path = PATHS[place % len(PATHS)]
            place += step
            least = self._least(member, self.paths[path])
            with self._ask(member, "http", path) as sample:
                response = await call("GET", path).run(member.app)
                sample.outcome = response["cache-status"]
                sample.wrong = self._judge(path, response.body, least, self.paths[path])
                if response.status != 200:
                    sample.wrong = f"status {response.status}"
            await asyncio.sleep(PACE)

    def _least(self, member: Member, written: Written) -> int:
        """The oldest version that may be served to a request which begins now."""
        least = written.by_member.get(member.name, 1)
        if not member.local:
            least = max(least, written.acknowledged)
        epoch, position = member.applied(time.monotonic())
        applied = (version for version, of, at in written.records if of < epoch or (of == epoch and at <= position))
        return max(least, *applied, 1)

    def _judge(self, name: str, body: bytes, least: int, written: Written) -> str | None:
        said, _, version = body.decode(errors="replace").rpartition(" ")
        if said != name or not version.isdecimal():
            return f"{body!r} is of something else"
        if int(version) < least:
            return f"version {version} was untrue before the request: {least} at least"
        if int(version) > written.version:
            return f"version {version} does not exist"
        return None

    async def _get(self, member: Member) -> None:
        for key in itertools.cycle(KEYS):
            least = self._least(member, self.values[key])
            with self._ask(member, "get", key) as sample:
                value = await member.cache.get(key)
                sample.outcome = "nothing" if value is None else "value; hit"
                sample.wrong = None if value is None else self._judge(key, value, least, self.values[key])
            await asyncio.sleep(PACE)

    async def _set(self) -> None:
        for key, member in zip(itertools.cycle(KEYS), itertools.cycle(self.members), strict=False):
            await self._may_change()
            written = self.values[key]
            written.version += 1
            with self._ask(member, "set", key) as sample:
                stored = await member.cache.set(key, f"{key} {written.version}".encode(), ttl=30)
                written.told(member.name, written.version, stored)
                sample.outcome = "stored" if stored else "not stored"
            await asyncio.sleep(PACE * 5)

    async def _invalidate(self) -> None:
        for path, member in zip(itertools.cycle(PATHS), itertools.cycle(self.members), strict=False):
            await self._may_change()
            await self.invalidate(path, member)
            await asyncio.sleep(PACE * 5)

    async def invalidate(self, path: str, member: Member) -> int:
        """Makes a new version of a path and tells one member; returns what the cache returns."""
        written = self.paths[path]
        written.version += 1
        version, before, position = written.version, member.shared, 0
        with self._ask(member, "invalidate", path) as sample:
            position = await member.cache.invalidate(paths=[path])
            written.told(member.name, version, position > 0)
            sample.outcome = "acknowledged" if position else "kept"
        # A position says nothing without its epoch, and one that does not follow is of an epoch not seen yet.
        if before.epoch == member.shared.epoch and position > before.position:
            written.records.append((version, before.epoch, position))
        return position

    async def _may_change(self) -> None:
        while not self.changing:  # noqa: ASYNC110 - asked for at its pace, as everything here
            await asyncio.sleep(PACE)


def _in_line() -> float:
    """Seconds for which the tier's thread stood in line for a processor; 0 where the system does not tell."""
    waited = 0.0
    for thread in Path("/proc/self/task").glob("*"):
        # A thread may end meanwhile.
        with suppress(OSError):
            if (thread / "comm").read_text() == "hotplate\n":
                waited += int((thread / "schedstat").read_text().split()[1]) / 1e9
    return waited


# --- Figures


def worst(samples: Iterable[Sample]) -> float:
    """Seconds of the slowest."""
    return max((sample.seconds for sample in samples), default=0.0)


def median(samples: Iterable[Sample]) -> float:
    """Seconds of the one in the middle."""
    return statistics.median([sample.seconds for sample in samples] or [0.0])


def report(fault: str, figures: Mapping[str, float | int | str | None]) -> None:
    """Adds a line to the file that ``HOTPLATE_OUTAGE_REPORT`` names, for the table in ``docs/outages.md``."""
    path = os.environ.get("HOTPLATE_OUTAGE_REPORT")
    if path:
        with Path(path).open("a") as lines:
            lines.write(json.dumps({"fault": fault, **figures}) + "\n")
