"""The admin API as a router for FastAPI, with everything in the OpenAPI schema.

A thin dress: the endpoints read nothing of a request themselves, so that nobody's body is read before it is known who
asks, and so that answers, refusals too, are those of the Starlette application. What FastAPI would have found in
signatures is told it from ``schemas``.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as AnyHTTPException

from hotplate.admin.answers import DETAIL, HEADERS, refusal
from hotplate.admin.aside import stand_aside
from hotplate.admin.auth import Auth, Refusals, Tokens, meaning
from hotplate.admin.operations import OPERATIONS
from hotplate.admin.schemas import described, described_file
from hotplate.admin.serving import file_endpoint, operation_endpoint, page_paths
from hotplate.cache import Cache
from hotplate.headers import RequestHead

__all__ = ["router"]


def router(cache: Cache, auth: Auth | Callable[..., Any]) -> APIRouter:
    """The router; see ``hotplate.admin.admin_router``."""
    made = APIRouter(route_class=_route_class(Refusals.of(cache)), tags=["cache"])
    guards = _guards(auth)
    for path, name in page_paths().items():
        made.add_api_route(path, file_endpoint(name), methods=["GET"], **described_file(name))
    for operation in OPERATIONS:
        made.add_api_route(
            operation.path,
            operation_endpoint(operation, cache),
            methods=[operation.method],
            dependencies=guards,
            **described(operation, is_guarded=bool(guards)),
        )
    return made


def _guards(auth: object) -> list[Any]:
    if isinstance(auth, Dependency):
        return [Depends(_unless_false(auth))]
    meant = meaning(auth, "admin_router")
    if meant is None:
        return []
    if isinstance(meant, Tokens):
        return [Depends(_by(meant))]
    return [Depends(_unless_false(Depends(meant)))]


def _by(tokens: Tokens) -> Callable[..., Coroutine[Any, Any, None]]:
    scheme = HTTPBearer(auto_error=False, scheme_name="hotplate", description="A token that administers the cache.")

    async def admit(request: Request, _scheme: Annotated[HTTPAuthorizationCredentials | None, Depends(scheme)]) -> None:
        if not tokens(RequestHead(request.scope)):
            raise _refused()

    return admit


def _unless_false(dependency: Any) -> Callable[..., Coroutine[Any, Any, None]]:
    async def admit(given: Any = dependency) -> None:
        if given is False:
            raise _refused()

    return admit


def _refused() -> HTTPException:
    return HTTPException(401, DETAIL, headers=dict(refusal().headers))


def _route_class(refusals: Refusals) -> type[APIRoute]:
    """Routes that stand aside before anything else, and count who is refused by whichever dependency."""

    class AdminRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handler(request: Request) -> Response:
                stand_aside(request.scope)
                try:
                    return await handle(request)
                except AnyHTTPException as error:
                    if error.status_code in (401, 403):
                        refusals.add(request.scope)
                    error.headers = {**HEADERS, **(error.headers or {})}
                    raise

            return handler

    return AdminRoute
