"""The head of a request, as a partition function sees it."""

from collections.abc import Iterator

from hotplate.asgi import Scope

__all__ = ["RequestHead"]


class RequestHead:
    """Method, path, query, header fields and cookies of one request; never its body.

    Passed to ``partition``. Reading it costs nothing until something is asked for. It must not be kept
    beyond the call: it looks into the server's own scope.
    """

    __slots__ = ("scope",)

    scope: Scope
    """The ASGI scope itself, for what this class does not offer. Not to be changed."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def method(self) -> str:
        """The method in upper case, such as ``GET``."""
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        """The percent-decoded path."""
        path: str = self.scope["path"]
        return path

    @property
    def query(self) -> bytes:
        """The raw query, without ``?``."""
        query: bytes = self.scope.get("query_string", b"")
        return query

    def fields(self, name: str) -> Iterator[str]:
        """The value of each field line with this name, in order; the name's case does not matter."""
        wanted = name.lower().encode("latin-1", "replace")
        for key, value in self.scope["headers"]:
            if key.lower() == wanted:
                yield value.decode("latin-1")

    def field(self, name: str, default: str | None = None) -> str | None:
        """The combined value of a field (its lines joined by ``", "``), or ``default`` when absent."""
        values = list(self.fields(name))
        return ", ".join(values) if values else default

    def cookies(self, name: str) -> Iterator[str]:
        """The value of each cookie with this name, in order, read as servers do (RFC 6265 §4.2)."""
        for line in self.fields("cookie"):
            for pair in line.split(";"):
                own, equals, value = pair.partition("=")
                if equals and own.strip() == name:
                    yield value.strip().strip('"')

    def cookie(self, name: str, default: str | None = None) -> str | None:
        """The value of the first cookie with this name, or ``default`` when there is none."""
        return next(self.cookies(name), default)
