"""What the admin API answers with, without a framework: a status, a few header lines, JSON or text."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["DETAIL", "HEADERS", "Answer", "Unanswerable", "json_answer", "refusal"]

HEADERS: Mapping[str, str] = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""What every answer carries. Names of header fields are in lower case."""


DETAIL = "a valid token is needed: Authorization: Bearer <token>"
"""Why somebody may not ask."""


@dataclass(frozen=True)
class Answer:
    """The response to a request: ``body`` of this media type, with ``headers`` beside ``HEADERS``."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, str]:
        """Every header field of the response."""
        return {"content-type": self.media_type, **HEADERS, **self.headers}


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in JSON, all of it ASCII: what a client has put into a key or a tag cannot break it."""
    return Answer(json.dumps(value, allow_nan=False).encode("ascii"), status=status, headers=headers or {})


def refusal() -> Answer:
    """The answer to who may not ask (RFC 6750 §3)."""
    return json_answer({"detail": DETAIL}, 401, {"www-authenticate": "Bearer"})


class Unanswerable(Exception):  # noqa: N818 - it is no fault of ours
    """A request that cannot be answered. Its text names the setting, the value and the remedy."""

    def __init__(self, detail: str, status: int = 422) -> None:
        super().__init__(detail)
        self.status = status

    def answer(self) -> Answer:
        """What the client gets."""
        return json_answer({"detail": str(self)}, self.status)
