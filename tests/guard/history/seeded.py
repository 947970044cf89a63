"""What the tests of histories share: a made-up secret, who knows it, and one history in a home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from guard.history import Histories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET: Final = "n0t-A-r3al.token_Value~9"


def look(text: str) -> Iterator[str]:
    """Tell the kind of the made-up secret where it stands."""
    if SECRET in text:
        yield "made-up"


def of(home: Path, **environ: str) -> Histories:
    """Return the histories of a person with that home."""
    return Histories(environ=environ, home=home)


def names(directory: Path) -> list[str]:
    """Return what stands in a directory, temporary files too."""
    return sorted(path.name for path in directory.iterdir())
