"""The wire: lines of JSON-RPC on two descriptors, scrubbed on the way out.

The protocol has standard output for itself, so whatever else is printed goes to standard error.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from guard.files import write_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 32 << 20
_INTERNAL_ERROR: Final = -32603  # JSON-RPC 2.0 section 5.1


class Incoming:
    """The lines that a client writes, until it closes its end.

    Args:
        descriptor: Where they come from.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def __aiter__(self) -> AsyncIterator[str]:
        rest = b""
        while chunk := await self._read():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode("utf-8", "replace")
            if len(rest) > _LONGEST_LINE:
                # Nobody means a message so long; the next line may be one again.
                rest = b""
        if rest:
            yield rest.decode("utf-8", "replace")

    async def _read(self) -> bytes:
        if sys.platform == "win32":
            return await to_thread.run_sync(
                os.read, self._descriptor, _CHUNK, abandon_on_cancel=True
            )
        with contextlib.suppress(PermissionError):  # a file, which never makes anybody wait
            await anyio.wait_readable(self._descriptor)
        return os.read(self._descriptor, _CHUNK)


class Outgoing:
    """Where messages go to the client: each a line, scrubbed.

    Args:
        descriptor: Where they are written.
        scrub: Returns a text with its secrets replaced by marks.
    """

    def __init__(self, descriptor: int, scrub: Callable[[str], str]) -> None:
        self._descriptor = descriptor
        self._scrub = scrub
        self._is_broken = False

    async def write(self, line: str) -> None:
        """Write one message; once nobody reads any more, into nothing."""
        data = (_scrubbed(line.rstrip("\n"), self._scrub) + "\n").encode()
        if not self._is_broken:
            self._is_broken = not await to_thread.run_sync(_written, self._descriptor, data)

    async def flush(self) -> None:
        """Do nothing: what is written is on its way."""


def taken_over() -> int:
    """Return what standard output leads to, which leads to standard error from now on."""
    wire = os.dup(1)
    os.dup2(2, 1)
    return wire


def _scrubbed(line: str, scrub: Callable[[str], str]) -> str:
    clean = scrub(line)
    if clean == line or _loaded(clean) is not None:
        return clean
    # A mark has taken the place of what holds the message together.
    message = _loaded(line)
    error = {"code": _INTERNAL_ERROR, "message": "the answer held a secret, and is not shown"}
    number = message.get("id") if isinstance(message, dict) else None
    return json.dumps({"jsonrpc": "2.0", "id": number, "error": error})


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _written(descriptor: int, data: bytes) -> bool:
    try:
        write_all(descriptor, data)
    except BrokenPipeError:
        return False
    return True
