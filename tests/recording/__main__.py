"""Records the session anew and draws it: ``make picture``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import anyio

from tests.recording import picture, session

PICTURE: Final = Path(__file__).parents[2] / "docs" / "terminal.svg"
PORT: Final = 8765
"""Always the same, so that the picture changes only where what twg says did."""

TITLE: Final = "A terminal session with twg"
DESCRIPTION: Final = (
    "Somebody signs in at the sandbox in their browser, looks at the sign-in, gets an issue from "
    "Jira, is refused for giving a token as an argument, and signs out."
)


async def draw() -> str:
    """Record, and return the picture."""
    with tempfile.TemporaryDirectory(prefix="twg-recording-") as folder:
        raw = await session.record(Path(folder), port=PORT)
    lines = picture.shown(raw, columns=session.COLUMNS, rows=session.ROWS)
    # Without the prompt that waits for what nobody types, and the empty line before it.
    return picture.drawn(lines[:-2], columns=session.COLUMNS, title=TITLE, description=DESCRIPTION)


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(anyio.run(draw), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.name}: {PICTURE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
