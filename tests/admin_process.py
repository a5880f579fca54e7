"""The application that ``test_admin_processes.py`` runs in several processes: ``uvicorn tests.admin_process:app``.

It answers what stands in a file, behind a cache on Redis, with the admin API at ``/_cache`` and ``PURGE``.
"""

import os
import time
from pathlib import Path

from fastapi import FastAPI, Response

from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.admin import PurgeMiddleware
from hotplate.asgi import ASGIApp
from tests.admin_site import MOUNT, TOKEN
from tests.process_app import FEW_FAULTS, Signed


def make(cache: Cache, value: Path) -> ASGIApp:
    """The application. Every response says in ``X-Pid`` which process has sent it."""
    api = FastAPI(lifespan=cache.lifespan)

    @api.get("/pid")
    async def pid() -> Response:
        # Held up, this process accepts no further connection, and another one does.
        time.sleep(0.005)  # noqa: ASYNC251
        return Response(headers={"cache-control": "no-store"})

    @api.get("/value/{name}")
    def read(name: str) -> Response:
        return Response(value.read_text())

    api.include_router(admin_router(cache, auth=TOKEN), prefix=MOUNT)
    api.add_middleware(
        CacheMiddleware, cache=cache, ttl=300, exclude=[MOUNT], rules=[Rule("/value/{name}", tags=["values"])]
    )
    api.add_middleware(PurgeMiddleware, cache=cache, auth=TOKEN)
    return Signed(api)


def __getattr__(name: str) -> ASGIApp:
    """``app``, made when a server asks for it: this module is imported by the tests too."""
    if name != "app":
        raise AttributeError(name)
    cache = Cache(os.environ["ADMIN_PROCESS_URL"], prefix="admin", command_timeout=FEW_FAULTS)
    return make(cache, Path(os.environ["ADMIN_PROCESS_VALUE"]))
