"""Secrets in histories: what to look for there, and the looking, which ends when it is told to."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from guard.errors import GuardError
from guard.lookout import Lookout
from twg import events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from guard.history import Finding, HistoryFile, Look, Removal
    from twg.cli.wiring import Wiring

T = TypeVar("T")

PROGRAMS: Final = frozenset({"twg"})
"""What refuses secrets, as it is called."""


def lookout_for_refused(wiring: Wiring) -> Lookout | None:
    """Return what looks for what was refused before, by its fingerprint; None if nothing was.

    It blocks.

    Raises:
        GuardError: One of our files is not to be trusted.
    """
    words, phrases = _refused_before(wiring)
    if not words and not phrases:
        return None
    return _lookout(wiring, fingerprints=words, phrases=phrases)


async def lookout_for_all(wiring: Wiring) -> Lookout:
    """Return what looks for all kinds of secrets: by their looks, and by what is known of them.

    Known is what was refused, and what the audit record names; nothing is opened for it, and where
    there is neither, nothing is made. Where that cannot be read, the person is told.
    """
    from anyio import to_thread  # noqa: PLC0415 - not for who blocks anyway

    try:
        words, phrases = await to_thread.run_sync(_known, wiring)
    except GuardError as error:
        wiring.output.warn(f"only what looks like a secret is looked for: {error}")
        words, phrases = {}, {}
    return _lookout(wiring, shapes=True, fingerprints=words, phrases=phrases, commands=True)


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


def _lookout(wiring: Wiring, **wanted: Any) -> Lookout:
    return Lookout(**wanted, fingerprint=wiring.audit.fingerprint, programs=PROGRAMS)


def _known(wiring: Wiring) -> tuple[dict[str, str], dict[str, str]]:
    from guard.audit import fingerprints_in  # noqa: PLC0415 - only to look for secrets

    state = wiring.settings.state_dir
    # Without the key, no fingerprint could be compared with these.
    if not (state / "audit.key").exists():
        return {}, {}
    words, phrases = _refused_before(wiring)
    return fingerprints_in(state / "audit.jsonl") | words, phrases


def _refused_before(wiring: Wiring) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fingerprints of words, and those of phrases, that were refused."""
    refused = wiring.refused.load()
    words = {each.fingerprint: each.kind for each in refused if each.alone}
    return words, {each.fingerprint: each.kind for each in refused if not each.alone}


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
        events.history_scrubbed(
            wiring.audit,
            outcome="partial" if failed else "ok",
            what=f"entries removed: {told or 'none'}; histories not cleaned: {failed}",
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

    def within(self, look: Callable[[str], T]) -> Callable[[str], T]:
        """Return `look` as it is to be used by the thread."""

        def bounded(text: str) -> T:
            self.check()
            return look(text)

        return bounded

    def check(self) -> None:
        """Raise `TimeIsUp` if it is over."""
        if self._over.is_set():
            raise TimeIsUp


class TimeIsUp(Exception):
    """Nobody waits for what is looked for any more."""
