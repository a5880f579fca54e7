"""What happens in the shop, and what each event makes untrue.

Writers say what has happened (`work.tell(ProductEvent.UPDATED, product_id=1)`), never what is cached of it: a new list
or page that shows products is a line here, and no write changes.
"""

import enum
import logging

from examples.shop.cache import cache

logger = logging.getLogger("shop")


class ProductEvent(enum.Enum):
    """Something happened to the product `product_id`."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


# A new product makes its own tag untrue too: somebody may have been told that it does not exist.
for event in ProductEvent:
    cache.on(event, invalidate_tags=["product:{product_id}", "products:list"])


@cache.on(ProductEvent.DELETED)
async def note_deletion(product_id: int) -> None:
    """A handler runs once, in the process that told; if it fails, that is logged, and the request is answered."""
    logger.info("product %d is no longer on sale", product_id)
