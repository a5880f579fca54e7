"""How deep JSON text nests, before a parser makes anything of it."""

import re
from itertools import accumulate
from typing import Final

__all__ = ["deeper_than"]

_TEXT: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_USUAL_DEPTH: Final = 8
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def deeper_than(text: bytes, limit: int) -> bool:
    """Whether brackets nest deeper, without a walk in Python and, as values usually are, without looking at text.

    Brackets within text can hide depth from it: what then gets through is bounded by the parser's own guard.
    """
    return _nests_deeper(text, limit) and _nests_deeper(_TEXT.sub(b"", text), limit)


def _nests_deeper(text: bytes, limit: int) -> bool:
    brackets = text.translate(None, _NOT_BRACKETS)
    if len(brackets) <= limit:
        return False
    left = brackets
    for _ in range(_USUAL_DEPTH):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
        if not left:
            return False
    return max(accumulate(map(_STEPS.__getitem__, brackets))) > limit
