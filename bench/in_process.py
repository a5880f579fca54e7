"""A request to an ASGI application without a server: what uvicorn would tell it, and a client that keeps nothing.

Nothing of hotplate is imported when this runs: peers whose environments lack it are asked this way, too.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotplate.asgi import Message, Scope


def request(path: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> "Scope":
    """The scope of a `GET` with `Host`, `Accept` and these header fields."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"bench"), (b"accept", b"*/*"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def receive() -> "Message":
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: "Message") -> None:
    """A client that keeps nothing."""
