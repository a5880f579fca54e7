"""The rules of a cache that is measured: the price of rules is part of every figure."""

from hotplate import Rule


def twenty(matching: Rule) -> list[Rule]:
    """Nineteen rules that match nothing, then the one that does."""
    others = [Rule(f"/section-{number}/{{item}}/*", ttl=60, tags=[f"section:{number}"]) for number in range(19)]
    return [*others, matching]
