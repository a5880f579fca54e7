"""What the requests and answers of the admin API look like, for the OpenAPI schema: with words and examples.

The shapes are those of ``hotplate.watching``, which needs no Pydantic; a test holds the two together.
"""

from typing import Annotated, Any

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from hotplate.admin.aside import SCHEMA_MARK
from hotplate.admin.operations import Operation
from hotplate.admin.questions import MOST_DECISIONS, MOST_TARGETS

__all__ = ["ANSWERS", "EXAMPLES", "PARAMETERS", "QUESTIONS", "described", "described_file"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Histogram(_Model):
    """How long something took: how often it was within each bound of `hotplate.watching.BOUNDS`."""

    count: int
    sum: Annotated[float, Field(description="Seconds.")]
    buckets: Annotated[list[int], Field(description="Not cumulative; the last is everything above the last bound.")]


class RuleCounts(_Model):
    """The outcomes of one rule; `default` are the requests without one."""

    rule: str
    hit: int
    stale: int
    validated: int
    miss: int
    bypass: int


class Top(_Model):
    """A key or a tag among those with the most hits or bytes."""

    name: str
    key: Annotated[str, Field(description="32 hexadecimal digits; empty for a tag.")]
    hits: int
    bytes: int
    entries: int


class Invalidation(_Model):
    """One record of the log of invalidations."""

    at: Annotated[float, Field(description="Seconds since 1970.")]
    target: Annotated[str, Field(examples=["tag products", "prefix /products", "everything"])]
    soft: bool
    position: int
    process: str


class Report(_Model):
    """The numbers of one process since its cache was made, or the sum of several."""

    process: Annotated[str, Field(description="Host, process id and a number; empty for a sum.")]
    host: str
    pid: int
    started: Annotated[float, Field(description="Seconds since 1970.")]
    at: float
    processes: Annotated[int, Field(description="How many are in it.")]
    counts: dict[str, int]
    bypass: Annotated[dict[str, int], Field(description="Requests that were not looked up, by reason.")]
    not_stored: Annotated[dict[str, int], Field(description="Responses that could not be stored, by reason.")]
    rules: list[RuleCounts]
    latency: Annotated[dict[str, Histogram], Field(description="`hit`, `miss`, `shared`, `load`.")]
    entries: int
    bytes: int
    max_bytes: int
    shared: Annotated[dict[str, Any] | None, Field(description="The shared tier; null in memory.")]
    bridge_queue: Annotated[int, Field(description="Results that wait for an event loop.")]
    top: dict[str, list[Top]]
    invalidations: Annotated[list[Invalidation], Field(description="Newest first, at most 50.")]


class Stats(_Model):
    """The answer of `GET /stats`."""

    sum: Report
    processes: list[Report]
    auth_failures: Annotated[int, Field(description="Requests without a valid token that this process has refused.")]


class EntryView(_Model):
    """One stored response or value, or what stands for its variants."""

    key: str
    name: str
    kind: Annotated[str, Field(description="`response`, `value`, `variants`, `queries` or `not-storable`.")]
    tier: Annotated[str, Field(description="`local` or `shared`.")]
    status: int | None
    age: Annotated[float, Field(description="Seconds.")]
    ttl: Annotated[float, Field(description="Seconds that remain; negative: stale for that long.")]
    stale_while_revalidate: float
    stale_if_error: float
    tags: list[str]
    bytes: int
    hits: int
    partitioned: bool
    soft: bool
    valid: Annotated[bool, Field(description="False: an invalidation has made it untrue.")]
    vary: list[str]
    headers: list[tuple[str, str]]
    body: Annotated[str | None, Field(description="Base64; only if it was asked for.")]


class Entries(_Model):
    """The answer of `GET /entry`."""

    entries: Annotated[list[EntryView], Field(description="Empty where nothing is stored.")]


class Explanation(_Model):
    """The answer of `GET /explain`."""

    sentence: str


class Decision(_Model):
    """What the cache did with one request, and why."""

    at: float
    method: str
    url: str
    outcome: Annotated[str, Field(description="`hit`, `stale`, `validated`, `miss` or `bypass`.")]
    reason: str
    sentence: str
    seconds: float | None


class Decisions(_Model):
    """The answer of `GET /decisions`."""

    decisions: list[Decision]


class Preview(_Model):
    """The answer of `POST /preview`: what would be invalidated in the memory of this process."""

    entries: int
    bytes: int
    names: Annotated[list[str], Field(description="Some of them.")]


class Position(_Model):
    """The answer of `POST /invalidate`."""

    position: Annotated[int, Field(description="In the log; 0 while the shared tier cannot be told.")]


class Refusal(_Model):
    """Why there is no other answer."""

    detail: str


Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MOST_TARGETS)]


