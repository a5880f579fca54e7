"""Many processes, one cache: real uvicorn workers on a real Redis, killed, stopped, forked and ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.process_app import BODY_BYTES, runs
from tests.process_use import LATE
from tests.redis_servers import RedisServer, free_port
from tests.servers import HOST, ROOT, serving_process
from tests.waiting import DEADLINE_SECONDS, eventually

pytestmark = pytest.mark.asyncio

LEASE_SECONDS = 1.0
MARGIN_SECONDS = 4.0
"""What an answer may take beyond the lease on a slow machine: asking again, the handler, a hundred clients."""


@dataclass(frozen=True)
class Got:
    """A response. ``pid`` is the process that sent it."""

    status: int
    pid: int
    body: bytes

    @property
    def words(self) -> list[str]:
        """The body's first line: the name, the process and the number of the run that made it."""
        return self.body.partition(b"\n")[0].decode().split()


class Wire:
    """A client's connection, which stays with one process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self, method: str, target: str) -> Got:
        self._writer.write(f"{method} {target} HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(fields["content-length"]))
        return Got(int(status.split()[1]), int(fields["x-pid"]), body)

    async def get(self, target: str) -> Got:
        return await self.request("GET", target)

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def wires(ports: Sequence[int]) -> AsyncIterator[list[Wire]]:
    """Connections, one to each of these ports."""
    opened = await asyncio.gather(*(asyncio.open_connection(HOST, port, limit=2**18) for port in ports))
    connections = [Wire(*pair) for pair in opened]
    try:
        yield connections
    finally:
        for wire in connections:
            wire.close()


@dataclass(frozen=True)
class Fleet:
    """Two uvicorns with two workers each."""

    ports: list[int]
    directory: Path
    settings: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def crowd(self, count: int) -> AsyncIterator[list[Wire]]:
        async with wires([self.ports[n % len(self.ports)] for n in range(count)]) as connections:
            yield connections

    @asynccontextmanager
    async def of_each(self, processes: int = 4) -> AsyncIterator[dict[int, Wire]]:
        """A connection to each process. The system chooses who takes a connection: more are made until all have."""
        async with AsyncExitStack() as stack:
            found: dict[int, Wire] = {}

            async def look() -> None:
                while len(found) < processes:
                    opened = await stack.enter_async_context(self.crowd(8))
                    for wire, got in zip(
                        opened, await asyncio.gather(*(one.get("/pid") for one in opened)), strict=True
                    ):
                        found.setdefault(got.pid, wire)

            await asyncio.wait_for(look(), DEADLINE_SECONDS)
            yield found

    def runs(self, name: str) -> list[int]:
        return runs(self.directory, name)

    async def loads(self, name: str, number: int = 1) -> int:
        """Returns the process of this run of a name's handler as soon as it runs."""
        try:
            await eventually(lambda: len(self.runs(name)) >= number, f"run {number} of {name}")
        except AssertionError as error:
            async with self.of_each() as each:
                told = {pid: (await wire.get("/stats")).body.decode() for pid, wire in each.items()}
            raise AssertionError(f"{error}; runs at {self.runs(name)}; {told}") from None
        *_, last = self.runs(name)
        assert len(self.runs(name)) == number, f"{name} ran at {self.runs(name)}"
        return last

    def open(self, name: str, run: int | None = None) -> None:
        """Lets the handlers of one name answer; or only one run's."""
        (self.directory / (f"{name}.open" if run is None else f"{name}.open.{run}")).touch()

    @asynccontextmanager
    async def newcomer(self) -> AsyncIterator[Wire]:
        """A connection to a process that has just been started."""
        async with serving_process("tests.process_app:app", self.settings) as server, wires([server.port]) as (wire,):
            yield wire


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """One for all tests, which use names of their own. A process that a test kills is started anew by its uvicorn."""
    directory = tmp_path_factory.mktemp("fleet")
    with RedisServer() as redis:
        settings = {
            "PROCESS_APP_URL": redis.url,
            "PROCESS_APP_DIRECTORY": str(directory),
            "PROCESS_APP_LEASE": f"{LEASE_SECONDS:g}s",
        }
        # A stopped process is the test's business, not its supervisor's; and clients may wait for one that starts.
        options = ["--workers", "2", "--timeout-worker-healthcheck", "8", "--timeout-graceful-shutdown", "1"]
        options += ["--timeout-keep-alive", "120"]
        async with AsyncExitStack() as stack:
            running = [serving_process("tests.process_app:app", settings, options) for _ in range(2)]
            servers = await asyncio.gather(*(stack.enter_async_context(one) for one in running))
            try:
                yield Fleet([server.port for server in servers], directory, settings)
            finally:
                # Loads that a failed test has left behind would be waited for.
                (directory / "end").touch()


