"""`guard`: secrets enter a program only through a hidden prompt, and do not come out again.

Any program can use it; it knows nothing of `twg`. Start from `Custody`, which makes `Secret`s and
answers for each: the scrubber learns it, the audit record notes every `reveal`. What `__all__` has,
and what docs/library.md uses, is promised; all else may change from one version to the next.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.actor import Actor
    from guard.agents import Agent, detect
    from guard.audit import AuditLog
    from guard.custody import Custody
    from guard.errors import (
        AuditBroken,
        AuditBusy,
        FileUnwritable,
        GuardError,
        HumanRequired,
        PromptInterrupted,
        PromptTimedOut,
        SecretRefused,
        SecretRejected,
        TerminalRequired,
        UnsafeFile,
    )
    from guard.intake import refuse_arguments, refuse_environment, refuse_stdin
    from guard.prompt import HiddenPrompt, VisiblePrompt
    from guard.scrub import Scrubber
    from guard.secret import Secret
    from guard.stream import Redactor

__all__ = [
    "Actor",
    "Agent",
    "AuditBroken",
    "AuditBusy",
    "AuditLog",
    "Custody",
    "FileUnwritable",
    "GuardError",
    "HiddenPrompt",
    "HumanRequired",
    "PromptInterrupted",
    "PromptTimedOut",
    "Redactor",
    "Scrubber",
    "Secret",
    "SecretRefused",
    "SecretRejected",
    "TerminalRequired",
    "UnsafeFile",
    "VisiblePrompt",
    "detect",
    "refuse_arguments",
    "refuse_environment",
    "refuse_stdin",
]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Actor": "actor",
        "Agent": "agents",
        "AuditLog": "audit",
        "Custody": "custody",
        "HiddenPrompt": "prompt",
        "Redactor": "stream",
        "Scrubber": "scrub",
        "Secret": "secret",
        "VisiblePrompt": "prompt",
        "detect": "agents",
        "refuse_arguments": "intake",
        "refuse_environment": "intake",
        "refuse_stdin": "intake",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES, rest="errors")