class PreviewTargets(_Model):
    """What an invalidation names; at least one of these."""

    tags: Annotated[Texts, Field(description="Everything stored with one of these tags.")] = []
    paths: Annotated[Texts, Field(description="Exactly these paths: any host, query, variant and partition.")] = []
    prefixes: Annotated[Texts, Field(description="These paths and all below.")] = []
    keys: Annotated[Texts, Field(description="Names of values; a response's key as 32 hexadecimal digits.")] = []
    everything: Annotated[bool, Field(description="All that is stored.")] = False


class InvalidationTargets(PreviewTargets):
    """What to invalidate; at least one of these."""

    soft: Annotated[bool, Field(description="Mark stale instead.")] = False


ANSWERS: dict[str, type[BaseModel]] = {
    "stats": Stats,
    "entry": Entries,
    "explain": Explanation,
    "decisions": Decisions,
    "preview": Preview,
    "invalidate": Position,
}
"""The answer of each operation; that of ``metrics`` is text."""

QUESTIONS: dict[str, type[BaseModel]] = {"preview": PreviewTargets, "invalidate": InvalidationTargets}
"""The body of each operation that has one."""

PARAMETERS: dict[str, dict[str, Any]] = {
    "url": {
        "description": "With its host, or path and query alone: then it is of the host that is asked.",
        "schema": {"type": "string"},
        "example": "http://example.org/products/42?size=2",
    },
    "key": {
        "description": "The name of a value, or 32 hexadecimal digits. Either this or `url`.",
        "schema": {"type": "string"},
    },
    "partition": {
        "description": "Only entries of this partition, and their bodies too if `body` is true.",
        "schema": {"type": "string"},
    },
    "body": {"description": "Whether to show bodies.", "schema": {"type": "boolean", "default": False}},
    "processes": {
        "description": "Whose numbers: every process's, those of the host that answers, or of the process that does.",
        "schema": {"type": "string", "enum": ["all", "host", "own"], "default": "all"},
    },
    "most": {
        "description": "How many at most.",
        "schema": {"type": "integer", "default": 100, "minimum": 1, "maximum": MOST_DECISIONS},
    },
}
"""The parameters of queries, as OpenAPI has them."""

_REPORT = {
    "process": "web-1:4711:1",
    "host": "web-1",
    "pid": 4711,
    "started": 1795000000.0,
    "at": 1795003600.0,
    "processes": 1,
    "counts": {"hits": 9120, "misses": 310, "stale": 4, "validated": 0, "stored": 298, "evictions": 0},
    "bypass": {"method": 12},
    "not_stored": {"set-cookie": 12},
    "rules": [{"rule": "/products/*", "hit": 9120, "stale": 4, "validated": 0, "miss": 310, "bypass": 12}],
    "latency": {"hit": {"count": 9120, "sum": 0.11, "buckets": [0, 120, 8800, 200]}},
    "entries": 298,
    "bytes": 1843200,
    "max_bytes": 67108864,
    "shared": {"up": True, "certain": True, "server": "Redis 7.4.1", "breaker": "closed", "position": 7, "log_lag": 0},
    "bridge_queue": 0,
    "top": {
        "keys_by_hits": [
            {
                "name": "GET example.org/products/42",
                "key": "0f343b0931126a20f133d67c2b018a3b",
                "hits": 512,
                "bytes": 6144,
                "entries": 1,
            }
        ],
        "tags_by_hits": [{"name": "products", "key": "", "hits": 9001, "bytes": 1536000, "entries": 250}],
    },
    "invalidations": [
        {"at": 1795003500.0, "target": "tag products", "soft": False, "position": 7, "process": "web-1:4711:1"}
    ],
}

