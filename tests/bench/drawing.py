"""Two small pictures, drawn by hand: lines on logarithmic scales, and bars."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 640
COLOURS = ("#0052cc", "#00875a", "#de350b", "#6554c0")
STYLE = "text { font: 13px sans-serif; fill: #172b4d } .quiet { fill: #6b778c }"


def lines(title: str, lines: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> str:
    """Draw each named line of points above its x, both scales logarithmic."""
    points = [point for line in lines.values() for point in line]
    bottom = math.floor(math.log10(min(y for _, y in points)))
    top = math.ceil(math.log10(max(y for _, y in points)))
    right = math.log10(max(x for x, _ in points)) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        up = (math.log10(y) - bottom) / max(top - bottom, 1)
        return 70 + 430 * math.log10(x) / right, 290 - 240 * up

    drawn = [_text(20, 24, title)]
    for power in range(bottom, top + 1):
        _, y = place(1, 10.0**power)
        drawn.append(f'<line x1="70" x2="500" y1="{y:.0f}" y2="{y:.0f}" stroke="#dfe1e6"/>')
        drawn.append(_text(10, y + 4, f"{10.0**power:g} {unit}", "quiet"))
    marks = sorted({x for x, _ in points})
    drawn += [_text(place(x, 1)[0] - 8, 312, f"{x:g}", "quiet") for x in marks]
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        path = " ".join(f"{x:.0f},{y:.0f}" for x, y in (place(*point) for point in line))
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(_text(508, place(*line[-1])[1] + 4, name))
    return _picture(330, drawn)


def bars(title: str, bars: Sequence[tuple[str, float, float]]) -> str:
    """Draw a bar for each name, as much of it filled as the first number is of the second."""
    drawn = [_text(20, 24, title)]
    for row, (name, part, whole) in enumerate(bars):
        y = 44 + 24 * row
        drawn.append(_text(20, y + 13, name))
        drawn.append(f'<rect x="270" y="{y}" width="280" height="16" fill="#dfe1e6"/>')
        filled = 280 * part / whole
        drawn.append(
            f'<rect x="270" y="{y}" width="{filled:.0f}" height="16" fill="{COLOURS[2]}"/>'
        )
        drawn.append(_text(560, y + 13, f"{part:.0f} of {whole:.0f}", "quiet"))
    return _picture(60 + 24 * len(bars), drawn)


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{chosen}>{escape(text)}</text>'


def _picture(height: int, drawn: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">'
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", ground, *drawn, "</svg>", ""])
