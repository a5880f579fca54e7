"""Who is asking: a bearer token names a member, or nobody.

The same function decides for the handler (what may be seen) and for the cache (which of the separate caches to use),
so the two cannot disagree: a wrong token is refused by the handler and never reaches a stored response.
"""

from typing import Annotated, Literal

from fastapi import Depends, Header, HTTPException

from hotplate import RequestHead

AuthState = Literal["anonymous", "member"]

TOKENS = {"ada-token": "ada", "grace-token": "grace"}


def auth_state(authorization: str | None) -> AuthState | None:
    """Whether the request comes from anybody or from a member; `None` for credentials that are not ours."""
    if authorization is None:
        return "anonymous"
    scheme, _, token = authorization.partition(" ")
    return "member" if scheme.lower() == "bearer" and token in TOKENS else None


def require_auth_state(authorization: Annotated[str | None, Header()] = None) -> AuthState:
    """The same for a handler, where wrong credentials are answered with 401."""
    state = auth_state(authorization)
    if state is None:
        raise HTTPException(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    return state


def partition_by_auth_state(head: RequestHead) -> AuthState | None:
    """One cache for the public, one for members; a request with wrong credentials is not cached at all."""
    return auth_state(head.field("authorization"))


AuthStateDep = Annotated[AuthState, Depends(require_auth_state)]