EXAMPLES: dict[str, Any] = {
    "stats": {"sum": {**_REPORT, "process": ""}, "processes": [_REPORT], "auth_failures": 0},
    "entry": {
        "entries": [
            {
                "key": "0f343b0931126a20f133d67c2b018a3b",
                "name": "GET example.org/products/42",
                "kind": "response",
                "tier": "local",
                "status": 200,
                "age": 12.0,
                "ttl": 48.0,
                "stale_while_revalidate": 0.0,
                "stale_if_error": 0.0,
                "tags": ["products", "product:42"],
                "bytes": 6144,
                "hits": 512,
                "partitioned": False,
                "soft": False,
                "valid": True,
                "vary": [],
                "headers": [["content-type", "application/json"]],
                "body": "eyJpZCI6IDQyfQ==",
            }
        ]
    },
    "explain": {"sentence": "Served from the cache: fresh, age 12 s, 48 s left (RFC 9111 §4.2)."},
    "decisions": {
        "decisions": [
            {
                "at": 1795003599.5,
                "method": "GET",
                "url": "example.org/products/42",
                "outcome": "hit",
                "reason": "fresh",
                "sentence": "Served from the cache: fresh, age 12 s, 48 s left (RFC 9111 §4.2).",
                "seconds": 0.000012,
            }
        ]
    },
    "preview": {"entries": 250, "bytes": 1536000, "names": ["GET example.org/products/42"]},
    "invalidate": {"position": 7},
    "metrics": 'hotplate_requests_total{outcome="hit",rule="/products/*",process="web-1:4711:1"} 9120\n',
}
"""An answer of each operation."""

_ASKED = {
    "preview": {"tags": ["products"], "prefixes": ["/products"]},
    "invalidate": {"tags": ["products"], "soft": False},
}

_REFUSALS = {
    401: "No valid token; `WWW-Authenticate: Bearer`.",
    413: "The body is too large.",
    415: "The body is not `application/json`.",
    422: "It cannot be meant; the text names the setting, the value and the remedy.",
}


def described(operation: Operation, *, is_guarded: bool) -> dict[str, Any]:
    """What ``add_api_route`` is to be told of an operation."""
    summary, _, description = (operation.run.__doc__ or "").partition("\n")
    model = ANSWERS.get(operation.name)
    media_type = "text/plain" if model is None else "application/json"
    responses: dict[int | str, dict[str, Any]] = {
        200: {"content": {media_type: {"example": EXAMPLES[operation.name]}}, "description": "The answer."}
    }
    for status in _statuses(operation, is_guarded):
        responses[status] = {"model": Refusal, "description": _REFUSALS[status]}
    extra: dict[str, Any] = {SCHEMA_MARK: True}
    if operation.parameters:
        extra["parameters"] = [{"name": name, "in": "query", **PARAMETERS[name]} for name in operation.parameters]
    if operation.name == "explain":
        extra["parameters"][0]["required"] = True
    if operation.name in QUESTIONS:
        schema = QUESTIONS[operation.name].model_json_schema()
        content = {"application/json": {"schema": schema, "example": _ASKED[operation.name]}}
        extra["requestBody"] = {"required": True, "content": content}
    return {
        "name": f"cache_{operation.name}",
        "summary": summary.rstrip("."),
        "description": " ".join(description.split()) or None,
        "response_model": model,
        "response_class": PlainTextResponse if model is None else JSONResponse,
        "responses": responses,
        "openapi_extra": extra,
    }


def _statuses(operation: Operation, is_guarded: bool) -> list[int]:
    body = [413, 415] if operation.name in QUESTIONS else []
    return [*([401] if is_guarded else []), *body, 422]


def described_file(name: str) -> dict[str, Any]:
    """The same for a file of the page."""
    return {
        "name": f"cache_page_{name}",
        "summary": "The page" if name == "index.html" else f"A part of the page: {name}",
        "description": "Static, and without any data: what it shows it asks for with the token.",
        "response_model": None,
        "response_class": Response,
        "responses": {200: {"content": {"*/*": {"schema": {"type": "string"}}}, "description": "The file."}},
        "openapi_extra": {SCHEMA_MARK: True},
    }