@contextmanager
def stopped(pid: int) -> Iterator[Callable[[], None]]:
    """A process that stands still, until the function is called or the block ends."""

    def resume() -> None:
        os.kill(pid, signal.SIGCONT)

    os.kill(pid, signal.SIGSTOP)
    try:
        yield resume
    finally:
        resume()


async def within(seconds: float, what: Awaitable[Got]) -> Got:
    return await asyncio.wait_for(what, seconds)


# --- One load for all processes --------------------------------------------------------------------------------------


async def test_a_cold_key_is_loaded_once_by_all_processes_together(fleet: Fleet) -> None:
    async with fleet.of_each() as each, fleet.crowd(500) as crowd:
        for name in ("one", "two", "three", "four"):
            answers = await asyncio.gather(*(wire.get(f"/slow/{name}") for wire in [*crowd, *each.values()]))
            assert Counter(answer.status for answer in answers) == {200: 504}
            assert {len(answer.body) for answer in answers} == {BODY_BYTES}
            assert len({answer.body for answer in answers}) == 1, "more than one run's answer was given"
            assert len({answer.pid for answer in answers}) == 4, "not every process took part"
            assert len(fleet.runs(name)) == 1


async def test_many_cold_keys_at_once_are_loaded_once_each(fleet: Fleet) -> None:
    async with fleet.of_each(), fleet.crowd(400) as crowd:
        names = [f"key-{number % 40}" for number in range(400)]
        # The first half of the clients and the second are on different processes for most keys.
        answers = await asyncio.gather(
            *(wire.get(f"/slow/{name}") for wire, name in zip(crowd, sorted(names), strict=True))
        )
        for answer, name in zip(answers, sorted(names), strict=True):
            assert (answer.status, len(answer.body), answer.words[0]) == (200, BODY_BYTES, name)
        assert {name: len(fleet.runs(name)) for name in names} == dict.fromkeys(names, 1)


async def test_a_process_started_later_has_what_the_others_have_stored(fleet: Fleet) -> None:
    async with fleet.crowd(1) as (wire,), fleet.newcomer() as late:
        before, after = await wire.get("/slow/kept"), await late.get("/slow/kept")
    assert after.body == before.body
    assert after.pid != before.pid
    assert len(fleet.runs("kept")) == 1


# --- A leader that dies, or stands still -----------------------------------------------------------------------------


async def test_when_the_loading_process_is_killed_another_loads(fleet: Fleet) -> None:
    async with fleet.of_each(), fleet.crowd(120) as crowd:
        at = [(await wire.get("/pid")).pid for wire in crowd]
        requests = [asyncio.ensure_future(wire.get("/gated/doomed")) for wire in crowd]
        leader = await fleet.loads("doomed")
        os.kill(leader, signal.SIGKILL)
        killed = time.monotonic()
        fleet.open("doomed")
        answers = await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), DEADLINE_SECONDS)
        took = time.monotonic() - killed
        for answer, pid in zip(answers, at, strict=True):
            if isinstance(answer, BaseException):
                assert pid == leader, f"{answer!r} at a process that lives"
            else:
                assert (answer.status, len(answer.body), answer.pid) == (200, BODY_BYTES, pid)
        survivors = [answer for answer in answers if isinstance(answer, Got) and answer.pid != leader]
        assert len(survivors) == len([pid for pid in at if pid != leader]) > 0
        first, second = fleet.runs("doomed")
        assert first == leader
        assert {int(answer.words[1]) for answer in survivors} == {second}
        assert took < LEASE_SECONDS + MARGIN_SECONDS, f"took {took:.2f} s"


async def test_leaders_killed_one_after_another_harm_only_their_own_clients(fleet: Fleet) -> None:
    async with fleet.of_each() as each:
        requests = {pid: asyncio.ensure_future(wire.get("/gated/cursed")) for pid, wire in each.items()}
        for number in (1, 2):
            leader = await fleet.loads("cursed", number)
            lost = requests.pop(leader)
            os.kill(leader, signal.SIGKILL)
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await lost
        fleet.open("cursed")
        for pid, request in requests.items():
            answer = await within(LEASE_SECONDS + MARGIN_SECONDS, request)
            assert (answer.status, answer.pid, answer.words[2]) == (200, pid, "3")
        assert len(fleet.runs("cursed")) == 3


