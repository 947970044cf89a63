"""Secrets in histories: what to look for there, and the looking, which ends when it is told to."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from guard.errors import GuardError
from guard.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from guard.history import Finding, HistoryFile, Look, Removal
    from twg.cli.wiring import Wiring

T = TypeVar("T")

REFUSED: Final = "refused-secret"
"""The kind of what was refused for its option's name alone."""


def lookout(wiring: Wiring, *, shapes: bool, texts: Mapping[str, str] | None = None) -> Lookout:
    """Return what looks for all that this installation knows of: by fingerprint, and by shape.

    Known by fingerprint is what was refused here, and what the audit record names. Nothing is
    opened for it, and where there is neither, nothing is made. It blocks.

    Args:
        wiring: Knows where they are.
        shapes: Whether to look for what has the look of a secret, too.
        texts: What to look for besides, and the kind.

    Raises:
        GuardError: One of these files is not to be trusted.
    """
    from guard.audit import fingerprints_in  # noqa: PLC0415 - only to look for secrets

    state = wiring.settings.state_dir
    known: dict[str, str] = {}
    if (state / "audit.key").exists():
        refused = {each.fingerprint: each.kind for each in wiring.refused.load()}
        known = fingerprints_in(state / "audit.jsonl") | refused
    return Lookout(
        shapes=shapes, texts=texts, fingerprints=known, fingerprint=wiring.audit.fingerprint
    )


async def lookout_for(wiring: Wiring) -> Lookout:
    """Return what looks for all kinds of secrets; only by their looks where that is all there is.

    The person is told why, if so.
    """
    from anyio import to_thread  # noqa: PLC0415 - not for who blocks anyway

    try:
        return await to_thread.run_sync(partial(lookout, wiring, shapes=True))
    except GuardError as error:
        wiring.output.warn(f"only what looks like a secret is looked for: {error}")
        return Lookout(shapes=True)


async def find(wiring: Wiring, look: Look) -> tuple[list[Finding], dict[Path, GuardError]]:
    """Return what `look` finds in the histories, and which of them cannot be read.

    Cancelled, the looking ends at the next entry.
    """
    unreadable: dict[Path, GuardError] = {}

    def note(file: HistoryFile, error: GuardError) -> None:
        unreadable[file.path] = error

    def work(bounded: Look) -> list[Finding]:
        return list(wiring.histories.find(bounded, unreadable=note))

    return await _in_thread(work, look), unreadable


async def remove(wiring: Wiring, look: Look) -> list[Removal]:
    """Remove from the histories what `look` finds in them; cancelled, as `find`."""
    return await _in_thread(wiring.histories.remove, look)


def record_removal(wiring: Wiring, removals: Sequence[Removal]) -> None:
    """Note in the audit record how much was removed from which histories; it blocks.

    Raises:
        GuardError: It cannot be recorded.
    """
    gone = Counter[str]()
    for each in removals:
        gone[each.shell] += each.removed
    told = ", ".join(f"{shell} {count}" for shell, count in sorted(gone.items()) if count)
    failed = sum(each.problem is not None for each in removals)
    if told or failed:
        wiring.audit.record(
            "history.scrubbed",
            outcome="partial" if failed else "ok",
            reason=f"entries removed: {told or 'none'}; histories not cleaned: {failed}",
        )


async def _in_thread(work: Callable[[Look], T], look: Look) -> T:
    from anyio import to_thread  # noqa: PLC0415 - not for who blocks anyway

    with Patience() as patience:
        return await to_thread.run_sync(work, patience.within(look), abandon_on_cancel=True)


class Patience:
    """How long a thread may look: until this context ends. Then its next look raises."""

    def __init__(self) -> None:
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def within(self, look: Look) -> Look:
        """Return `look` as it is to be used by the thread."""

        def bounded(entry: str) -> Iterable[str]:
            if self._over.is_set():
                raise TimeIsUp
            return look(entry)

        return bounded


class TimeIsUp(Exception):
    """Nobody waits for what is looked for any more."""
