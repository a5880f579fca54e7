"""What is started by ``with`` and closed at its end: servers, connections, proxies."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

_Self = TypeVar("_Self", bound="Started")


class Started(ABC):
    """Started by ``with``, closed at its end, whatever happened inside and however far the start came."""

    def start(self) -> None:  # noqa: B027 - what can be used as it is has nothing to start
        """Returns when it can be used."""

    @abstractmethod
    def close(self) -> None:
        """Ends it. More than once is fine."""

    def __enter__(self: _Self) -> _Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
