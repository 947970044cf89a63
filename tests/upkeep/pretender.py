"""Plays `systemctl`, `launchctl` or `crontab` for a test; run as a script, with nothing but Python.

Called as `pretender.py NAME STATE ARGUMENTS…`. STATE is a directory: what was loaded stands in it,
and each call in `calls`. A file `refuses` there has it refuse everything with these words, a file
`deaf` has it agree to everything and do nothing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def systemctl(state: Path, words: list[str]) -> int:  # noqa: PLR0911 - a table, a row a verb
    """Do as the user manager does, as far as it is asked."""
    units = Path(os.environ["HOME"], ".config", "systemd", "user")
    active = state / "active"
    match words[1:]:
        case ["daemon-reload"]:
            return 0
        case ["enable", timer]:
            wants = units / "timers.target.wants" / timer
            wants.parent.mkdir(exist_ok=True)
            wants.unlink(missing_ok=True)
            wants.symlink_to(units / timer)
            return 0
        case ["restart", timer]:
            return 0 if (units / timer).exists() and _touched(active) else 5
        case ["disable", "--now", timer]:
            (units / "timers.target.wants" / timer).unlink(missing_ok=True)
            active.unlink(missing_ok=True)
            return 0
        case ["is-active", _]:
            print("active" if active.exists() else "inactive")  # noqa: T201 - it plays a program
            return 0 if active.exists() else 3
        case ["show", _, "--property=ActiveState,NextElapseUSecRealtime"]:
            print(f"ActiveState={'active' if active.exists() else 'inactive'}")  # noqa: T201 - likewise
            print("NextElapseUSecRealtime=Wed 2026-11-25 10:36:34 UTC")  # noqa: T201 - likewise
            return 0
    return _unknown(words)


def launchctl(state: Path, words: list[str]) -> int:
    """Do as launchd does for agents, as far as it is asked."""
    loaded = state / "loaded"
    match words:
        case ["print", target]:
            return 0 if loaded.exists() and loaded.read_text() == target else 113
        case ["bootstrap", domain, path]:
            if loaded.exists():
                print("Bootstrap failed: 5: Input/output error", file=sys.stderr)  # noqa: T201 - likewise
                return 5
            loaded.write_text(f"{domain}/{Path(path).stem}")
            return 0
        case ["bootout", target] if loaded.exists() and loaded.read_text() == target:
            loaded.unlink()
            return 0
    return _unknown(words)


def crontab(state: Path, words: list[str]) -> int:
    """Do as Debian's crontab does, as far as it is asked."""
    table = state / "crontab"
    match words:
        case ["-l"] if table.exists():
            sys.stdout.buffer.write(table.read_bytes())
            return 0
        case ["-"]:
            table.write_bytes(sys.stdin.buffer.read())
            return 0
        case ["-r"] if table.exists():
            table.unlink()
            return 0
        case ["-l"] | ["-r"]:
            print("no crontab for root", file=sys.stderr)  # noqa: T201 - likewise
            return 1
    return _unknown(words)


def loginctl(_state: Path, words: list[str]) -> int:
    """Say that the person does not linger."""
    print("no")  # noqa: T201 - likewise
    return 0 if words[0] == "show-user" else 1


def main() -> int:
    """Note the call and play the program."""
    _, name, state, *words = sys.argv
    with Path(state, "calls").open("a") as calls:
        calls.write(json.dumps([name, *words]) + "\n")
    refusal = Path(state, "refuses")
    if refusal.exists():
        print(refusal.read_text(), file=sys.stderr)  # noqa: T201 - likewise
        return 1
    if Path(state, "deaf").exists():
        return 113 if words[0] == "print" else 0
    roles = {one.__name__: one for one in (systemctl, launchctl, crontab, loginctl)}
    return roles[name](Path(state), words)


def _touched(path: Path) -> bool:
    path.touch()
    return True


def _unknown(words: list[str]) -> int:
    print(f"unknown words: {words}", file=sys.stderr)  # noqa: T201 - likewise
    return 64


if __name__ == "__main__":
    sys.exit(main())
