"""A running cache, asked through the admin API that an application has mounted."""

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from hotplate.cli.connection import Targets
from hotplate.cli.ends import UNREACHABLE, USAGE, End

__all__ = ["AdminConnection"]

SECONDS = 10.0
"""How long an answer may take."""

MOST_BYTES = 64 * 2**20
"""How large an answer may be."""

_HERE = ("localhost", "127.0.0.1", "::1")


class AdminConnection:
    """Asks an admin API over HTTP, by a connection for each question.

    Redirections are not followed: the token would go where they lead.
    """

    def __init__(self, url: str, token: str | None) -> None:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise End(USAGE, f"--admin {url!r} is no URL: {error}") from None
        if parts.scheme not in ("http", "https") or not host:
            raise End(USAGE, f"--admin {url!r} is no URL: write where the admin API is, http://127.0.0.1:8000/_cache")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise End(USAGE, "--admin takes scheme, host and path only: give the token by --token or HOTPLATE_TOKEN")
        self._address = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._path = parts.path.rstrip("/")
        self._host, self._port = host, port
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._fields = {"Accept": "application/json", "User-Agent": "hotplate"}
        if token:
            if not token.isascii() or not token.isprintable():
                raise End(USAGE, "the token has characters that no token has")
            self._fields["Authorization"] = f"Bearer {token}"
        # Whether others can read the token on its way.
        self.is_overheard = bool(token) and parts.scheme == "http" and host not in _HERE

    def stats(self) -> dict[str, Any]:
        """As ``Running.stats``."""
        return self._ask("GET", "/stats", ("sum", "processes"))

    def entries(self, *, url: str | None, key: str | None, partition: str | None, body: bool) -> list[dict[str, Any]]:
        """As ``Running.entries``."""
        named = {"url": url, "key": key, "partition": partition, "body": "true" if body else None}
        entries: list[dict[str, Any]] = self._ask("GET", "/entry", ("entries",), query=named)["entries"]
        return entries

    def explain(self, url: str) -> str:
        """As ``Running.explain``."""
        return str(self._ask("GET", "/explain", ("sentence",), query={"url": url})["sentence"])

    def preview(self, targets: Targets) -> dict[str, Any]:
        """As ``Running.preview``."""
        return self._ask("POST", "/preview", ("entries", "bytes", "names"), body=targets)

    def invalidate(self, targets: Targets, *, soft: bool) -> int:
        """As ``Running.invalidate``."""
        return int(self._ask("POST", "/invalidate", ("position",), body=targets | {"soft": soft})["position"])

    def close(self) -> None:
        """Nothing is open."""

    def _ask(
        self,
        method: str,
        path: str,
        wanted: Sequence[str],
        *,
        query: dict[str, str | None] | None = None,
        body: Targets | None = None,
    ) -> dict[str, Any]:
        """The answer to one request, which has what is wanted in it."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._path + path + ("?" + urlencode(given) if given else "")
        fields = self._fields if body is None else self._fields | {"Content-Type": "application/json"}
        connection = self._kind(self._host, self._port, timeout=SECONDS)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), fields)
            response = connection.getresponse()
            data = response.read(MOST_BYTES + 1)
        except (OSError, HTTPException) as error:
            raise End(UNREACHABLE, f"{self._address} does not answer: {_words(error)}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise self._refused(response.status, path, data)
        try:
            answer = json.loads(data) if len(data) <= MOST_BYTES else None
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or any(name not in answer for name in wanted):
            raise End(UNREACHABLE, f"{self._address}{path} answers with something else than an admin API does")
        return answer

    def _refused(self, status: int, path: str, data: bytes) -> End:
        detail = _detail(data)
        if status == 401 and "Authorization" in self._fields:
            return End(UNREACHABLE, f"{self._address} refuses the token: give another by --token or HOTPLATE_TOKEN")
        if status == 401:
            return End(UNREACHABLE, f"{self._address} wants a token: give it by --token or HOTPLATE_TOKEN")
        if status in (400, 422):
            return End(USAGE, detail or f"{self._address}{path} does not take that")
        if status == 404:
            return End(UNREACHABLE, f"there is no admin API at {self._address}: is it mounted there?")
        return End(
            UNREACHABLE, f"{self._address}{path} answers with status {status}" + (f": {detail}" if detail else "")
        )


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"not within {SECONDS:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _detail(data: bytes) -> str:
    """What an error says in its ``detail``: a text, or FastAPI's list of what is wrong where."""
    try:
        detail = json.loads(data)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    if isinstance(detail, list):
        places = (one for one in detail if isinstance(one, dict))
        return "; ".join(f"{'.'.join(map(str, one.get('loc', ())))}: {one.get('msg', '')}" for one in places)
    return str(detail)
