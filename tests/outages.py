"""One outage: the fault, the load it is under, and what is said of every answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.outage_load import COMMAND_DEADLINE, NOTICED, RECOVERY, SLOW_MACHINE, Kind, Load, median, report, worst
from tests.redis_servers import RedisServer
from tests.waiting import eventually, until

SERVE, DIRECT, BYPASS = Kind("serve"), Kind("direct", local=False), Kind("bypass", on_outage="bypass")
ALL = [SERVE, DIRECT, BYPASS]

FEW_MILLISECONDS = 0.005
"""What the request in the middle may take while the server is known to be down: this loop's own time."""

in_thread = asyncio.to_thread
"""What waits for processes waits beside the loop, so that the load goes on."""


@dataclass
class Outage:
    """One fault under load, from ``begun`` to ``ended``; every member knew of it from ``known`` on."""

    name: str
    load: Load
    begun: float
    known: float = 0.0
    ended: float = float("inf")
    recovered: float = 0.0

    async def is_known(self) -> None:
        """Waits until every member has noticed that the server cannot be asked."""
        await eventually(lambda: not any(member.shared.up for member in self.load.members), "everybody knows", NOTICED)
        self.known = self.load.now()

    async def is_over(self, seconds: float = RECOVERY) -> None:
        """Everything is as before, within ``seconds`` from now."""
        self.ended = self.load.now()
        self.recovered = await self.load.works(seconds)
        await self.load.agrees()

    def judge(self, *, most: float = COMMAND_DEADLINE + SLOW_MACHINE, usual: float = FEW_MILLISECONDS) -> None:
        """Every answer was right, none took longer than ``most``, and once it was known they took ``usual``."""
        load = self.load
        during, after = load.since(self.begun, self.ended), load.since(self.ended)
        known = load.since(self.known or self.begun, self.ended)
        before = [sample for sample in load.samples if sample.kind == "http" and sample.began < self.begun]
        changes = [*load.since(self.begun, kind="invalidate"), *load.since(self.begun, kind="set")]
        report(
            self.name,
            {
                "requests": len(during),
                "median before ms": round(median(before) * 1e3, 2),
                "worst before ms": round(worst(before) * 1e3, 1),
                "worst ms": round(worst([*during, *after]) * 1e3, 1),
                "median ms": round(median(known) * 1e3, 2),
                "worst get ms": round(worst(load.since(self.begun, kind="get")) * 1e3, 1),
                "worst change ms": round(worst(changes) * 1e3, 1),
                "known after ms": round((self.known - self.begun) * 1e3) if self.known else None,
                "recovered after ms": round(self.recovered * 1e3),
                "longest stall of the loop ms": round(load.stall * 1e3, 1),
                "faults": str({key: number for key, number in load.faults().items() if number}),
            },
        )
        load.right()
        most += load.stall
        late = [sample for sample in load.samples if sample.began >= self.begun and sample.seconds >= most]
        assert not late, f"{len(late)} of {len(load.samples)} took too long: " + "\n".join(map(str, late[:5]))
        assert median(known) < usual


@asynccontextmanager
async def outage(name: str, url: str, *kinds: Kind, **settings: Any) -> AsyncIterator[Outage]:
    """A load that works, at the moment before the fault."""
    async with Load(url, kinds or ALL, **settings) as load:
        await load.works()
        await load.more(300)
        yield Outage(name, load, load.now())


@dataclass(frozen=True)
class Fault:
    """How a server fails, and how it comes back."""

    begin: Callable[[RedisServer], object]
    end: Callable[[RedisServer], object]
    trouble: str
    """What ``SharedStats.trouble`` says meanwhile."""
    forgets: bool = True
    """Whether the server has lost everything."""


def shut_down(server: RedisServer) -> None:
    with contextlib.suppress(ConnectionError):
        server.command("SHUTDOWN", "NOSAVE")
    until(lambda: not server.is_alive, "the server has ended")


FAULTS = {
    "stopped": Fault(shut_down, RedisServer.start, "refused"),
    "killed": Fault(RedisServer.kill, RedisServer.start, "refused"),
    "paused": Fault(RedisServer.pause, RedisServer.resume, "not answer", forgets=False),
}
