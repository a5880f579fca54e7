"""The cache of the whole shop: values by the service layer, responses by the middleware, one invalidation for both.

`CACHE_URL` chooses where it is: `memory://`, or for several processes `redis://localhost:6379/0?prefix=shop`. Every
setting of a shared cache can stand in the URL, so nothing else changes with it.
"""

import os

from hotplate import Cache

cache = Cache(os.environ.get("CACHE_URL", "memory://"))
