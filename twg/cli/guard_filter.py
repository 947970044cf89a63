"""`twg guard filter`: copies standard input to standard output without the secrets in it."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from guard.files import write_all
from guard.scrub import Scrubber
from guard.stream import Redactor
from twg.cli.command import command
from twg.errors import OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.cli.wiring import Wiring

PAUSE: Final = 0.05
"""After so many seconds without input, what was held back goes out, if it begins no secret."""

_CHUNK: Final = 1 << 18
_ROOMY_PIPE: Final = 1 << 20
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ of Linux, which fcntl names on some Pythons only


@command("filter")
async def filter_command(wiring: Wiring) -> None:
    """Copy standard input to standard output without the secrets in it, as it streams.

    It knows secrets by their look, however they are quoted, escaped or encoded, and puts marks such
    as ‹redacted:jwt› in their place; all other bytes stay as they are. Stored credentials are not
    opened for it. What was found is told on stderr at the end.
    """
    over = threading.Event()
    redactor = Redactor(Scrubber())
    as_json = wiring.output.mode == "json"
    # Standard output is the stream's: no document of ours belongs there, whatever happens.
    wiring.options.output = "text"
    try:
        await anyio.to_thread.run_sync(
            copy, sys.stdin.fileno(), sys.stdout.fileno(), redactor, over, abandon_on_cancel=True
        )
    finally:
        over.set()
    _tell(wiring, redactor.found, as_json=as_json)


def copy(source: int, sink: int, redactor: Redactor, over: threading.Event) -> None:
    """Copy from one descriptor to another through `redactor`, until the end or `over`.

    Raises:
        BrokenPipeError: Nobody reads `sink` any more.
        OutputUnwritable: It takes nothing more.
    """
    for pipe in (source, sink):
        _make_roomy(pipe)
    held = False
    while not over.is_set():
        if not _is_ready(source):
            if held:
                _write(sink, redactor.flush())
                held = False
            continue
        data = os.read(source, _CHUNK)
        if not data:
            break
        _write(sink, redactor.feed(data))
        held = True
        if sys.platform == "win32":
            _write(sink, redactor.flush())
    _write(sink, redactor.finish())


def _is_ready(source: int) -> bool:
    """Wait a moment for input; tell whether there is some, or its end."""
    if sys.platform == "win32":
        return True  # there is no such waiting for a pipe
    import select  # noqa: PLC0415 - only where it works

    return bool(select.select([source], [], [], PAUSE)[0])


def _write(sink: int, data: bytes) -> None:
    try:
        write_all(sink, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputUnwritable(error) from error


def _make_roomy(pipe: int) -> None:
    """Let a pipe hold more, so that reader and writer wait for each other less."""
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - POSIX only

    try:
        fcntl.fcntl(pipe, _SET_PIPE_SIZE, _ROOMY_PIPE)
    except OSError:
        return  # no pipe, or its owner may have no more


def _tell(wiring: Wiring, found: Mapping[str, int], *, as_json: bool) -> None:
    """Tell what was found on stderr, for stdout is the stream's."""
    if as_json:
        document = {"ok": True, "data": {"found": dict(sorted(found.items()))}}
        wiring.output.say(json.dumps(document))
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    total = sum(found.values())
    what = "secret" if total == 1 else "secrets"
    wiring.output.say(f"twg: {total} {what} hidden: {kinds}" if total else "twg: no secret found")
