"""The admin API with several processes on one Redis: real uvicorn workers. Whichever is asked, it speaks for all."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.admin_site import MOUNT, TOKEN
from tests.redis_servers import RedisServer
from tests.servers import Answer, Connection, Server, serving_process
from tests.waiting import DEADLINE_SECONDS, eventually

pytestmark = pytest.mark.asyncio


@dataclass
class Workers:
    """A connection to each process of one uvicorn, and how many requests were sent that are not the API's."""

    connections: dict[int, Connection]
    asked: int
    value: Path

    async def get(self, process: int, target: str) -> Answer:
        """The answer of this process to one of its users."""
        self.asked += 1
        connection = self.connections[process]
        await connection.send("GET", target)
        return await connection.answer()

    async def has(self, process: int, version: int) -> bool:
        return (await self.get(process, "/value/a")).body == str(version).encode()

    async def told(self, process: int, method: str, target: str, body: object = None) -> Any:
        """What this process tells who has the token."""
        connection = self.connections[process]
        octets = b"" if body is None else json.dumps(body).encode()
        headers = [("Authorization", f"Bearer {TOKEN}"), ("Content-Type", "application/json")]
        await connection.send(method, target, headers, octets)
        answer = await connection.answer()
        assert (answer.status, int(answer["x-pid"])) == (200, process), answer
        return json.loads(answer.body)

    def __iter__(self) -> Iterator[int]:
        return iter(self.connections)


@asynccontextmanager
async def workers(redis: RedisServer, directory: Path, number: int) -> AsyncIterator[Workers]:
    """So many processes. The system chooses who takes a connection: more are made until all have one."""
    value = directory / "value"
    value.write_text("0")
    settings = {"ADMIN_PROCESS_URL": redis.url, "ADMIN_PROCESS_VALUE": str(value)}
    options = ["--workers", str(number), "--timeout-keep-alive", "120"]
    async with serving_process("tests.admin_process:app", settings, options) as server, AsyncExitStack() as stack:
        found = Workers({}, 0, value)
        await asyncio.wait_for(_connect(found, server, stack, number), DEADLINE_SECONDS)
        yield found


async def _connect(found: Workers, server: Server, stack: AsyncExitStack, number: int) -> None:
    while len(found.connections) < number:
        opened = [await stack.enter_async_context(server.connection()) for _ in range(4 * number)]
        for connection in opened:
            await connection.send("GET", "/pid")
        for connection in opened:
            answer = await connection.answer()
            found.connections.setdefault(int(answer["x-pid"]), connection)
        found.asked += len(opened)


async def test_every_process_tells_the_sum_of_all(redis: RedisServer, tmp_path: Path) -> None:
    async with workers(redis, tmp_path, 2) as both:
        for number, process in enumerate(both, start=1):
            for _ in range(10 * number):
                await both.get(process, f"/value/{number}")
        # What others have counted is told within a second.
        await eventually(partial(_all_are_counted, both), "every process tells of all requests")
        for process in both:
            told = await both.told(process, "GET", f"{MOUNT}/stats")
            assert {report["pid"] for report in told["processes"]} == set(both)
            assert told["sum"]["processes"] == 2
            for name, count in told["sum"]["counts"].items():
                assert count == sum(report["counts"][name] for report in told["processes"]), name


async def _all_are_counted(workers: Workers) -> bool:
    sums = [(await workers.told(process, "GET", f"{MOUNT}/stats"))["sum"]["counts"] for process in workers]
    return all(counts["hits"] + counts["misses"] == workers.asked for counts in sums)


async def test_an_invalidation_by_any_of_four_processes_reaches_all(redis: RedisServer, tmp_path: Path) -> None:
    ways: list[tuple[str, str, object]] = [
        ("POST", f"{MOUNT}/invalidate", {"tags": ["values"]}),
        ("POST", f"{MOUNT}/invalidate", {"paths": ["/value/a"]}),
        ("POST", f"{MOUNT}/invalidate", {"everything": True}),
        ("PURGE", "/value/a", None),
    ]
    async with workers(redis, tmp_path, 4) as all_four:
        for version, (process, (method, target, body)) in enumerate(itertools.product(all_four, ways), start=1):
            for other in all_four:
                assert await all_four.has(other, version - 1)
                assert (await all_four.get(other, "/value/a")).hit
            all_four.value.write_text(str(version))
            assert (await all_four.told(process, method, target, body))["position"] > 0
            # Here at once, in the others within milliseconds.
            assert await all_four.has(process, version)
            for other in all_four:
                await eventually(partial(all_four.has, other, version), "the others know")
