"""The system's log as a mirror of the audit record: its newest record is named there now and then.

Who changes the record and can also write its key cannot take back what the system's log, which is
another user's, was told. It is told by one datagram that nobody waits for; where there is no such
log, or it does not keep up, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.links import Link

# Where it listens on Linux (syslogd and journald alike), macOS and the BSDs.
PLACES: Final = ("/dev/log", "/var/run/syslog", "/var/run/log")

# RFC 5424: facility 10 (security), severity 6 (informational).
_PRIORITY: Final = 10 * 8 + 6


class SystemLog:
    """Tells the system's log of the newest record.

    Args:
        name: The program's name.
        places: Where it may listen.
    """

    def __init__(self, name: str, places: Sequence[str] = PLACES) -> None:
        self._name = name
        self._places = places

    def __call__(self, link: Link) -> None:
        """Tell it, if it is there."""
        place = next(filter(_is_socket, self._places), None)
        if place is not None:
            text = f"<{_PRIORITY}>{self._name}[{os.getpid()}]: audit seq={link.seq} mac={link.mac}"
            _send(text.encode(), place)


def _is_socket(place: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(place).st_mode)  # noqa: PTH116 - without the import of pathlib
    except OSError:
        return False


def _send(text: bytes, place: str) -> None:
    import socket  # noqa: PLC0415 - slow to load, and not every machine has such a log

    if hasattr(socket, "AF_UNIX"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.setblocking(False)  # noqa: FBT003 - its signature
            log.sendto(text, place)
