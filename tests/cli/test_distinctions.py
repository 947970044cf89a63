"""What stands between a person and an answer, each told apart: the real program at the sandbox."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

import anyio
import pytest

from tests.cli.admin_parts import keep
from twg.sandbox.people import CLIENT_ID, HARBOR, ORG_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle

DAY = 86_400.0
MYSELF = ("jira", "/rest/api/3/myself")


def nobody(console: Console, sandbox: SandboxHandle) -> None:
    """Leave it as it is."""


def in_order(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox)


def unused_for_long(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox, age=40 * DAY, idle_days=30.0)
    anyio.run(sandbox.expire, "refresh")


def ended_there(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox, age=7200, idle_days=30.0)
    anyio.run(sandbox.expire, "refresh")


def without_a_site(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox, sites=(), site=None)


def for_jira_alone(console: Console, sandbox: SandboxHandle) -> None:
    """Sign in as a person does, at an app that asks for no more."""
    words = ["provider", "add", "box", "--issuer", sandbox.url, "--client-id", CLIENT_ID]
    console.twg(*words, "--scope", "read:jira-work", "--scope", "offline_access")
    console.apart("login", "--device", "-o", "json")


class Case(NamedTuple):
    """One state of affairs, a call, and what is told of it."""

    made: Callable[[Console, SandboxHandle], None]
    call: tuple[str, ...]
    status: int
    code: str
    message: str
    remedy: str


CASES = {
    "not signed in": Case(
        nobody, MYSELF, 77, "AUTH_REQUIRED", "nobody is signed in", "`twg login`"
    ),
    "expired": Case(
        unused_for_long, MYSELF, 77, "AUTH_EXPIRED", "lapsed after 30 days without", "`twg login`"
    ),
    "revoked": Case(ended_there, MYSELF, 77, "AUTH_REVOKED", "no longer accepts", "`twg login`"),
    "no site at all": Case(
        without_a_site,
        MYSELF,
        77,
        "AUTH_REQUIRED",
        "covers no site: none was chosen",
        "`twg login --force`",
    ),
    "no such site": Case(
        in_order,
        (*MYSELF, "--site", "else.example"),
        78,
        "CONFIG",
        f"does not cover the site else.example (it covers: {HARBOR.host})",
        "on the consent page",
    ),
    "no such product there": Case(
        for_jira_alone,
        ("confluence", "/wiki/api/v2/spaces"),
        4,
        "HTTP_ERROR",
        f"HTTP 401: this sign-in has no Confluence on the site {HARBOR.host}",
        "--scope",
    ),
    "not permitted": Case(
        for_jira_alone,
        ("atlassian", "/me"),
        4,
        "HTTP_ERROR",
        "HTTP 403: this sign-in has no scope for that call",
        "--scope",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_is_told_by_its_code_and_in_its_words(
    console: Console, sandbox: SandboxHandle, name: str
) -> None:
    """Whoever reads it knows what to do, and nobody signs in for what that does not mend."""
    case = CASES[name]
    case.made(console, sandbox)

    error = console.apart("api", *case.call, "-o", "json", status=case.status).error

    assert error["code"] == case.code
    assert case.message in error["message"]
    assert case.remedy in error["remediation"]
    assert error["human_required"] is (case.status == 77)
    others = [one.message for one in CASES.values() if one is not case]
    assert not any(words in error["message"] for words in others)


@pytest.mark.parametrize("name", ["not signed in", "expired", "revoked"])
def test_a_renewal_that_cannot_be_tells_the_same(
    console: Console, sandbox: SandboxHandle, name: str
) -> None:
    case = CASES[name]
    case.made(console, sandbox)

    errors = [
        console.apart(*words, "-o", "json", status=77).error
        for words in (("auth", "refresh"), ("auth", "refresh"), ("api", *case.call))
    ]

    assert {one["code"] for one in errors} == {case.code}
    assert all(case.message in one["message"] for one in errors)


@pytest.mark.parametrize("name", ["not signed in", "no site at all", "no such site"])
def test_a_site_that_cannot_be_chosen_tells_the_same(
    console: Console, sandbox: SandboxHandle, name: str
) -> None:
    case = CASES[name]
    case.made(console, sandbox)

    ended = console.apart("auth", "site", "else.example", "-o", "json", status=case.status)

    assert ended.error["code"] == case.code
    assert case.message in ended.error["message"]


def test_no_sign_in_is_lost_over_what_it_may_not_do(
    console: Console, sandbox: SandboxHandle
) -> None:
    for_jira_alone(console, sandbox)

    console.apart("api", "confluence", "/wiki/api/v2/spaces", "-o", "json", status=4)

    assert console.records("token.refreshed") == []
    projects = console.apart("api", "jira", "/rest/api/3/project/search", "-o", "json").data
    assert "HAR" in {one["key"] for one in projects["values"]}


@pytest.mark.parametrize("name", ["expired", "revoked"])
def test_the_doctor_tells_the_same_of_a_sign_in(
    console: Console, sandbox: SandboxHandle, name: str
) -> None:
    case = CASES[name]
    case.made(console, sandbox)

    checks = console.twg("doctor", "-o", "json", status=3).document["data"]["checks"]

    (found,) = [one for one in checks if one["name"] == "sign-in"]
    assert case.message in found["detail"]
    assert case.remedy in found["fix"]


def with_a_dead_token(console: Console, sandbox: SandboxHandle) -> None:
    console.keep_bitbucket(sandbox.url)


def with_a_dead_key(console: Console, sandbox: SandboxHandle) -> None:
    keep(console, sandbox.url)


HELD = {
    "no Bitbucket token": Case(
        in_order,
        ("bitbucket", "/2.0/user"),
        77,
        "AUTH_REQUIRED",
        "there is no Bitbucket token",
        "`twg setup bitbucket`",
    ),
    "a dead Bitbucket token": Case(
        with_a_dead_token,
        ("bitbucket", "/2.0/user"),
        77,
        "AUTH_EXPIRED",
        "has expired, or was revoked",
        "`twg setup bitbucket --force`",
    ),
    "no key": Case(
        nobody,
        ("admin", "/v1/orgs"),
        77,
        "AUTH_REQUIRED",
        "no Admin API key",
        "`twg admin auth login`",
    ),
    "a dead key": Case(
        with_a_dead_key,
        ("admin", "/v1/orgs"),
        77,
        "AUTH_EXPIRED",
        "has expired, was revoked",
        f"`twg admin auth login --org {ORG_ID}`",
    ),
}
"""What is not the sign-in's, and has commands of its own."""


@pytest.mark.parametrize("name", HELD)
def test_what_is_kept_beside_a_sign_in_is_told_apart_too(
    console: Console, sandbox: SandboxHandle, name: str
) -> None:
    case = HELD[name]
    case.made(console, sandbox)

    error = console.twg("api", *case.call, "-o", "json", status=case.status).error

    assert error["code"] == case.code
    assert case.message in error["message"]
    assert case.remedy in error["remediation"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (in_order, ["there is no Bitbucket token", "`twg setup bitbucket`"]),
        (with_a_dead_token, ["does not accept the stored token", "`twg setup bitbucket --force`"]),
    ],
    ids=["none", "dead"],
)
def test_git_passes_the_same_on(
    console: Console,
    sandbox: SandboxHandle,
    made: Callable[[Console, SandboxHandle], None],
    words: list[str],
) -> None:
    made(console, sandbox)

    done = subprocess.run(
        ["git", "ls-remote", f"twg::{sandbox.url}/git/harbor-works/tide-model"],
        env=console.env | {"GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert all(each in done.stderr for each in words), done.stderr
