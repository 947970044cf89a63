"""Tells whether an AI agent runs this process, by what agents announce and by who started us.

This improves manners and is no boundary: an agent can unset a variable and rename a process. What
holds against that stands elsewhere: no output shows a secret, and a prompt needs a terminal.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

UNKNOWN: Final = "unknown"
MAX_ANCESTORS: Final = 32
_MAX_COMMAND_LINE: Final = 4096

# Set, but to say no.
_DENIALS: Final = frozenset({"", "0", "false", "no", "off"})

# These name the agent, with versions and free text: agents.md, and the detectors named below.
_NAMING: Final = ("AI_AGENT", "AGENT")
_FIRST_WORDS: Final = re.compile(r"[a-z]+(?:-[a-z]+)*")


class Agent(NamedTuple):
    """An AI agent that runs this process.

    Attributes:
        name: Which, out of `NAMES`, or ``unknown``.
        sign: How it was recognised: ``declared``, ``marker VARIABLE`` or ``ancestor PROCESS``.
    """

    name: str
    sign: str


class Marker(NamedTuple):
    """A variable by which an agent marks the processes it starts.

    Attributes:
        variable: The variable.
        agent: The agent's name.
        value: The value it must have; None for any but an empty one or a no.
    """

    variable: str
    agent: str
    value: str | None = None


# From the agents' own documentation and from the detectors vercel/detect-agent, unjs/std-env,
# ascorbic/am-i-vibing and databricks-sdk-go. Left out on purpose, because a person has them too:
# what an editor sets in its own terminal (CURSOR_TRACE_ID, TERM_PROGRAM, VSCODE_*), and settings
# that stand in shell profiles (GOOSE_PROVIDER, AIDER_*, COPILOT_GITHUB_TOKEN, CLAUDE_CODE_USE_*).
MARKERS: Final = (
    Marker("CLAUDECODE", "claude-code"),
    Marker("CLAUDE_CODE", "claude-code"),
    Marker("CLAUDE_CODE_ENTRYPOINT", "claude-code"),
    Marker("CURSOR_AGENT", "cursor"),
    Marker("CURSOR_EXTENSION_HOST_ROLE", "cursor", "agent-exec"),
    Marker("PAGER", "cursor", "head -n 10000 | cat"),
    Marker("GEMINI_CLI", "gemini-cli"),
    Marker("CODEX_THREAD_ID", "codex"),
    Marker("CODEX_CI", "codex"),
    Marker("CODEX_SANDBOX", "codex"),
    Marker("CODEX_SANDBOX_NETWORK_DISABLED", "codex"),
    Marker("COPILOT_CLI", "copilot"),
    Marker("COPILOT_AGENT_SESSION_ID", "copilot"),
    Marker("COPILOT_MODEL", "copilot"),
    Marker("CLINE_ACTIVE", "cline"),
    Marker("ANTIGRAVITY_AGENT", "antigravity"),
    Marker("ANTIGRAVITY_CLI_ALIAS", "antigravity"),
    Marker("AUGMENT_AGENT", "augment"),
    Marker("OPENCODE", "opencode"),
    Marker("OPENCODE_CLIENT", "opencode"),
    Marker("GOOSE_TERMINAL", "goose"),
    Marker("AMP_CURRENT_THREAD_ID", "amp"),
    Marker("JUNIE_DATA", "junie"),
    Marker("JUNIE_SHIM_PATH", "junie"),
    Marker("KIRO", "kiro"),
    Marker("WINDSURF_AGENT", "windsurf"),
    Marker("OPENCLAW_SHELL", "openclaw"),
    Marker("QWEN_CODE", "qwen-code"),
    Marker("TRAE_AI_SHELL_ID", "trae"),
    Marker("CRUSH", "crush"),
    Marker("OZ_RUN_ID", "warp"),
    Marker("REPL_ID", "replit"),
)

# Programs of agents. Only names that nothing else bears which could start a person's shell:
# `agent`, `amp`, `continue`, `crush` (a shell), `droid` and `goose` are words, so those agents
# are recognised by their markers alone.
PROGRAMS: Final = {
    "aider": "aider",
    "auggie": "augment",
    "claude": "claude-code",
    "cline": "cline",
    "codex": "codex",
    "copilot": "copilot",
    "cursor-agent": "cursor",
    "devin": "devin",
    "gemini": "gemini-cli",
    "kiro-cli": "kiro",
    "kiro-cli-chat": "kiro",
    "openclaw": "openclaw",
    "opencode": "opencode",
    "openhands": "openhands",
    "qwen": "qwen-code",
}

NAMES: Final = frozenset([*(marker.agent for marker in MARKERS), *PROGRAMS.values()])

# Names that agents give themselves, where they are neither in NAMES nor the program's.
_ALIASES: Final = PROGRAMS | {
    "augment-cli": "augment",
    "claudecode": "claude-code",
    "codex-cli": "codex",
    "copilot-cli": "copilot",
    "copilot-vscode": "copilot",
    "cursor-cli": "cursor",
    "github-copilot": "copilot",
    "github-copilot-cli": "copilot",
    "open-code": "opencode",
}

# What runs an agent that is a script; its own name is then that of the first argument.
_INTERPRETER: Final = re.compile(
    r"(?:node|nodejs|bun|deno|python[0-9.]*|pypy[0-9.]*|ruby)(?:\.exe)?"
)


def ancestor_names() -> Iterator[str]:
    """Yield the names that this process's ancestors go by, the nearest first.

    Linux only: elsewhere the process table is not to be had without starting a program, and
    nothing is yielded.
    """
    if sys.platform != "linux":
        return
    pid = os.getppid()
    for _ in range(MAX_ANCESTORS):
        # The process may have ended meanwhile, belong to somebody who hides it, or be none.
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - the import of pathlib is not free
                status = file.read()
        except OSError:
            return
        # The name stands in brackets and may hold any byte, brackets included.
        head, _, tail = status.rpartition(b")")
        yield os.fsdecode(head.partition(b"(")[2])
        yield from _names_on_command_line(pid)
        pid = int(tail.split()[1])


def detect(
    environ: Mapping[str, str],
    *,
    declared: Iterable[str] = (),
    ancestors: Callable[[], Iterable[str]] = ancestor_names,
) -> Agent | None:
    """Return the AI agent that runs this process, or None.

    Looked for in this order: 1. the variables in `declared`, 2. variables that name an agent,
    3. agents' markers, 4. ancestor processes. Nothing undeclares one. Where several signs are
    found, the first is told, with the first name that is known.

    Args:
        environ: The environment.
        declared: Variables by which an agent declares itself to the calling program.
        ancestors: Returns the names of the ancestor processes; asked only where the environment
            tells nothing.
    """
    found = [*_in_environment(environ, declared)]
    if not found:
        found = [*_among(ancestors())]
    if not found:
        return None
    known = (agent.name for agent in found if agent.name != UNKNOWN)
    return Agent(name=next(known, UNKNOWN), sign=found[0].sign)


def _in_environment(environ: Mapping[str, str], declared: Iterable[str]) -> Iterator[Agent]:
    for variable in declared:
        if _says_yes(environ.get(variable)):
            yield Agent(name=_known_name(environ[variable]), sign="declared")
    for variable in _NAMING:
        if _says_yes(environ.get(variable)):
            yield Agent(name=_known_name(environ[variable]), sign=f"marker {variable}")
    for marker in MARKERS:
        value = environ.get(marker.variable)
        if _says_yes(value) if marker.value is None else value == marker.value:
            yield Agent(name=marker.agent, sign=f"marker {marker.variable}")


def _among(names: Iterable[str]) -> Iterator[Agent]:
    for name in names:
        if name in PROGRAMS:
            yield Agent(name=PROGRAMS[name], sign=f"ancestor {name}")
            return


def _says_yes(value: str | None) -> bool:
    return value is not None and value.strip().lower() not in _DENIALS


def _known_name(text: str) -> str:
    """Return the name out of `NAMES` that free text begins with, or ``unknown``."""
    words = _FIRST_WORDS.match(text.strip().lower().replace("_", "-"))
    name = words.group() if words else ""
    return name if name in NAMES else _ALIASES.get(name, UNKNOWN)


def _names_on_command_line(pid: int) -> Iterator[str]:
    """Yield the basename of the program and, if that is an interpreter, of what it interprets."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 - likewise
            line = file.read(_MAX_COMMAND_LINE)
    except OSError:
        return
    program, *arguments = os.fsdecode(line).split("\0")
    program = os.path.basename(program)  # noqa: PTH119 - of another system's text, not of a path
    yield program
    if _INTERPRETER.fullmatch(program):
        # `python -m NAME` has its name there too.
        script = next((word for word in arguments if not word.startswith("-")), "")
        yield os.path.basename(script)  # noqa: PTH119 - likewise
