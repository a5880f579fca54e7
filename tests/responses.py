"""What tests look up in a response, however it came: by ASGI messages (``driver``) or over a socket (``servers``)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator


class Fields(ABC):
    """The header lines of a response, and what this cache says in them."""

    @abstractmethod
    def pairs(self) -> Iterator[tuple[str, str]]:
        """Name in lower case and value of every line, in order."""

    def lines(self, name: str) -> list[str]:
        """The value of every line of this name, in order."""
        wanted = name.lower()
        return [value for key, value in self.pairs() if key == wanted]

    def __getitem__(self, name: str) -> str:
        """The value of the only line of this name."""
        (value,) = self.lines(name)
        return value

    def __contains__(self, name: str) -> bool:
        return bool(self.lines(name))

    @property
    def hit(self) -> bool:
        """Whether the cache says that it answered from what was stored."""
        return "; hit" in self["cache-status"]

    @property
    def detail(self) -> str | None:
        """The ``detail`` parameter of ``Cache-Status``."""
        for parameter in self["cache-status"].split("; "):
            name, _, value = parameter.partition("=")
            if name == "detail":
                return value
        return None
