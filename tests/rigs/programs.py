"""Starts the servers behind the rigs and ends them, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from anyio.abc import Process

PATIENCE = 30.0
"""Seconds that any part may take to start, on a slow and busy machine; only a fault needs them."""
GRACE = 5.0
"""Seconds a program has to end by itself before it is killed."""


@asynccontextmanager
async def running(
    argv: Sequence[str], env: Mapping[str, str], *, stderr: int | None = None
) -> AsyncIterator[Process]:
    """Run `argv` with pipes on its standard input and output, in a session of its own."""
    process = await anyio.open_process(
        argv,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,  # a Ctrl-C at the test runner is not theirs
    )
    async with process:
        try:
            yield process
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    with anyio.move_on_after(GRACE):
        await process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # it, or what it left: it leads the group
    await process.wait()


async def line_with(process: Process, mark: str) -> str:
    """Return the first line of output that holds `mark`.

    Raises:
        TimeoutError: It did not come in time.
        anyio.IncompleteRead: The program ended without it.
    """
    if process.stdout is None:
        raise ValueError("the output is not a pipe")
    output = BufferedByteReceiveStream(process.stdout)
    with anyio.fail_after(PATIENCE):
        while True:
            line = (await output.receive_until(b"\n", 1 << 16)).decode()
            if mark in line:
                return line
