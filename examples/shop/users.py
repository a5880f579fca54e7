"""Who is asking: a bearer token names a user. Settings are looked up by this name, and by nothing the client says."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException

TOKENS = {"ada-token": "ada", "grace-token": "grace"}


def current_user(authorization: Annotated[str | None, Header()] = None) -> str:
    """The user of this request; without a token of ours the answer is 401."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or token not in TOKENS:
        raise HTTPException(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    return TOKENS[token]


UserDep = Annotated[str, Depends(current_user)]
