"""Processes that renew, light and ready at once: ``python -m tests.refresh.workers ROOT``.

One process imports everything and renews once; from it a child is forked for each line that comes,
so that a child costs milliseconds and no module is loaded while it is looked at.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path

from guard.audit import Actor, AuditLog, load_or_create_key
from guard.custody import Custody
from guard.errors import GuardError
from guard.scrub import Scrubber
from twg.auth.tokens import TokenManager
from twg.errors import TwgError
from twg.http import Http
from twg.vault import KeyKeeper, SealedStore

BESIDE = "beside"
"""The profile that is renewed first, for whatever a process does but once."""
LINE = 4096


def say(line: str) -> None:
    # By a call that nobody counts or lets fail.
    os.writev(sys.stdout.fileno(), [f"{line}\n".encode()])


def next_line() -> str:
    """Return what comes next on standard input; nobody sends a second line before an answer."""
    return os.read(sys.stdin.fileno(), LINE).decode().strip()


def audited_custody(root: Path) -> Custody:
    """Return a custody with a real audit record, as every command has one."""
    state = root / "state"
    scrubber = Scrubber()
    record = AuditLog(
        state / "audit.jsonl",
        key=lambda: load_or_create_key(state / "audit.key"),
        actor=Actor.of_this_process(agent=None, command="auth refresh", environ={}),
        scrubber=scrubber,
    )
    return Custody(scrubber, record)


def audited_store(root: Path, custody: Custody) -> SealedStore:
    """Return the store as every command has it, its key in a file."""
    state = root / "state"
    return SealedStore(
        root / "config" / "auth.conf",
        state_dir=state,
        keys=KeyKeeper(state, custody=custody, preferred="file"),
        custody=custody,
    )


async def renew(root: Path) -> None:
    """Renew one profile, tell that all is ready, and renew the other one when told to."""
    custody = audited_custody(root)
    store = audited_store(root, custody)
    async with (
        Http() as http,
        TokenManager(store=store, http=http, custody=custody, warn=say) as manager,
    ):
        await manager.renew(BESIDE, force=True)
        say(f"ready {os.getpid()}")
        next_line()
        try:
            await manager.renew("default", force=True)
        except (TwgError, GuardError) as error:
            say(f"failed {getattr(error, 'code', type(error).__name__)} {error}")
        else:
            say("renewed")


def fork_and_renew(root: Path) -> int:
    """Renew in a child; return how it ended, a signal as a negative number."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(renew(root))
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(warm_root: str) -> None:
    """Fork a child for each line, which names its root."""
    asyncio.run(renew(Path(warm_root)))
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    say("warm")
    while line := next_line():
        say(f"ended {fork_and_renew(Path(line))}")


if __name__ == "__main__":
    main(sys.argv[1])
