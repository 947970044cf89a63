"""The architecture, checked on the code itself: who imports whom, and what stands only where."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import guard.errors
import twg.errors
import twg.sandbox.errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

FOUNDATION = {"guard", "twg", "twg.errors", "twg.events"}
"""What anything in twg may import: the guard, the version, errors, what is recorded."""

MAY_IMPORT = {
    "guard": {"guard"},
    # The door for programs: what it offers, it imports when that is asked for.
    "twg": FOUNDATION | {"twg.auth", "twg.http", "twg.vault"},
    "twg.errors": {"guard"},
    "twg.schemas": FOUNDATION,
    "twg.events": {"guard"},
    "twg.settings": FOUNDATION,
    "twg.transport": set(),
    "twg.trust": FOUNDATION,
    "twg.http": FOUNDATION | {"twg.transport", "twg.trust"},
    "twg.vault": FOUNDATION,
    "twg.oauth": FOUNDATION | {"twg.http"},
    "twg.git": FOUNDATION | {"twg.http"},
    "twg.mcp": FOUNDATION,
    "twg.policy": FOUNDATION | {"twg.vault"},
    "twg.products": FOUNDATION | {"twg.http", "twg.vault"},
    "twg.auth": FOUNDATION | {"twg.http", "twg.vault", "twg.oauth"},
    "twg.sandbox": FOUNDATION | {"twg.http"},
    "twg.audit": FOUNDATION,
    "twg.skills": FOUNDATION,
    # It decides when to renew; how is auth's, and the schedule itself knows of no credential.
    "twg.upkeep": FOUNDATION | {"twg.auth", "twg.vault"},
    "twg.cli": FOUNDATION
    | {
        "twg.schemas",
        "twg.settings",
        "twg.http",
        "twg.vault",
        "twg.oauth",
        "twg.git",
        "twg.mcp",
        "twg.policy",
        "twg.products",
        "twg.auth",
        "twg.sandbox",
        "twg.audit",
        "twg.skills",
        "twg.upkeep",
    },
    "twg.__main__": {"twg.cli"},
}
"""For each part, the other parts it may import: cli → products, auth → oauth, vault → guard."""

REVEALS = {
    "guard/audit.py": 1,  # its fingerprint, for the record
    "guard/lookout.py": 1,  # what was refused is looked for in histories
    "twg/http.py": 1,  # to the wire, to pinned origins
    "twg/oauth/authorization_code.py": 1,  # a pasted redirect is taken apart
    "twg/oauth/token.py": 1,  # a client's secret is encoded for Basic authentication
    "twg/vault/keys.py": 1,  # a sealing key goes to its place
    "twg/vault/sealed.py": 1,  # tokens go into the sealed part; the key goes to the cipher
}
"""How often `reveal` is called, by file: the only places where a secret is a plain string."""

ONE_PLACE_ONLY = {
    # Also what carries its requests, and the `httpx.Auth` for programs.
    "httpx": {"twg/http.py", "twg/transport.py", "twg/auth/bearer.py"},
    "httpcore": {"twg/transport.py"},
    "keyring": {"twg/vault/keys.py"},
    "cryptography": {"twg/vault/sealed.py"},
    "prompt_toolkit": {"guard/prompt.py", "guard/terminal.py"},
    "starlette": {"twg/sandbox"},
    "uvicorn": {"twg/sandbox"},
    "jinja2": {"twg/sandbox"},
    "sqlite3": {"twg/sandbox"},
    "asyncclick": {"twg/cli"},
    "graphql": {"twg/policy/graphql.py"},
    "re2": {"guard/sieve.py"},
    "segno": {"twg/cli/narrator.py"},
    "jmespath": {"twg/cli/api_pages.py"},
    "mcp": {"twg/cli/mcp.py", "twg/mcp/server.py"},  # the one looks whether it is there
    "mcp_types": {"twg/mcp/server.py"},
    "jsonschema": {"twg/cli/mcp_desk.py"},
}
"""Where each outside package is used, so that its successor is a change in one place."""

THE_POSIX_FILE = "guard/terminal.py"
ENVIRONMENT_READERS = {
    "twg/cli/main.py",  # the entrance
    "twg/sandbox/control.py",  # what the server's process inherits
    "guard/actor.py",  # unless it is passed in
    "guard/terminal.py",  # TERM, which belongs to the terminal that is opened
}
POSIX_ONLY = {"fcntl", "termios", "tty", "pty", "resource", "pwd", "grp"}
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "lib", "base"}

# Raised and caught within one module or package, where the callers branch on it.
INTERNAL_ERRORS = {"BadBody", "GraphqlError", "JqlError", "Malformed", "TimeIsUp"}


class Import(NamedTuple):
    """One import: of what, by which file, on which line, and whether at its top level."""

    target: str
    file: Path
    line: int
    eager: bool


def sources() -> list[Path]:
    found = [path for package in ("guard", "twg") for path in (ROOT / package).rglob("*.py")]
    assert len(found) > 50, "the walk found no code"
    return sorted(found)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str | None:
    """Return the part of `MAY_IMPORT` that a module belongs to; None for an outside package."""
    words = module.split(".")
    if words[0] == "guard":
        return "guard"
    if words[0] != "twg":
        return None
    return ".".join(words[:2])


@cache
def imports(path: Path) -> list[Import]:
    return list(_imports(path))


def _imports(path: Path) -> Iterator[Import]:
    tree = tree_of(path)
    eager = set(_eager(tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, path, node.lineno, node in eager)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            base = node.module or ""
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                target = inner if _is_module(inner) else base
                yield Import(target, path, node.lineno, node in eager)


def _eager(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when a module is imported: not functions, not what only type checkers read."""
    for node in body:
        if isinstance(node, ast.If):
            if ast.unparse(node.test) not in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
                yield from _eager([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from _eager(node.body)
        else:
            yield node


def _is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_imports_go_one_way_only() -> None:
    """cli → products, auth → oauth, vault → guard, type-only imports included."""
    breaches = [
        f"{module_of(path)}:{one.line} imports {one.target}"
        for path in sources()
        for one in imports(path)
        if (to := part_of(one.target)) is not None
        and to != (here := part_of(module_of(path)))
        and to not in MAY_IMPORT[here or ""]
    ]

    assert breaches == []


def test_only_programs_go_by_the_front_door() -> None:
    """Of `twg` itself twg imports its version: for the rest there would be a way around."""
    taken = {
        alias.name
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module == "twg"
        for alias in node.names
        if not _is_module(f"twg.{alias.name}")
    }

    assert taken == {"__version__"}


def test_every_part_is_in_the_table() -> None:
    parts = {part_of(module_of(path)) for path in sources()}

    assert parts == set(MAY_IMPORT)


def test_secrets_are_revealed_in_the_listed_places_only() -> None:
    found: dict[str, int] = {}
    for path in sources():
        for node in ast.walk(tree_of(path)):
            if (isinstance(node, ast.Attribute) and node.attr == "reveal") or (
                isinstance(node, ast.Constant)
                and node.value == "reveal"
                and path.name != "secret.py"
            ):
                name = str(path.relative_to(ROOT))
                found[name] = found.get(name, 0) + 1

    assert found == REVEALS


@pytest.mark.parametrize("package", ONE_PLACE_ONLY)
def test_an_outside_package_is_used_in_its_place_only(package: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in sources()
        for one in imports(path)
        if one.target.split(".")[0] == package
    }

    assert users
    assert {
        user
        for user in users
        if not any(
            user == place or user.startswith(f"{place}/") for place in ONE_PLACE_ONLY[package]
        )
    } == set()


def test_no_module_needs_posix_to_be_imported() -> None:
    eager = [
        f"{module_of(path)} imports {one.target}"
        for path in sources()
        for one in imports(path)
        if one.eager and one.target in POSIX_ONLY and path != ROOT / THE_POSIX_FILE
    ]

    assert eager == []


def test_modules_are_named_after_a_subject() -> None:
    assert [path for path in sources() if path.stem in VAGUE] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [path for path in sources() if not ast.get_docstring(tree_of(path))]

    assert silent == []


def test_every_error_descends_from_its_packages_root() -> None:
    """One that does not would reach people as a bug of ours."""
    roots = {
        one.__name__
        for module in (guard.errors, twg.errors, twg.sandbox.errors)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Exception)
    }
    strays = [
        f"{module_of(path)}.{node.name}"
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
        and any(_is_exception(base) for base in node.bases)
        and not node.name.startswith("_")
        and node.name not in roots | INTERNAL_ERRORS
        and not roots.intersection(ast.unparse(base) for base in node.bases)
    ]

    assert strays == []


def _is_exception(base: ast.expr) -> bool:
    name = ast.unparse(base).rpartition(".")[2]
    return name.endswith(("Error", "Exception")) or name == "ValueError"


def test_a_child_gets_an_environment_made_for_it_and_no_descriptor() -> None:
    """What is inherited by default may hold what is none of a child's business."""
    starts = {"Popen", "run_process", "open_process", "check_output", "create_subprocess_exec"}
    calls = {
        f"{path.relative_to(ROOT)}:{node.lineno}": {word.arg: word.value for word in node.keywords}
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in starts
    }

    assert len(calls) >= 4
    assert [place for place, words in calls.items() if "env" not in words] == []
    assert [place for place, words in calls.items() if {"pass_fds", "shell"} & words.keys()] == []
    assert not [place for place, words in calls.items() if _says_no(words.get("close_fds"))]


def _says_no(word: ast.expr | None) -> bool:
    return isinstance(word, ast.Constant) and word.value is False


def test_the_environment_is_read_at_the_entrance_only() -> None:
    """Elsewhere it is passed in, so that a test can say what it is."""
    readers = {
        str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }

    assert readers == ENVIRONMENT_READERS
