"""Which AI agent runs a process: by its environment, and by real ancestors of a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never

import pytest

import guard
from guard import agents
from guard.agents import MARKERS, NAMES, PROGRAMS, Agent, ancestor_names, detect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT = Path(guard.__file__).parent.parent
DETECT = """
import json, os, sys
from guard.agents import ancestor_names, detect
found = detect(os.environ)
print(json.dumps([found and [found.name, found.sign], list(ancestor_names())]))
"""
# Runs the rest of its arguments as a child, under a name of its own if the first one is not "".
PARENT = """
import subprocess, sys
name, *argv = sys.argv[1:]
if name:
    open("/proc/self/comm", "w").write(name)
sys.exit(subprocess.run(argv).returncode)
"""
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def nobody() -> Iterable[str]:
    return ()


def found_in(environ: Mapping[str, str], **options: tuple[str, ...]) -> tuple[str, str] | None:
    """Return name and sign of the agent that an environment alone tells, or None."""
    found = detect(environ, ancestors=nobody, **options)
    return None if found is None else (found.name, found.sign)


# By the environment

POSITIVE = [
    # The agents' own documentation.
    ("CLAUDECODE", "1", "claude-code"),
    ("GEMINI_CLI", "1", "gemini-cli"),
    ("CURSOR_AGENT", "1", "cursor"),
    ("CODEX_SANDBOX", "seatbelt", "codex"),
    ("CODEX_SANDBOX_NETWORK_DISABLED", "1", "codex"),
    ("CLINE_ACTIVE", "true", "cline"),
    ("QWEN_CODE", "1", "qwen-code"),
    ("CRUSH", "1", "crush"),
    # vercel/detect-agent
    ("CLAUDE_CODE", "1", "claude-code"),
    ("CODEX_CI", "1", "codex"),
    ("CODEX_THREAD_ID", "thread-123", "codex"),
    ("CURSOR_EXTENSION_HOST_ROLE", "agent-exec", "cursor"),
    ("ANTIGRAVITY_AGENT", "1", "antigravity"),
    ("ANTIGRAVITY_CLI_ALIAS", "agy", "antigravity"),
    ("AUGMENT_AGENT", "1", "augment"),
    ("OPENCODE_CLIENT", "opencode", "opencode"),
    ("COPILOT_MODEL", "gpt-5", "copilot"),
    ("OPENCLAW_SHELL", "exec", "openclaw"),
    ("REPL_ID", "1", "replit"),
    # unjs/std-env
    ("OPENCODE", "1", "opencode"),
    ("JUNIE_DATA", "/opt/junie", "junie"),
    ("JUNIE_SHIM_PATH", "/opt/junie/shim", "junie"),
    # ascorbic/am-i-vibing
    ("PAGER", "head -n 10000 | cat", "cursor"),
    ("OZ_RUN_ID", "7", "warp"),
    # databricks-sdk-go
    ("AMP_CURRENT_THREAD_ID", "T-1", "amp"),
    ("GOOSE_TERMINAL", "1", "goose"),
    ("COPILOT_CLI", "1", "copilot"),
    ("KIRO", "1", "kiro"),
    ("WINDSURF_AGENT", "1", "windsurf"),
    # seen in what agents start
    ("CLAUDE_CODE_ENTRYPOINT", "sdk-py", "claude-code"),
    ("COPILOT_AGENT_SESSION_ID", "a1", "copilot"),
    ("TRAE_AI_SHELL_ID", "1", "trae"),
]


@pytest.mark.parametrize(("variable", "value", "name"), POSITIVE)
def test_a_marker_tells_the_agent(variable: str, value: str, name: str) -> None:
    """H-B5."""
    assert found_in({variable: value, "PATH": "/bin"}) == (name, f"marker {variable}")


def test_every_marker_is_in_the_table_above() -> None:
    assert {marker.variable for marker in MARKERS} == {variable for variable, _, _ in POSITIVE}


NEGATIVE: list[dict[str, str]] = [
    {},
    {"PATH": "/usr/bin", "TERM": "xterm-256color", "PAGER": "less", "USER": "claude"},
    # An editor's own terminal, with a person in it.
    {"CURSOR_TRACE_ID": "abc", "TERM_PROGRAM": "vscode", "VSCODE_GIT_IPC_HANDLE": "/run/x"},
    {"CURSOR_EXTENSION_HOST_ROLE": "user"},
    {"TERM_PROGRAM": "vscode", "VSCODE_INJECTION": "1", "VSCODE_PID": "1"},
    {"TERM_PROGRAM": "kiro"},
    {"TERM_PROGRAM": "WarpTerminal"},
    {"TERMINAL_EMULATOR": "JetBrains-JediTerm"},
    {"ZED_TERM": "true", "TERM_PROGRAM": "zed"},
    # Settings in a person's shell profile.
    {"GOOSE_PROVIDER": "anthropic", "AIDER_MODEL": "x", "CLAUDE_CODE_USE_BEDROCK": "1"},
    {"COPILOT_GITHUB_TOKEN": "x", "COPILOT_ALLOW_ALL": "true", "CODEX_HOME": "/home/a/.codex"},
    {"SSH_AUTH_SOCK": "/run/agent", "SSH_AGENT_PID": "7", "AGENT_NAME": "build-3"},
    # Set to say no.
    {"CLAUDECODE": "", "GEMINI_CLI": "0", "CURSOR_AGENT": "false", "CLINE_ACTIVE": "False"},
    {"AI_AGENT": "  ", "AGENT": "0", "CODEX_CI": "no", "OPENCODE": "off"},
]


@pytest.mark.parametrize("environ", NEGATIVE)
def test_a_person_is_no_agent(environ: dict[str, str]) -> None:
    assert found_in(environ) is None


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("claude-code/2.1", "claude-code"),
        ("claude-code_2-1-205_agent", "claude-code"),
        ("claude", "claude-code"),
        ("CLAUDE_CODE", "claude-code"),
        ("  goose  ", "goose"),
        ("amp", "amp"),
        ("github-copilot", "copilot"),
        ("cursor-cli@1.0", "cursor"),
        ("gemini 3", "gemini-cli"),
        ("open_code", "opencode"),
        ("qwen-code", "qwen-code"),
        ("1", "unknown"),
        ("true", "unknown"),
        ("x; rm", "unknown"),
        ("claudette", "unknown"),
        ("my-custom-agent@v1.0", "unknown"),
        ("\x1b[31mcodex", "unknown"),
        ("unknown", "unknown"),
    ],
)
@pytest.mark.parametrize("variable", ["AI_AGENT", "AGENT"])
def test_free_text_becomes_a_name_out_of_a_closed_set(variable: str, value: str, name: str) -> None:
    assert found_in({variable: value}) == (name, f"marker {variable}")
    assert name in NAMES | {"unknown"}


def test_an_agent_declares_itself_to_the_caller() -> None:
    declared = ("TWG_AGENT", "TWG_AGENT_DEFAULTS")
    assert found_in({"TWG_AGENT": "1"}, declared=declared) == ("unknown", "declared")
    assert found_in({"TWG_AGENT_DEFAULTS": "1"}, declared=declared) == ("unknown", "declared")
    assert found_in({"TWG_AGENT": "codex"}, declared=declared) == ("codex", "declared")
    assert found_in({"TWG_AGENT": "1"}) is None


def test_nothing_undeclares_an_agent() -> None:
    environ = {"TWG_AGENT": "0", "GEMINI_CLI": "1"}
    assert found_in(environ, declared=("TWG_AGENT",)) == ("gemini-cli", "marker GEMINI_CLI")


def test_the_first_sign_is_told_with_the_first_name_that_is_known() -> None:
    environ = {"CLAUDECODE": "1", "CODEX_CI": "1", "AI_AGENT": "some", "OWN": "1"}
    assert found_in(environ, declared=("OWN",)) == ("claude-code", "declared")
    assert found_in(environ) == ("claude-code", "marker AI_AGENT")


def test_two_markers_count_as_well_as_one() -> None:
    assert found_in({"CURSOR_AGENT": "1", "CLAUDECODE": "1"}) == (
        "claude-code",
        "marker CLAUDECODE",
    )


# By ancestors


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_an_ancestor_tells_the_agent(name: str) -> None:
    """H-F4: markers can be unset, ancestors cannot."""
    found = detect({}, ancestors=lambda: ["sh", name, "bash", "init"])
    assert found == Agent(name=PROGRAMS[name], sign=f"ancestor {name}")


WORDS = "goose amp agent droid continue crush code cursor windsurf tmux claude-desktop Claude pi"


@pytest.mark.parametrize("name", [*WORDS.split(), "codex.py", "ssh-agent", "my codex", "node", ""])
def test_an_ordinary_ancestor_is_no_agent(name: str) -> None:
    assert detect({}, ancestors=lambda: [name]) is None


def test_ancestors_are_not_looked_at_where_the_environment_tells() -> None:
    def never() -> Never:
        raise AssertionError

    assert detect({"CODEX_CI": "1"}, ancestors=never)


def under(*parents: tuple[str, ...], env: Mapping[str, str] | None = None) -> list[object]:
    """Return what is detected, and all names, by a process under these, the outermost first."""
    argv = [sys.executable, "-c", DETECT]
    for parent in reversed(parents):
        argv = [*parent, *argv]
    done = subprocess.run(
        argv, env={"PYTHONPATH": str(ROOT), **(env or {})}, capture_output=True, check=True
    )
    found: list[object] = json.loads(done.stdout)
    return found


def named(directory: Path, name: str) -> str:
    """Return a Python that goes by another name."""
    path = directory / name
    path.symlink_to(os.path.realpath(sys.executable))
    return str(path)


@linux_only
def test_a_process_of_an_agent_is_recognised_from_below(tmp_path: Path) -> None:
    """H-B5, H-F4: with shells in between; a marker is told first."""
    agent = (named(tmp_path, "claude"), "-c", PARENT, "")
    shell = ("/bin/sh", "-c", '"$@"; exit $?', "sh")
    assert under(agent, shell, shell)[0] == ["claude-code", "ancestor claude"]
    marked = under(agent, shell, env={"GEMINI_CLI": "1"})
    assert marked[0] == ["gemini-cli", "marker GEMINI_CLI"]


@linux_only
def test_a_process_that_renamed_itself_is_recognised() -> None:
    assert under((sys.executable, "-c", PARENT, "codex"))[0] == ["codex", "ancestor codex"]


@linux_only
@pytest.mark.parametrize("options", [(), ("-B", "-u")])
def test_an_agent_that_is_a_script_is_recognised(tmp_path: Path, options: tuple[str, ...]) -> None:
    """As `node /usr/bin/gemini` is; the interpreter here is Python under that name."""
    (tmp_path / "gemini").write_text(PARENT)
    parent = (named(tmp_path, "node"), *options, str(tmp_path / "gemini"), "")
    assert under(parent)[0] == ["gemini-cli", "ancestor gemini"]


@linux_only
def test_an_agent_that_is_a_module_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "aider.py").write_text(PARENT)
    path = f"{ROOT}{os.pathsep}{tmp_path}"
    parent = (sys.executable, "-m", "aider", "")
    assert under(parent, env={"PYTHONPATH": path})[0] == ["aider", "ancestor aider"]


@linux_only
def test_an_argument_called_like_an_agent_is_none(tmp_path: Path) -> None:
    """`vim claude` is an editor, `python tool.py claude` a tool."""
    for file in ("claude", "tool.py"):
        (tmp_path / file).write_text("import sys; sys.argv.pop(1)" + PARENT)
    editor = (named(tmp_path, "vim"), str(tmp_path / "claude"), "file", "")
    tool = (sys.executable, str(tmp_path / "tool.py"), "claude", "")
    names = under(editor, tool)[1]
    assert isinstance(names, list)
    assert names.index("tool.py") < names.index("vim")
    assert "claude" not in names[: names.index("vim") + 3]


@linux_only
def test_a_name_that_looks_like_the_rest_of_the_line_is_only_a_name(tmp_path: Path) -> None:
    agent = (named(tmp_path, "opencode"), "-c", PARENT, "")
    odd = (sys.executable, "-c", PARENT, "x) R 0 (y) R 0")
    assert under(agent, odd)[0] == ["opencode", "ancestor opencode"]


@linux_only
def test_the_walk_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "MAX_ANCESTORS", 1)
    parent = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    names = list(ancestor_names())
    assert names[0] == parent
    assert len(names) <= 3


def test_elsewhere_no_ancestor_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert list(ancestor_names()) == []


COUNT = """
import os, sys
from guard.agents import MAX_ANCESTORS, detect
seen = []
sys.addaudithook(lambda event, args: seen.append(event))
detect(os.environ)
started = {"subprocess.Popen", "os.fork", "os.posix_spawn", "os.exec", "os.system"} & {*seen}
print(sorted(started), seen.count("open") <= 2 * MAX_ANCESTORS, seen.count("import"))
"""


def test_to_find_out_starts_no_process_and_reads_little() -> None:
    """Every command asks: it is to cost less than a millisecond."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[] True 0\n"


def test_it_loads_little() -> None:
    """Every command asks; none should wait for it."""
    program = "import sys, guard.agents; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    loaded = set(done.stdout.decode().split())
    assert not loaded & {
        "subprocess",
        "asyncio",
        "prompt_toolkit",
        "json",
        "socket",
        "typing_extensions",
    }
