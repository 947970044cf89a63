"""Draws what a terminal shows as an SVG picture, whose text can be selected and read aloud."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import pyte

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

_FONT_SIZE: Final = 13
_COLUMN: Final = 7.8
_ROW: Final = 17
_PADDING: Final = 22
_FONTS: Final = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"

# The names are pyte's, whose brown is everybody's yellow. Each stands out from the background by a
# contrast of 7 to 1 (WCAG 2.2, 1.4.6).
_BACKGROUND: Final = "#0f141a"
_COLOURS: Final = {
    "default": "#d3dae3",
    "black": "#a3adb8",
    "red": "#ff9d96",
    "green": "#6fdb8b",
    "brown": "#e8c468",
    "blue": "#8cbcff",
    "magenta": "#dcb0ff",
    "cyan": "#70d6e0",
    "white": "#ffffff",
}


class Style(NamedTuple):
    """How a character looks.

    Attributes:
        colour: As pyte names it.
        bold: Whether it is bold.
    """

    colour: str
    bold: bool

    @classmethod
    def of(cls, character: pyte.screens.Char) -> Self:
        """Return a character's."""
        return cls(character.fg.removeprefix("bright"), character.bold)

    @property
    def attributes(self) -> str:
        """The attributes of an SVG element."""
        colour = "" if self.colour == "default" else f' fill="{_COLOURS[self.colour]}"'
        return colour + (' font-weight="bold"' if self.bold else "")


class Run(NamedTuple):
    """Characters of one look beside each other.

    Attributes:
        column: Where they begin.
        text: What they are.
        style: How they look.
    """

    column: int
    text: str
    style: Style


def shown(raw: bytes, *, columns: int, rows: int) -> list[list[Run]]:
    """Return what a terminal shows that was sent `raw`: a line a row, without empty ones around.

    Args:
        raw: What programs have put out.
        columns: The window's width.
        rows: The window's height, in which all of it must fit.

    Raises:
        ValueError: It does not fit.
    """
    screen = pyte.HistoryScreen(columns, rows)
    pyte.ByteStream(screen).feed(raw)
    if screen.history.top:
        raise ValueError(f"more than {rows} rows were put out")
    found = [
        list(_runs([screen.buffer[row][column] for column in range(columns)]))
        for row in range(rows)
    ]
    used = [number for number, line in enumerate(found) if line]
    return found[used[0] : used[-1] + 1] if used else []


def text_of(lines: list[list[Run]]) -> str:
    """Return the lines as text."""
    return "\n".join("".join(run.text for run in line) for line in lines)


def drawn(lines: list[list[Run]], *, columns: int, title: str, description: str) -> str:
    """Return the picture.

    Args:
        lines: What is shown.
        columns: The window's width.
        title: What it is, for whoever does not see it.
        description: What happens in it.
    """
    width = round(columns * _COLUMN + 2 * _PADDING)
    height = len(lines) * _ROW + 2 * _PADDING
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    look = f'fill="{_COLOURS["default"]}" font-family={quoteattr(_FONTS)} font-size="{_FONT_SIZE}"'
    named = 'role="img" aria-labelledby="title description"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named}>',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
            f'<rect width="100%" height="100%" rx="10" fill="{_BACKGROUND}"/>',
            f"<g {look}>",
            *(_row(number, line) for number, line in enumerate(lines) if line),
            "</g>",
            "</svg>",
            "",
        ]
    )


def _runs(row: list[pyte.screens.Char]) -> Iterator[Run]:
    """Yield the runs of a row, up to the last character that is no blank."""
    used = len("".join(character.data for character in row).rstrip())
    column = 0
    for style, characters in groupby(row[:used], Style.of):
        text = "".join(character.data for character in characters)
        yield Run(column, text, style)
        column += len(text)


def _row(number: int, line: list[Run]) -> str:
    y = _PADDING + number * _ROW + _FONT_SIZE
    spans = "".join(
        # Its length is told, for no two fonts agree on how wide a character is.
        f'<tspan x="{_PADDING + run.column * _COLUMN:g}" textLength="{len(run.text) * _COLUMN:g}"'
        f"{run.style.attributes}>{escape(run.text)}</tspan>"
        for run in line
    )
    # For old viewers and new ones, each of which knows one of the two ways to keep blanks.
    return f'<text y="{y}" xml:space="preserve" style="white-space:pre">{spans}</text>'
