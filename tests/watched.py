"""Keys and functions that tell what is done with them."""

from collections.abc import Callable
from typing import Any


class Key:
    """Its hash and its `__eq__` are the test's."""

    def __init__(self, name: str, number: int = 1, eq: Callable[[], object] = lambda: None) -> None:
        self.name, self.number, self.eq = name, number, eq

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        self.eq()
        return isinstance(other, Key) and self.name == other.name


class Recorder:
    """A function that gives what it was called with, and remembers each run."""

    def __init__(self) -> None:
        self.runs: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.runs.append((args, kwargs))
        return args, kwargs
