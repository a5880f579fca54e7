"""The admin API as a Starlette application, to be mounted in any other."""

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hotplate.admin.answers import json_answer, refusal
from hotplate.admin.aside import stand_aside
from hotplate.admin.auth import Auth, Check, Guard, meaning
from hotplate.admin.operations import OPERATIONS
from hotplate.admin.serving import file_endpoint, operation_endpoint, page_paths, response_of
from hotplate.cache import Cache

__all__ = ["application"]


def application(cache: Cache, auth: Auth) -> Starlette:
    """The application; see ``hotplate.admin.admin_app``."""
    guard = Guard(cache, cast("Check | None", meaning(auth, "admin_app")))
    routes = [Route(path, file_endpoint(name), methods=["GET"]) for path, name in page_paths().items()]
    for operation in OPERATIONS:
        endpoint = _guarded(operation_endpoint(operation, cache), guard)
        routes.append(Route(operation.path, endpoint, methods=[operation.method], name=operation.name))
    return Starlette(routes=routes, exception_handlers={HTTPException: _said})


def _guarded(
    endpoint: Callable[[Request], Awaitable[Response]], guard: Guard
) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        stand_aside(request.scope)
        if not await guard.admits(request.scope):
            return response_of(refusal())
        return await endpoint(request)

    return guarded


async def _said(_request: Request, error: Exception) -> Response:
    """An unknown path, a method that is not there, and what a check has raised, in the form of all other answers."""
    assert isinstance(error, HTTPException)
    return response_of(json_answer({"detail": error.detail}, error.status_code, error.headers))
