"""docs/admin.md is true: its Python runs, its commands do what the text beside them says."""

import json
import re
import shlex
from typing import Any

import pytest
from starlette.applications import Starlette

from hotplate.admin.operations import OPERATIONS
from tests.admin_site import TOKEN
from tests.driver import Response, call
from tests.redis_servers import RedisServer
from tests.servers import ROOT

pytestmark = pytest.mark.asyncio

TEXT = (ROOT / "docs" / "admin.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


@pytest.fixture
def guide(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of all snippets, run one after the other as a reader would, with a Redis of the tests."""
    monkeypatch.setenv("CACHE_TOKEN", TOKEN)
    names: dict[str, Any] = {"__name__": "guide"}
    for block in blocks("python"):
        exec(block.replace("redis://localhost:6379/0", redis.url), names)
    return names


async def curl(app: Any, command: str) -> Response:
    """What a command would get; ``curl`` as far as the text uses it."""
    _, *words = shlex.split(command.replace("\\\n", " ").replace("$CACHE_TOKEN", TOKEN))
    method, target, headers, body = "GET", "", [], b""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers.append((name, value))
        elif word == "-d":
            body = words.pop(0).encode()
        else:
            target = word.removeprefix("https://example.org")
    return await call(method, target, headers=list(headers), body=body, host="example.org", scheme="https").run(app)


async def test_the_commands_do_what_the_text_says(guide: dict[str, Any]) -> None:
    stats, invalidate, purge = blocks("sh")
    answer = await curl(guide["app"], stats)
    assert set(json.loads(answer.body)) == {"sum", "processes", "auth_failures"}
    answer = await curl(guide["app"], invalidate)
    assert set(json.loads(answer.body)) == {"position"}
    command, _, shown = purge.partition("\n")
    answer = await curl(guide["app"], command)
    assert json.loads(answer.body).keys() == json.loads(shown).keys()
    assert {**json.loads(shown), "position": 0} == {**json.loads(answer.body), "position": 0}


async def test_the_starlette_application_is_the_same(guide: dict[str, Any]) -> None:
    answer = await curl(Starlette(routes=guide["routes"]), blocks("sh")[0])
    assert set(json.loads(answer.body)) == {"sum", "processes", "auth_failures"}


async def test_the_table_has_every_request() -> None:
    told = set(re.findall(r"^\| `(GET|POST) (/[a-z]*)", TEXT, re.MULTILINE))
    assert told == {(operation.method, operation.path) for operation in OPERATIONS} | {("GET", "/")}
