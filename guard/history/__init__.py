"""Shell histories: what in them holds a secret, and its removal from them; entered by this door.

What a secret is, the caller says (`Look`); nothing here knows. All of it blocks, and some of it
waits for a shell's lock: callers on an event loop run it in a thread with a limit.
"""

from __future__ import annotations

from guard.history.entry import Look
from guard.history.histories import Finding, Histories, Removal
from guard.history.live import LiveShell
from guard.history.places import HistoryFile

__all__ = ["Finding", "Histories", "HistoryFile", "LiveShell", "Look", "Removal"]
