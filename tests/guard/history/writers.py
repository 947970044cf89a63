"""Programs that write to a history again and again, each in its own way.

Run as `python writers.py WAY FILE COUNT SECRET`; every seventh line is a secret.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path


def appending(file: Path, text: bytes) -> None:
    """Open, append, close, as bash does and PowerShell."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, text)
    os.close(descriptor)


def replacing(file: Path, text: bytes) -> None:
    """Read all, write it elsewhere and put it in the place of the file, as Readline does."""
    new = file.with_name("elsewhere")
    new.write_bytes(file.read_bytes() + text)
    new.replace(file)


def as_fish_3(file: Path, text: bytes) -> None:
    """Lock the file; then see whether it is still that one."""
    while True:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.samestat(os.fstat(descriptor), file.stat()):
            break
        os.close(descriptor)
    os.write(descriptor, text)
    os.close(descriptor)


def as_fish_4(file: Path, text: bytes) -> None:
    """Lock the directory, and rewrite the file."""
    directory = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    replacing(file, text)
    os.close(directory)


WAYS = {"appending": appending, "replacing": replacing, "fish-3": as_fish_3, "fish-4": as_fish_4}

if __name__ == "__main__":
    way, name, count, secret = sys.argv[1:]
    start = "- cmd: echo" if way.startswith("fish") else "echo"
    for number in range(1, int(count) + 1):
        WAYS[way](Path(name), f"{start} n-{number}\n".encode())
        if number % 7 == 0:
            WAYS[way](Path(name), f"{start} {secret}\n".encode())
