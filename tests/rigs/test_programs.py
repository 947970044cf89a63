"""The programs behind the rigs end with their contexts."""

from __future__ import annotations

import os
from pathlib import Path

from tests.rigs.programs import PATIENCE, line_with, running
from tests.rigs.waiting import comes_true


async def test_what_a_program_leaves_running_is_killed(tmp_path: Path) -> None:
    """As a driver leaves its browser when it dies first."""
    note = tmp_path / "pid"
    script = (
        'sh -c "trap : TERM HUP; while :; do sleep 1; done" & echo $! > "$0"; echo left; exit 0'
    )
    async with running(["sh", "-c", script, str(note)], {"PATH": os.defpath}) as process:
        await line_with(process, "left")
        await process.wait()
        pid = int(note.read_text())
    assert await comes_true(lambda: not _runs(pid), PATIENCE)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
