"""Numbers as people read them: times, sizes, shares, and what a histogram says of most requests."""

from collections.abc import Mapping, Sequence
from typing import Any

from hotplate.watching import BOUNDS

__all__ = ["age_text", "bytes_text", "count_text", "quantile", "seconds_text", "share_text"]


def seconds_text(seconds: float | None) -> str:
    """A short time: ``12 µs``, ``1.5 ms``, ``2.5 s``."""
    if seconds is None:
        return "-"
    if abs(seconds) >= 1000:
        return f"{seconds:,.0f} s"
    unit, scale = next((one for one in (("s", 1.0), ("ms", 1e-3)) if abs(seconds) >= one[1]), ("µs", 1e-6))
    return f"{seconds / scale:.3g} {unit}"


def age_text(seconds: float) -> str:
    """A long time in its two largest units: ``1h 5m``, ``12s``; with its sign."""
    sign, left = ("-", -seconds) if seconds < 0 else ("", seconds)
    if left < 10 and left != int(left):
        return f"{sign}{left:.1f}s"
    whole = int(left)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + (" ".join(parts[:2]) or "0s")


def bytes_text(size: float) -> str:
    """A size: ``512 B``, ``1.5 KiB``, ``64 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def count_text(count: float) -> str:
    """A count with its thousands apart."""
    return f"{count:,.0f}"


def share_text(part: float, whole: float) -> str:
    """A part in per cent, to a tenth."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def quantile(histogram: Mapping[str, Any], share: float) -> float | None:
    """About the seconds within which this share of what was measured lies; ``None`` where nothing was.

    Within a bucket everything is taken to lie evenly. What lies above the last bound is taken to lie at it.
    """
    buckets: Sequence[int] = histogram["buckets"]
    wanted = share * sum(buckets)
    if not wanted:
        return None
    below = 0
    for index, count in enumerate(buckets[: len(BOUNDS)]):
        if count and below + count >= wanted:
            start = BOUNDS[index - 1] if index else 0.0
            return start + (BOUNDS[index] - start) * (wanted - below) / count
        below += count
    return BOUNDS[-1]