async def test_a_leader_that_stood_still_does_not_overwrite_what_came_after_it(fleet: Fleet) -> None:
    async with fleet.of_each() as each, fleet.of_each() as askers:
        requests = {pid: asyncio.ensure_future(wire.get("/gated/frozen")) for pid, wire in each.items()}
        leader = await fleet.loads("frozen")
        refused = await refusals(askers[leader])
        with stopped(leader) as resume:
            late = requests.pop(leader)
            await fleet.loads("frozen", 2)
            fleet.open("frozen")
            for pid, request in requests.items():
                answer = await within(LEASE_SECONDS + MARGIN_SECONDS, request)
                assert (answer.status, answer.pid, answer.words[2]) == (200, pid, "2")
            resume()
            # Its own client waited for it, and gets what it made or what came after.
            own = await within(DEADLINE_SECONDS, late)
            assert (own.status, len(own.body), own.pid) == (200, BODY_BYTES, leader)
        await reaches(refusals, each[leader], refused + 1)
        for pid, wire in each.items():
            if pid != leader:
                assert (await wire.get("/gated/frozen")).words[2] == "2"
        assert len(fleet.runs("frozen")) == 2
        # Processes that have nothing in memory find the newer one.
        async with fleet.newcomer() as fresh:
            assert (await fresh.get("/gated/frozen")).words[2] == "2", "the late result has overwritten the newer"
        assert len(fleet.runs("frozen")) == 2


async def test_a_leader_that_stood_still_does_not_end_the_lease_of_the_next(fleet: Fleet) -> None:
    async with fleet.of_each() as each:
        requests = {pid: asyncio.ensure_future(wire.get("/gated/fenced")) for pid, wire in each.items()}
        first = await fleet.loads("fenced")
        with stopped(first) as resume:
            late = requests.pop(first)
            second = await fleet.loads("fenced", 2)
            # While the second loads, the first ends.
            fleet.open("fenced", run=1)
            resume()
            own = await within(DEADLINE_SECONDS, late)
            assert (own.status, own.words[2]) == (200, "1")
        async with fleet.newcomer() as fresh:
            answer = await within(DEADLINE_SECONDS, fresh.get("/gated/fenced"))
        fleet.open("fenced", run=2)
        answers = {pid: await within(DEADLINE_SECONDS, request) for pid, request in requests.items()}
        assert {answer.status for answer in answers.values()} == {200}
        assert answers[second].words[2] == "2"
        assert answer.words[2] == "1", "what the first stored is there until the second has stored"
        assert len(fleet.runs("fenced")) == 2, "somebody loaded although the second process was loading"
        async with fleet.newcomer() as fresh:
            await reaches(run_of, fresh, 2, target="/gated/fenced")


async def refusals(wire: Wire) -> int:
    """How many results of this process came too late: the shared tier had newer ones."""
    older: int = json.loads((await wire.get("/stats")).body)["shared"]["older"]
    return older


async def run_of(wire: Wire, target: str) -> int:
    """The number of the run whose answer this is."""
    return int((await wire.get(target)).words[-1])


async def reaches(number: Callable[..., Awaitable[int]], wire: Wire, wanted: int, **arguments: str) -> None:
    """Returns as soon as what a process answers is this number."""

    async def is_reached() -> bool:
        return await number(wire, **arguments) == wanted

    await eventually(is_reached, f"a process answers {wanted}")


# --- Invalidation ----------------------------------------------------------------------------------------------------


async def test_an_invalidation_in_one_process_is_seen_by_all_and_nothing_older_afterwards(fleet: Fleet) -> None:
    versions = 25
    value = fleet.directory / "value"
    value.write_text("0")
    async with fleet.of_each() as each:
        seen = dict.fromkeys(each, 0)
        ended = asyncio.Event()

        async def read(pid: int, wire: Wire) -> None:
            """Asks one process for ever: what it answers never becomes older."""
            while not ended.is_set():
                got = await wire.get("/value")
                version = int(got.body)
                assert got.pid == pid
                assert version >= seen[pid], f"process {pid} answered {version} after {seen[pid]}"
                seen[pid] = version

        async with fleet.of_each() as others:
            readers = [asyncio.ensure_future(read(pid, wire)) for pid, wire in each.items()]
            for version in range(1, versions + 1):
                writing = value.with_suffix(".new")
                writing.write_text(str(version))
                writing.replace(value)
                teller = sorted(others)[version % 4]
                assert (await others[teller].request("POST", "/invalidate")).status == 200
                # The process that was told has it at once.
                assert int((await others[teller].get("/value")).body) == version
                await eventually(
                    lambda version=version: min(seen.values()) == version or any(one.done() for one in readers),  # type: ignore[misc]
                    f"version {version} at all: {seen}",
                )
            ended.set()
            await asyncio.gather(*readers)
    assert seen == dict.fromkeys(each, versions)


