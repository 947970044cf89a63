"""Draws which part of the code imports which, from its imports: ``make map`` writes the picture."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tests.docs.markdown import ROOT
from tests.test_architecture import FOUNDATION, imports, module_of, part_of, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = ROOT / "docs" / "architecture.svg"
NOT_DRAWN = {"twg", "twg.__main__"}
"""The version and what is promised to programs, and what `python -m twg` starts."""

COMMANDS = "twg.cli"
UNIT, ROW, HEIGHT, LEFT, TOP = 68, 74, 34, 20, 108
STYLE = (
    "text { font: 13px sans-serif; fill: #172b4d; text-anchor: middle } "
    ".quiet { fill: #6b778c } "
    "rect { stroke: #172b4d; fill: #fff } .used { fill: #deebff } .frame { stroke: #c1c7d0 } "
    "line { stroke: #172b4d; marker-end: url(#tip) }"
)


class Place(NamedTuple):
    """Where a part is drawn: from one column to another, in a row."""

    left: float
    right: float
    row: float


PLACES = {
    "twg.upkeep": Place(0.2, 4, 0),
    "twg.audit": Place(4.5, 5.8, 0),
    "twg.mcp": Place(6, 7.1, 0),
    "twg.schemas": Place(7.3, 8.8, 0),
    "twg.settings": Place(9, 10.4, 0),
    "twg.skills": Place(10.6, 11.9, 0),
    "twg.auth": Place(1.5, 9, 1),
    "twg.policy": Place(1.4, 2.7, 2),
    "twg.products": Place(3.6, 6.6, 2),
    "twg.oauth": Place(7.5, 9.2, 2),
    "twg.git": Place(9.4, 10.3, 2),
    "twg.sandbox": Place(10.5, 11.9, 2),
    "twg.vault": Place(0.2, 5, 3),
    "twg.http": Place(5.4, 11.9, 3),
    "twg.transport": Place(5.4, 8.5, 4),
    "twg.trust": Place(8.7, 11.9, 4),
    "twg.errors": Place(0, 5.85, 5.6),
    "twg.events": Place(6.15, 12, 5.6),
    "guard": Place(0, 12, 6.6),
}
"""Laid out so that each arrow can be a straight line downwards, past all other parts."""


def arrows() -> dict[str, set[str]]:
    """Return for each part the others that it imports, for type checkers alone included."""
    found: dict[str, set[str]] = {}
    for path in sources():
        here = part_of(module_of(path)) or ""
        others = {part_of(one.target) for one in imports(path)} - {None, here}
        found.setdefault(here, set()).update(other for other in others if other)
    return found


def picture() -> str:
    """Return the picture as SVG."""
    found = {part: others for part, others in arrows().items() if part not in NOT_DRAWN}
    used = found.pop(COMMANDS)
    assert set(found) == set(PLACES), set(found) ^ set(PLACES)
    drawn = [
        _box(Place(0, 12, -1.15), f"{COMMANDS}: imports what is blue"),
        _arrow(6, -1.15, -0.3),
        _frame(Place(0, 12, 0), rows=4),
        _note(6, 4.9, "may be imported by all above, where they need it"),
    ]
    drawn += [_box(PLACES[part], part, used=part in used) for part in sorted(found)]
    drawn += [
        _arrow(_column(part, other), PLACES[part].row, PLACES[other].row)
        for part, other in _lines(found)
    ]
    return _svg(drawn)


def _lines(found: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield the arrows to draw: not those to what all may import, but those among that."""
    for part, others in sorted(found.items()):
        for other in sorted(others - NOT_DRAWN):
            if part in FOUNDATION or other not in FOUNDATION:
                yield part, other


def _column(part: str, other: str) -> float:
    """Return the middle of the widest gap through which a line leads from one to the other."""
    above, below = PLACES[part], PLACES[other]
    between = sorted(p for p in PLACES.values() if above.row < p.row < below.row)
    left, right = max(above.left, below.left), min(above.right, below.right)
    edges = [(left, left), *((p.left, p.right) for p in between), (right, right)]
    gaps = [(max(a, left), min(b, right)) for (_, a), (b, _) in pairwise(edges)]
    start, end = max(gaps, key=lambda gap: gap[1] - gap[0])
    assert end - start > 0.2, f"no way from {part} to {other}: lay them out anew"
    return (start + end) / 2


def _x(column: float) -> float:
    return LEFT + UNIT * column


def _y(row: float) -> float:
    return TOP + ROW * row


def _box(place: Place, name: str, *, used: bool = False) -> str:
    left, right = _x(place.left), _x(place.right)
    kind = ' class="used"' if used else ""
    return (
        f'<rect x="{left:.0f}" y="{_y(place.row):.0f}" width="{right - left:.0f}" '
        f'height="{HEIGHT}" rx="4"{kind}/>'
        f'<text x="{(left + right) / 2:.0f}" y="{_y(place.row) + 22:.0f}">{escape(name)}</text>'
    )


def _frame(place: Place, *, rows: int) -> str:
    return (
        f'<rect x="{_x(place.left) - 8:.0f}" y="{_y(-0.2):.0f}" '
        f'width="{_x(place.right) - _x(place.left) + 16:.0f}" '
        f'height="{ROW * rows + HEIGHT + 30:.0f}" rx="6" class="frame"/>'
    )


def _arrow(column: float, row: float, other_row: float) -> str:
    x, y = _x(column), _y(row) + HEIGHT
    return f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{y:.0f}" y2="{_y(other_row) - 7:.0f}"/>'


def _note(column: float, row: float, words: str) -> str:
    return f'<text x="{_x(column):.0f}" y="{_y(row) + 12:.0f}" class="quiet">{escape(words)}</text>'


def _svg(drawn: list[str]) -> str:
    width, height = LEFT * 2 + UNIT * 12, _y(PLACES["guard"].row) + HEIGHT + 20
    tip = (
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="1" refY="4" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#172b4d"/></marker></defs>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}">',
            f"<style>{STYLE}</style>",
            tip,
            f'<rect width="{width}" height="{height:.0f}" style="stroke: none"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def main() -> None:
    """Write it."""
    PICTURE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
