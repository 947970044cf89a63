"""An embedded Atlassian on loopback for demos and tests: sign-in, Jira, Confluence, Bitbucket.

The door for the command line. Nothing of the server, and none of its packages, is imported here;
the server is a process of its own (`python -m twg.sandbox`).
"""

from __future__ import annotations

from twg.sandbox.control import SandboxStatus, address, faults, start, status, stop
from twg.sandbox.errors import (
    SandboxError,
    SandboxExtraMissing,
    SandboxFailed,
    SandboxFaultUnknown,
    SandboxOptionInvalid,
    SandboxPortTaken,
    SandboxRunning,
)

__all__ = [
    "SandboxError",
    "SandboxExtraMissing",
    "SandboxFailed",
    "SandboxFaultUnknown",
    "SandboxOptionInvalid",
    "SandboxPortTaken",
    "SandboxRunning",
    "SandboxStatus",
    "address",
    "faults",
    "start",
    "status",
    "stop",
]
