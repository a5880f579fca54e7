"""How the program ends: four statuses that scripts can tell apart, and the exception that carries one."""

__all__ = ["DONE", "FOUND", "UNREACHABLE", "USAGE", "End"]

DONE = 0
"""It was done; nothing was found; the answer is yes."""
FOUND = 1
"""The answer is no: findings, nothing stored, something that failed."""
USAGE = 2
"""It was not asked in a way that can be meant."""
UNREACHABLE = 3
"""The cache or its server cannot be reached, or refuses to answer."""


class End(Exception):  # noqa: N818 - how the program ends, not always by an error
    """Ends the program with a message for people, on standard error, and a status."""

    status: int

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
