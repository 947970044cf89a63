"""Ends a process at one of its system calls: ``python -m tests.refresh.killer PID NUMBER [all]``.

strace counts calls by thread, and this counts those of the whole process, in the order in which
they are made; so it finds a call of a thread that did not exist when it began to look. Calls on
UNIX sockets count with `all` only: by them threads wake an event loop, and when that hears of it is
chance; but a key ring is asked by them, too.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from pathlib import Path

# <linux/ptrace.h>
SEIZE = 0x4206
INTERRUPT = 0x4207
GET_SYSCALL_INFO = 0x420E
SYSCALL = 24
TRACE_SYSCALLS_PLAINLY = 1
TRACE_NEW_THREADS = 8
ENTRY = 1
ALL_THREADS = 0x40000000
SYSCALL_STOP = signal.SIGTRAP | 0x80

FILE_CALLS = {
    "x86_64": (257, 1, 18, 74, 75, 82, 264, 316, 86, 265, 87, 263, 83, 258, 90, 91, 77, 73),
    "aarch64": (56, 64, 68, 82, 83, 38, 276, 37, 35, 34, 52, 46, 32),
}
SOCKET_CALLS = {
    "x86_64": (42, 44, 46, 45, 47),
    "aarch64": (203, 206, 211, 207, 212),
}
"""Together the calls of `tracing.CALLS`, by machine."""


class SyscallInfo(ctypes.Structure):
    """The beginning of ``struct ptrace_syscall_info``."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
        ("more", ctypes.c_uint64 * 2),
    )


def ptrace(request: int, thread: int, address: int, data: object) -> int:
    """Call ptrace(2); a thread that has just ended is no fault."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    return int(libc.ptrace(request, thread, address, data))


def is_counted(thread: int, *, every: bool) -> bool:
    """Tell whether the thread stands before one of the calls that count."""
    info = SyscallInfo()
    ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.byref(info))
    if info.op != ENTRY:
        return False
    machine = platform.machine()
    if info.number in SOCKET_CALLS[machine]:
        return every or not is_unix(thread, info.arguments[0])
    return info.number in FILE_CALLS[machine]


def is_unix(thread: int, descriptor: int) -> bool:
    """Tell whether a descriptor of the thread's is a UNIX socket."""
    try:
        socket = Path(f"/proc/{thread}/fd/{descriptor}").readlink().name
    except OSError:
        return False
    inode = socket.removeprefix("socket:[").removesuffix("]")
    lines = Path(f"/proc/{thread}/net/unix").read_text().splitlines()[1:]
    return inode in {line.split()[6] for line in lines}


def kill_at(process: int, number: int, *, every: bool) -> None:
    """End the process before its `number`th call that counts, or let it end."""
    waiting = {int(each.name) for each in Path(f"/proc/{process}/task").iterdir()}
    for thread in waiting:
        if ptrace(SEIZE, thread, 0, TRACE_SYSCALLS_PLAINLY | TRACE_NEW_THREADS):
            sys.exit(f"refused: {os.strerror(ctypes.get_errno())}")
        ptrace(INTERRUPT, thread, 0, 0)
    counted = 0
    while True:
        try:
            thread, status = os.waitpid(-1, ALL_THREADS)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        what = os.WSTOPSIG(status)
        if what == SYSCALL_STOP and is_counted(thread, every=every):
            counted += 1
            if counted == number:
                os.kill(process, signal.SIGKILL)
                continue
        of_ptrace = what in {SYSCALL_STOP, signal.SIGTRAP} or status >> 16
        ptrace(SYSCALL, thread, 0, 0 if of_ptrace else what)
        if thread in waiting:
            waiting.discard(thread)
            if not waiting:
                sys.stderr.write(f"{process} attached\n")
                sys.stderr.flush()


if __name__ == "__main__":
    kill_at(int(sys.argv[1]), int(sys.argv[2]), every="all" in sys.argv[3:])
