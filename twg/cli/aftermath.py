"""After a refusal: the secret leaves the histories, and is kept in mind so that it is found again.

A shell holds the line that it runs, and most write it into their history only afterwards. So the
first look seldom finds it; `twg doctor`, `twg guard scrub-history` and the next refusal look again.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard import agents
from guard.errors import GuardError
from guard.lookout import REFUSED, Lookout, is_telling, marks_of
from twg.cli.leaks import PROGRAMS, Patience, TimeIsUp, lookout_for_refused, record_removal
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from guard.errors import SecretRefused
    from guard.history import Removal
    from twg.cli.wiring import Wiring

SECONDS: Final = 5.0
"""How long the histories may take."""

_GRACE: Final = 1.0

_SHELLS: Final = {
    "bash": "bash",
    "zsh": "zsh",
    "fish": "fish",
    "pwsh": "powershell",
    "powershell": "powershell",
}
# For what is typed next. bash counts that command itself as its last one, and may have written the
# line at its prompt meanwhile (`history -a`). zsh has no command that drops a line; what it has
# written already, though, it does not write again, unless it writes its history anew each time.
_FORGETS_BY: Final = {
    "bash": "history -d -2; twg guard scrub-history",
    "zsh": "fc -AI; setopt appendhistory; twg guard scrub-history",
}


class Aftermath(NamedTuple):
    """What was done after a refusal.

    Attributes:
        removals: What came of the histories concerned.
        kept: Whether the secret will be known again.
        not_kept: Why it will not, in words; None if there was nothing to keep.
        problem: Why not all histories were looked at, in words; None if they were.
        shell: The shell that has the line in its memory, as far as that is known.
    """

    removals: tuple[Removal, ...] = ()
    kept: bool = False
    not_kept: str | None = None
    problem: str | None = None
    shell: str | None = None

    @property
    def forgets_by(self) -> str | None:
        """The command by which that shell does not write the line; None where it will not."""
        written = any(each.shell == self.shell == "zsh" and each.removed for each in self.removals)
        return None if written or self.shell is None else _FORGETS_BY.get(self.shell)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "removed": {str(path): count for path, count in self._removed().items()},
            "not_removed": {str(path): why for path, why in self._left()},
            "problem": self.problem,
            "watched_for": self.kept,
            "not_watched_for": self.not_kept,
            "live_shell": self.shell,
            "live_shell_forgets_by": self.forgets_by,
        }

    def lines(self, wiring: Wiring) -> Iterator[str]:
        """Yield what a person has to know of it."""
        for path, count in self._removed().items():
            entries = "1 entry" if count == 1 else f"{count} entries"
            yield f"Removed {entries} that held it from {wiring.shown(path)}."
        for path, why in self._left():
            yield f"It may still stand in {wiring.shown(path)}: {why}"
        if self.problem is not None:
            yield f"Not all histories were looked at: {self.problem}."
        yield from self._of_the_shell()
        if self.not_kept is not None:
            yield f"It will not be known again if it comes back: {self.not_kept}."
        if self.kept:
            yield "If it comes back, `twg doctor` tells; `twg guard scrub-history` removes it."

    def _of_the_shell(self) -> Iterator[str]:
        if self.forgets_by is not None:
            yield (
                f"Your {self.shell} has the line in its memory and may write it into its history "
                f"later: run `{self.forgets_by}` in it next."
            )
        elif self.shell is not None:
            yield f"Your {self.shell} has the line in its memory until it ends."

    def _removed(self) -> Counter[Path]:
        removed: Counter[Path] = Counter()
        for each in self.removals:
            removed[each.path] += each.removed
        return +removed

    def _left(self) -> Iterator[tuple[Path, str]]:
        for each in self.removals:
            if each.problem is not None:
                yield each.path, f"{each.problem} {each.problem.remedy}".strip()


def clean_up(wiring: Wiring, error: SecretRefused) -> Aftermath | None:
    """Take what was refused out of the histories, and keep its fingerprint. It never raises.

    What was refused before is taken out too, if it has come back. It blocks, for `SECONDS` at most.

    Returns:
        What was done; None where there was nothing to do.
    """
    words = wiring.argv
    if error.way == "environment":
        words = (f"{error.name}={wiring.environ.get(error.name, '')}",)  # as it was set
    marks = marks_of(error.values, words)
    if not marks and not _were_refused_before(wiring):
        return None
    why = late = f"it took longer than {SECONDS:g} seconds"
    done = [Aftermath(shell=_shell_that_holds(wiring, error), problem=late)]
    with Patience() as patience:
        # Of no thread of the event loop's: there may be none, and nothing waits for this one at
        # the end. What it replaces is replaced whole or not at all.
        worker = threading.Thread(target=_work, args=(wiring, marks, patience, done), daemon=True)
        try:
            worker.start()
            worker.join(SECONDS)
        except KeyboardInterrupt:
            why = "it was interrupted"
    with suppress(KeyboardInterrupt):
        worker.join(_GRACE)  # so that no shell's lock stays behind
    return done[-1]._replace(problem=why) if done[-1].problem == late else done[-1]


def _work(
    wiring: Wiring, marks: Mapping[str, str], patience: Patience, done: list[Aftermath]
) -> None:
    so_far = done[-1]
    try:
        before = _refused_before(wiring)
        not_kept = _keep_in_mind(wiring, marks)
        kept = bool(marks) and not_kept is None
        done.append(so_far := so_far._replace(kept=kept, not_kept=not_kept))
        # What is at hand is found at once; what is known by fingerprint takes longer.
        for look in (_at_hand(marks), before):
            if look is not None:
                removals = wiring.histories.remove(patience.within(look))
                done.append(so_far := so_far._replace(removals=(*so_far.removals, *removals)))
                with suppress(GuardError, TwgError):  # as the refusal itself, and that is told
                    record_removal(wiring, removals)
        done.append(so_far._replace(problem=None))
    except TimeIsUp:
        return  # and that is told
    except Exception as error:  # noqa: BLE001 - a refusal stays a refusal, whatever happens here
        done.append(so_far._replace(problem=f"an unexpected error ({type(error).__name__})"))


def _at_hand(marks: Mapping[str, str]) -> Lookout | None:
    return Lookout(texts=marks, programs=PROGRAMS) if marks else None


def _keep_in_mind(wiring: Wiring, marks: Mapping[str, str]) -> str | None:
    """Keep the fingerprints of `marks`; return why that cannot be, or None."""
    by_sort: dict[tuple[str, bool], list[str]] = {}
    try:
        for mark, kind in marks.items():
            sort = (REFUSED if kind == "secret" else kind, is_telling(mark))
            by_sort.setdefault(sort, []).append(wiring.audit.fingerprint(mark))
        for (kind, alone), fingerprints in by_sort.items():
            wiring.refused.add(fingerprints, kind, alone=alone)
    except (GuardError, TwgError) as error:
        return str(error).rstrip(".")
    return None


def _refused_before(wiring: Wiring) -> Lookout | None:
    try:
        return lookout_for_refused(wiring)
    except (GuardError, TwgError):
        return None  # told where it is added to


def _were_refused_before(wiring: Wiring) -> bool:
    try:
        return wiring.refused.path.exists()
    except TwgError:
        return False


def _shell_that_holds(wiring: Wiring, error: SecretRefused) -> str | None:
    """Return which shell has typed what was refused; None where none has, or it is not known."""
    from guard.audit import Actor  # noqa: PLC0415 - has been imported to record the refusal

    # What an agent or no terminal started was typed into none; a variable was set at another time.
    here = Actor.of_this_process(agent=None, command="", environ={})
    if error.way != "argument" or here.tty is None or wiring.agent is not None:
        return None
    names = (name.removeprefix("-") for name in agents.ancestor_names())
    return next((_SHELLS[name] for name in names if name in _SHELLS), None)
