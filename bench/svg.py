"""The parts of a drawing: how it looks, a scale, text and lines.

The background is transparent and the colours follow the reader's light or dark scheme, by a media query that works in
an image, too. Where a page has another scheme than the reader's system, the halo around the text keeps it readable.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

STYLE = """
svg { font-family: system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; font-size: 13px }
text { fill: #1f2328; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; stroke-linejoin: round }
.title { font-size: 15px; font-weight: 600 }
.muted { fill: #59636e; font-size: 12px }
.ours-text { font-weight: 600 }
.end { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #d1d9e0; stroke-width: 1 }
.reference { stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 3 }
.bar { fill: #9aa7b5 }
.ours { fill: #d9541e }
.whisker { stroke: #1f2328; stroke-width: 1.5; fill: none }
.budget { stroke: #0a69c7; stroke-width: 3 }
.line { stroke: #7d8b9a; stroke-width: 2; fill: none }
.ours-line { stroke: #d9541e; stroke-width: 2.5; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; stroke: #0d1117 }
  .muted { fill: #9fa9b4 }
  .grid { stroke: #343b45 }
  .reference { stroke: #9fa9b4 }
  .bar { fill: #647080 }
  .ours { fill: #f0703a }
  .whisker { stroke: #e6edf3 }
  .budget { stroke: #58a6ff }
  .line { stroke: #8b98a8 }
  .ours-line { stroke: #f0703a }
}
"""
LOGARITHMIC_FROM = 30.0
"""How many times the least value the greatest has to be."""


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    length: float
    logarithmic: bool

    @classmethod
    def of(cls, values: Sequence[float], length: float, logarithmic: bool | None = None) -> "Scale":
        """One on which all of the values have room; `logarithmic` where it is not to be decided here."""
        positive = [value for value in values if value > 0] or [1.0]
        low, high = min(positive), max(positive)
        if logarithmic is None:
            logarithmic = high / low > LOGARITHMIC_FROM
        return cls(low / 1.6 if logarithmic else 0.0, high * (1.12 if logarithmic else 1.06), length, logarithmic)

    def at(self, value: float) -> float:
        """Pixels from the low end."""
        if self.logarithmic:
            value = max(value, self.low)
            return self.length * math.log(value / self.low) / math.log(self.high / self.low)
        return self.length * value / self.high

    def ticks(self) -> list[float]:
        """Round values: from four to ten of them."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if len(decades) < 4 else (1,)
            found = [step * 10.0**decade for decade in decades for step in steps]
        else:
            rough = 10.0 ** math.floor(math.log10(self.high / 4))
            step = next(step for step in (rough, 2 * rough, 2.5 * rough, 5 * rough, 10 * rough) if self.high / step < 7)
            found = [step * count for count in range(1 + math.floor(self.high / step))]
        return [value for value in found if self.low <= value <= self.high]


def document(width: float, height: float, title: str, drawn: Iterable[str]) -> str:
    """What is drawn, as an image with a title for those who cannot see it."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    return "\n".join([head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", *drawn, "</svg>\n"])


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A line from one point to another, of a class of `STYLE`."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x: float, y: float, written: str, kind: str = "") -> str:
    """Text as it is, of classes of `STYLE`; what is code in Markdown loses its ticks."""
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{of}>{escape(written.replace("`", ""))}</text>'