# --- Forks -----------------------------------------------------------------------------------------------------------

CRASHES = (b"panicked", b"Fatal Python error", b"Segmentation", b"Aborted", b"terminate called")


@dataclass(frozen=True)
class Ended:
    status: int
    output: str
    seconds: float


async def run(scenario: str, *arguments: str, seconds: float = 110) -> Ended:
    """Runs a scenario of ``process_scenarios`` to its end."""
    begun = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "default", "-m", "tests.process_scenarios", scenario, *arguments),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    except asyncio.TimeoutError:
        raise AssertionError(f"{scenario} did not end within {seconds} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    for crash in CRASHES:
        assert crash not in output, output.decode()
    return Ended(process.returncode, output.decode(), time.monotonic() - begun)


async def goes_well(scenario: str, *arguments: str) -> str:
    ended = await run(scenario, *arguments)
    assert ended.status != LATE, f"did not end in time:\n{ended.output}"
    assert ended.status == 0, f"status {ended.status}:\n{ended.output}"
    return ended.output


async def test_forked_children_and_their_parent_use_one_cache(redis: RedisServer) -> None:
    await goes_well("forked_children", redis.url)


async def test_forks_while_operations_are_in_flight(redis: RedisServer) -> None:
    await goes_well("forks_in_flight", redis.url)


async def test_children_fork_too(redis: RedisServer) -> None:
    await goes_well("forks_of_forks", redis.url)


async def test_two_threads_fork_while_a_third_uses_the_cache(redis: RedisServer) -> None:
    await goes_well("forks_from_threads", redis.url)


async def test_a_child_outlives_its_parent(redis: RedisServer, tmp_path: Path) -> None:
    # The output ends when both have ended.
    output = await goes_well("orphaned_child", redis.url, str(tmp_path / "done"))
    assert (tmp_path / "done").exists(), output


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_multiprocessing(redis: RedisServer, method: str) -> None:
    await goes_well("multiprocessing_method", method, redis.url)


async def test_children_of_a_preloading_parent_serve(redis: RedisServer, tmp_path: Path) -> None:
    port = free_port()
    program = asyncio.ensure_future(run("preloading", redis.url, str(tmp_path), str(port)))
    serving, pid_file = tmp_path / "serving", tmp_path / "pid"
    await eventually(lambda: serving.exists() or program.done(), "the children are forked")
    try:
        if not program.done():
            await forked_children_serve(Fleet([port], tmp_path))
    finally:
        if not program.done():
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        ended = await program
    assert ended.status == 0, ended.output


async def forked_children_serve(fleet: Fleet) -> None:
    async with fleet.of_each() as each, fleet.crowd(200) as crowd:
        answers = await asyncio.gather(*(wire.get("/slow/cold") for wire in [*crowd, *each.values()]))
        assert Counter((answer.status, len(answer.body)) for answer in answers) == {(200, BODY_BYTES): 204}
        assert {answer.pid for answer in answers} == set(each)
        assert len({answer.body for answer in answers}) == len(fleet.runs("cold")) == 1
        # What the parent had before the fork is every child's.
        for wire in each.values():
            assert (await wire.get("/slow/before")).words[0] == "before"
        assert len(fleet.runs("before")) == 1
        (fleet.directory / "value").write_text("1")
        assert {(await wire.get("/value")).body for wire in each.values()} == {b"1"}
        (fleet.directory / "value").write_text("2")
        told = next(iter(each.values()))
        assert (await told.request("POST", "/invalidate")).status == 200
        for wire in each.values():
            await reaches(run_of, wire, 2, target="/value")


# --- The interpreter's end -------------------------------------------------------------------------------------------

ENDS: Mapping[str, int] = {
    "exits_in_a_coroutine": 3,
    "exits_beside_an_open_loop": 4,
    "raises": 5,
    "exits_at_once": 6,
    "is_interrupted": 7,
    "leaves_a_daemon_thread": 8,
    "keeps_everything_global": 9,
}
END_SECONDS = 5.0


@pytest.mark.parametrize("scenario", ENDS)
@pytest.mark.parametrize("answers", [True, False], ids=["answering", "silent"])
async def test_the_interpreter_ends_with_operations_in_flight(
    redis_server: RedisServer, scenario: str, answers: bool
) -> None:
    if not answers:
        redis_server.pause()
    ended = await run(scenario, redis_server.url, seconds=60)
    assert ended.status == ENDS[scenario], ended.output
    assert ended.seconds < END_SECONDS, f"took {ended.seconds:.1f} s"
    unexpected = [line for line in ended.output.splitlines() if "Traceback" in line or "hotplate" in line.lower()]
    assert not unexpected, ended.output
