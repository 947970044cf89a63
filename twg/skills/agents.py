"""The coding agents that read skills: where each looks, and what its sandbox has to let through."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """How an agent's sandbox is told to let commands reach twg's directories.

    Attributes:
        where: The file or variable, as people write it.
        setting: Makes what belongs there, of the directory to read and the one to write.
    """

    where: str
    setting: Callable[[Path, Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingAgent:
    """An agent that reads skills.

    Attributes:
        name: Its name, in `guard.agents` where that knows it.
        title: What people call it.
        home: Its directory in a person's home; where that is, the agent is.
        skills: Where it looks for the skills of a person, in their home.
        sandbox: Its sandbox's setting; None where none is known.
    """

    name: str
    title: str
    home: str
    skills: str
    sandbox: Sandbox | None = None


def _claude(_config: Path, state: Path) -> str:
    return json.dumps({"sandbox": {"filesystem": {"allowWrite": [str(state)]}}}, indent=2)


def _codex(_config: Path, state: Path) -> str:
    # A JSON string is a TOML one, too.
    return "\n".join(
        [
            "# in place of sandbox_mode, which does not go with it",
            'default_permissions = "twg"',
            "[permissions.twg]",
            'extends = ":workspace"',
            "[permissions.twg.filesystem]",
            f'{json.dumps(str(state))} = "write"',
        ]
    )


def _cursor(_config: Path, state: Path) -> str:
    setting = {"type": "workspace_readwrite", "additionalReadwritePaths": [str(state)]}
    return json.dumps(setting, indent=2)


def _gemini(config: Path, state: Path) -> str:
    return f"SANDBOX_MOUNTS={shlex.quote(f'{config}:{config}:ro,{state}:{state}:rw')}"


AGENTS: Final = (
    # code.claude.com/docs/en/skills: personal skills; /en/sandboxing: filesystem.allowWrite.
    CodingAgent(
        name="claude-code",
        title="Claude Code",
        home=".claude",
        skills=".claude/skills",
        sandbox=Sandbox(where="~/.claude/settings.json", setting=_claude),
    ),
    # developers.openai.com/codex/skills: the user's are in ~/.agents/skills. ~/.codex/skills is
    # still read, but deprecated in Codex's source, and one skill in both places is shown twice.
    CodingAgent(
        name="codex",
        title="Codex",
        home=".codex",
        skills=".agents/skills",
        sandbox=Sandbox(where="~/.codex/config.toml", setting=_codex),
    ),
    # cursor.com/docs/context/skills; cursor.com/docs/reference/sandbox.
    CodingAgent(
        name="cursor",
        title="Cursor",
        home=".cursor",
        skills=".cursor/skills",
        sandbox=Sandbox(where="~/.cursor/sandbox.json", setting=_cursor),
    ),
    # geminicli.com/docs/cli/using-agent-skills: user skills; its sandbox is a container.
    CodingAgent(
        name="gemini-cli",
        title="Gemini CLI",
        home=".gemini",
        skills=".gemini/skills",
        sandbox=Sandbox(where="its environment", setting=_gemini),
    ),
    # support.atlassian.com/rovo/docs/extend-rovo-dev-cli-with-agent-skills.
    CodingAgent(name="rovo-dev", title="Rovo Dev", home=".rovodev", skills=".rovodev/skills"),
)

BY_NAME: Final = {agent.name: agent for agent in AGENTS}
