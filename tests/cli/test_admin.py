"""`twg admin auth`: keys of organizations are entered, told, chosen and removed; apart from all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.cli.admin_parts import DAY, EMAIL, KEY, keep, kept, made_key
from tests.cli.test_api import ELSEWHERE
from tests.oauth.servers import document, status
from tests.rigs.parts import missing, program
from tests.rigs.terminal import Terminal
from tests.roads.test_bitbucket import made as bitbucket_token
from tests.sandbox.running import threaded_sandbox
from tests.vault.samples import Ear, custody_of
from twg.sandbox.people import CLIENT_ID, ORG_ID, ORG_NAME, OTHER_ORG_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

LOGIN = ("admin", "auth", "login", "--sandbox")
GIVEN = ("--email", EMAIL, "--org", ORG_ID)
AWAY = "http://127.0.0.1:1"
"""Where no server is."""
ORG_PATH = f"/admin/v1/orgs/{ORG_ID}"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    """The sandbox that `--sandbox` finds."""
    async with threaded_sandbox(tmp_path) as running:
        yield running


@asynccontextmanager
async def typing(console: Console, *words: str) -> AsyncIterator[Terminal]:
    """Run `twg` in a terminal; nothing that is pasted there may be shown."""
    async with Terminal.start(["twg", *words], env=console.env, columns=300) as terminal:
        yield terminal
        assert "ATCTT" not in terminal.raw.decode()


async def paste(terminal: Terminal, *keys: str) -> str:
    """Paste a key at each hidden prompt; return what the program showed until its end."""
    for count, key in enumerate(keys, start=1):
        prompt = f"(?s)(Paste the Admin API key and press Return.*){{{count}}}> *$"
        await terminal.until(re.compile(prompt))
        await terminal.send_line(key)
    await terminal.exit_status()
    return terminal.transcript()


def state(console: Console) -> dict[str, Any]:
    """Return what `status` tells of the active organization and of all."""
    found: dict[str, Any] = console.apart("admin", "auth", "status", "-o", "json").data
    return found


async def test_keys_of_two_organizations_stand_side_by_side(
    console: Console, own: SandboxHandle
) -> None:
    """Asked for e-mail and ID, then with both given; called, switched, removed; no key anywhere."""
    first, second = await made_key(own.url), await made_key(own.url, OTHER_ORG_ID)
    async with typing(console, *LOGIN) as terminal:
        await terminal.until("Account e-mail: ")
        await terminal.send_line(EMAIL)
        await terminal.until("Organization ID: ")
        await terminal.send_line(ORG_ID)
        shown = await paste(terminal, first)
    assert f"✔ The key works for {ORG_NAME} ({ORG_ID})." in shown
    assert f"✔ Saved to {console.config / 'admin.conf'}" in shown
    assert "It expires in " in shown
    async with typing(console, *LOGIN, "--email", EMAIL, "--org", OTHER_ORG_ID) as terminal:
        shown = await paste(terminal, second)
    assert f"`twg admin auth switch {OTHER_ORG_ID}`" in shown

    before = state(console)
    assert (before["org"], before["name"], before["email"]) == (ORG_ID, ORG_NAME, EMAIL)
    assert before["api"] == f"{own.url}/admin"
    assert [one["org"] for one in before["organizations"]] == [ORG_ID, OTHER_ORG_ID]
    assert [one["active"] for one in before["organizations"]] == [True, False]
    told = console.apart("api", "admin", f"/v1/orgs/{ORG_ID}", "-o", "json").data
    assert told["data"]["attributes"]["name"] == ORG_NAME

    assert OTHER_ORG_ID in console.apart("admin", "auth", "switch", OTHER_ORG_ID).out
    assert state(console)["org"] == OTHER_ORG_ID
    path = f"/admin/v1/orgs/{OTHER_ORG_ID}/users"
    assert console.apart("api", "admin", path, "-o", "json").data["meta"]["total"] > 0
    console.apart("api", "admin", f"/v1/orgs/{ORG_ID}", status=4)

    shown = console.apart("admin", "auth", "logout", "--org", OTHER_ORG_ID).out
    assert "That does not revoke it, and no API can" in shown
    assert f"{own.url}/admin/api-keys" in shown
    after = state(console)
    assert (after["org"], len(after["organizations"])) == (ORG_ID, 1)

    entered = [one["secret"]["kind"] for one in console.records("secret.entered")]
    assert entered == ["admin-api-key"] * 2
    assert {one["reason"] for one in console.records("store.written")} == {"admin.conf"}
    sent = {
        one["reason"]
        for one in console.records("secret.revealed")
        if one["secret"]["kind"] == "admin-api-key"
    }
    assert sent == {f"send to {own.url}", "seal in the store"}
    assert console.traces_of(first, second) == []


async def test_before_the_key_is_asked_for_it_is_told_what_becomes_of_it(
    console: Console, own: SandboxHandle
) -> None:
    async with typing(console, *LOGIN, *GIVEN) as terminal:
        shown = await terminal.until("Paste the Admin API key")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130

    assert f"lets twg call the Admin APIs of the organization {ORG_ID}." in shown
    assert f"It goes to {own.url} alone, and is kept sealed" in shown
    assert f"in {console.config / 'admin.conf'}, apart from your sign-ins." in shown
    assert f"An organization admin makes one at {own.url}/admin/api-keys." in shown
    assert not (console.config / "admin.conf").exists()


async def test_a_wrong_key_is_told_and_the_right_one_taken(
    console: Console, own: SandboxHandle
) -> None:
    """One of another organization, one that nobody made, and the right one; in one run."""
    other, right = await made_key(own.url, OTHER_ORG_ID), await made_key(own.url)
    async with typing(console, *LOGIN, *GIVEN, "-o", "json") as terminal:
        shown = await paste(terminal, other, KEY, right)

    assert f"accepts this key, but not for the organization {ORG_ID}" in shown
    assert "does not accept this key: it is unknown, has expired or was revoked" in shown
    data = json.loads(shown[shown.index("{\n") :])["data"]
    assert (data["org"], data["replaced"], data["state"]) == (ORG_ID, False, "expiring")
    assert state(console)["org"] == ORG_ID
    assert console.traces_of(other, KEY, right) == []


async def test_a_key_that_is_kept_stays_until_another_has_proven_good(
    console: Console, own: SandboxHandle
) -> None:
    """Three wrong ones end it; a right one replaces it, which is told."""
    await kept(console, own.url, ORG_ID, await made_key(own.url), {})
    before = (console.config / "admin.conf").read_bytes()
    async with typing(console, *LOGIN, *GIVEN) as terminal:
        await paste(terminal, KEY, KEY, KEY)
        assert await terminal.exit_status() == 65
    assert (console.config / "admin.conf").read_bytes() == before

    async with typing(console, *LOGIN, *GIVEN) as terminal:
        shown = await paste(terminal, await made_key(own.url))
        assert await terminal.exit_status() == 0
    assert "is replaced, but not revoked" in shown
    assert len(state(console)["organizations"]) == 1


async def test_a_secret_of_another_kind_is_refused_before_anything_is_sent(
    console: Console, own: SandboxHandle
) -> None:
    token = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
    async with typing(console, *LOGIN, *GIVEN) as terminal:
        shown = await paste(terminal, token, token, token)
        assert await terminal.exit_status() == 65

    assert "That cannot be the Admin API key: it looks like an Atlassian API token" in shown
    assert ORG_PATH not in (await own.stats())["requests"]


async def test_a_file_that_does_not_open_is_put_aside_for_a_new_key(
    console: Console, own: SandboxHandle
) -> None:
    await kept(console, own.url, ORG_ID, KEY, {})
    path = console.config / "admin.conf"
    damaged = path.read_bytes().replace(b"Harbor", b"Garbor")
    path.write_bytes(damaged)

    async with typing(console, *LOGIN, *GIVEN) as terminal:
        shown = await paste(terminal, await made_key(own.url))
        assert await terminal.exit_status() == 0

    assert "It was put aside as" in shown
    (aside,) = console.config.glob("admin.conf.corrupt-*")
    assert aside.read_bytes() == damaged
    assert state(console)["name"] == ORG_NAME


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("error-503", 69, "cannot serve this now: it answered HTTP 503"),
        ("reset", 69, "cannot be reached"),
        ("html-200", 76, "does not tell of the organization that was asked for"),
    ],
)
async def test_nothing_is_kept_where_the_answer_is_of_no_use(
    console: Console, tmp_path: Path, fault: str, code: int, words: str
) -> None:
    async with (
        threaded_sandbox(tmp_path, faults=(f"{fault}@resource",)),
        typing(console, *LOGIN, *GIVEN) as terminal,
    ):
        shown = await paste(terminal, KEY)
        assert await terminal.exit_status() == code

    assert words in shown
    assert not (console.config / "admin.conf").exists()


# Who may enter one, and how not


def test_a_pipe_is_not_read(console: Console) -> None:
    reading, writing = os.pipe()
    os.write(writing, KEY.encode())
    os.close(writing)

    error = console.apart(*LOGIN, *GIVEN, "-o", "json", status=64, stdin=reading).error

    assert error["code"] == "SECRET_REFUSED"
    assert os.read(reading, 1000) == KEY.encode()
    os.close(reading)


def test_a_variable_with_a_secret_is_refused(console: Console) -> None:
    error = console.apart(
        *LOGIN, *GIVEN, "-o", "json", status=64, ATLASSIAN_ADMIN_API_KEY=KEY
    ).error

    assert "ATLASSIAN_ADMIN_API_KEY" in error["message"]
    assert console.traces_of(KEY) == []


async def test_without_a_terminal_nobody_is_asked(console: Console, own: SandboxHandle) -> None:
    for words in (LOGIN, (*LOGIN, *GIVEN)):
        assert console.apart(*words, "-o", "json", status=79).error["code"] == "TTY_REQUIRED"
    assert ORG_PATH not in (await own.stats())["requests"]
    assert not (console.config / "admin.conf").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["login", "--org", "a/../b", "--email", EMAIL],
        ["login", "--org", ORG_ID, "--email", "alice"],
        ["logout"],
    ],
    ids=["organization", "e-mail", "none named"],
)
def test_words_that_cannot_be_meant_are_refused(console: Console, words: list[str]) -> None:
    error = console.twg("admin", "auth", *words, "-o", "json", status=2).error

    assert re.search(r"--(org|email)", error["message"])


def test_a_file_that_others_can_get_at_is_told_before_anybody_is_asked(console: Console) -> None:
    keep(console, AWAY)
    (console.config / "admin.conf").chmod(0o644)

    assert console.apart(*LOGIN, *GIVEN, "-o", "json", status=78).error["code"] == "CONFIG"


# What is told of keys

ENDS: dict[str, tuple[float | None, float, str, str, bool]] = {
    "far away": (30, 0, "usable", "expires in ", False),
    "in a week": (6.5, 0, "expiring", "expires in ", True),
    "over": (-1, 0, "expired", "expired on ", True),
    "not told": (None, 0, "usable", "unless another day was chosen", False),
    "not told, a year ago": (None, 360, "expiring", "at last on ", True),
}
"""By name: days until its end, days since it was entered, the state, words, whether it warns."""


@pytest.mark.parametrize("name", ENDS)
def test_status_tells_when_a_key_ends_and_warns_in_its_last_week(
    console: Console, name: str
) -> None:
    ends, entered, expected, words, warns = ENDS[name]
    now = time.time()
    end = None if ends is None else now + ends * DAY
    keep(console, AWAY, expires_at=end, saved_at=now - entered * DAY)

    shown = console.twg("admin", "auth", "status")
    document = console.twg("admin", "auth", "status", "-o", "json")
    data = document.data

    assert (document.err, data["warning"] is not None) == ("", warns)
    assert words in shown.out
    assert data["state"] == expected
    assert ("Make another, then run `twg admin auth login --org" in shown.err) is warns
    assert (data["expires_at"] is None) is (ends is None)
    assert data["store"]["key"] == "file"
    assert console.records("secret.revealed") == [], "no secret is opened"


def test_where_no_key_is_kept_it_is_told_how_to_enter_one(console: Console) -> None:
    for words in (["status"], ["switch", ORG_ID], ["logout", "--org", ORG_ID]):
        error = console.twg("admin", "auth", *words, "-o", "json", status=77).error
        assert error["code"] == "AUTH_REQUIRED"
        assert "`twg admin auth login" in error["remediation"]
    assert not console.config.joinpath("admin.conf").exists()


def test_an_organization_is_known_by_its_id_in_any_case(console: Console) -> None:
    keep(console, AWAY)

    words = ["admin", "auth", "logout", "--org", ORG_ID.upper(), "-o", "json"]
    assert console.twg(*words).data == {
        "org": ORG_ID,
        "name": "Harbor Works",
        "revoked": False,
        "revoke_at": f"{AWAY}/admin/api-keys",
    }
    console.twg("admin", "auth", "status", status=77)


def test_atlassians_own_keys_are_revoked_at_atlassian(console: Console) -> None:
    keep(console, "https://api.atlassian.com")

    shown = console.twg("admin", "auth", "logout", "--org", ORG_ID).out

    assert "  https://admin.atlassian.com (Settings > API keys).\n" in shown


def test_a_damaged_file_is_mended_by_the_command_for_it(console: Console) -> None:
    keep(console, AWAY)
    path = console.config / "admin.conf"
    path.write_bytes(path.read_bytes()[:-9])

    for words in (["admin", "auth", "status"], ["api", "admin", "/v1/orgs"]):
        error = console.twg(*words, "-o", "json", status=74).error
        assert "`twg admin auth login` to start afresh" in error["remediation"]


# Calls


def test_a_call_carries_the_active_organizations_key(console: Console, server: Server) -> None:
    """With `/admin` in front or without; and to no other host than it was checked at."""
    keep(console, server.url)
    server.on("/admin/v1/orgs?a=b", document({"data": []}))

    for path in ("/v1/orgs?a=b", "/admin/v1/orgs?a=b"):
        assert console.twg("api", "admin", path, "-o", "json").data == {"data": []}

    assert [one.headers["authorization"] for one in server.received] == [f"Bearer {KEY}"] * 2
    assert console.traces_of(KEY) == []


def test_a_key_that_is_not_accepted_any_more_is_told_of(console: Console, server: Server) -> None:
    keep(console, server.url)
    server.on("/admin/v1/orgs", status(401))

    error = console.twg("api", "admin", "/v1/orgs", "-o", "json", status=77).error

    assert error["code"] == "AUTH_EXPIRED"
    assert f"`twg admin auth login --org {ORG_ID}`" in error["remediation"]
    assert f"{server.url}/admin/api-keys" in error["remediation"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_refused(
    console: Console, server: Server, name: str
) -> None:
    """H-F5."""
    keep(console, server.url)

    path = ELSEWHERE[name].format(url=server.url)
    assert "path" in console.twg("api", "admin", path, "-o", "json", status=2).error["message"]

    assert server.received == []


def test_the_key_is_not_sent_in_a_path(console: Console, server: Server) -> None:
    """H-A6: it looks like nothing, but it is known."""
    plain = "made-up-organization-key-0123456789"
    keep(console, server.url, key=plain)

    error = console.twg("api", "admin", f"/v1/orgs?q={plain}", "-o", "json", status=64).error

    assert "Nothing was sent" in error["message"]
    assert server.received == []
    assert console.traces_of(plain) == []


def test_a_site_goes_with_no_organization(console: Console) -> None:
    words = ["api", "admin", "/v1/orgs", "--site", "one.example.net", "-o", "json"]
    assert "--site" in console.twg(*words, status=2).error["message"]


def test_without_an_active_organization_one_is_to_be_chosen(console: Console) -> None:
    orgs = [ORG_ID, OTHER_ORG_ID, "a-third-one"]
    for org in orgs:
        keep(console, AWAY, org=org)
    console.twg("admin", "auth", "logout", "--org", ORG_ID)

    error = console.twg("api", "admin", "/v1/orgs", "-o", "json", status=78).error

    assert "`twg admin auth switch ID`" in error["remediation"]
    assert state(console)["org"] is None


def test_an_agent_may_not_call_with_it(console: Console, server: Server) -> None:
    """Nothing is opened or sent, and it is recorded; it may look who is there."""
    keep(console, server.url)

    error = console.twg("api", "admin", "/v1/orgs", status=80, TWG_AGENT="1").error

    assert error["code"] == "POLICY_DENIED"
    assert error["human_required"] is True
    assert "your person" in error["remediation"]
    assert server.received == []
    (record,) = console.records("policy.denied")
    assert (record["actor"]["kind"], record["reason"]) == ("agent", "read admin")
    assert console.records("secret.revealed") == []
    assert console.twg("admin", "auth", "status", TWG_AGENT="1").data["org"] == ORG_ID


# Apart from the personal credentials


@pytest.mark.parametrize(
    "words",
    [
        ["admin", "auth", "status"],
        ["admin", "auth", "switch", ORG_ID],
        ["api", "admin", "/v1/orgs"],
        ["admin", "auth", "logout", "--org", ORG_ID],
    ],
    ids=" ".join,
)
def test_admin_commands_do_without_the_personal_file(
    console: Console, server: Server, words: list[str]
) -> None:
    """It is open to all, which every reader of it refuses."""
    keep(console, server.url)
    server.on("/admin/v1/orgs", document({"data": []}))
    console.sign_in_at(server.url)
    (console.config / "auth.conf").chmod(0o666)
    console.twg("auth", "status", status=78)

    console.twg(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["auth", "status"],
        ["auth", "list"],
        ["auth", "switch", "default"],
        ["auth", "refresh", "--force"],
        ["api", "atlassian", "/me"],
        ["logout"],
    ],
    ids=" ".join,
)
def test_personal_commands_do_without_the_admin_file(
    console: Console, sandbox: SandboxHandle, words: list[str]
) -> None:
    """It is open to all, which every reader of it refuses."""
    console.sign_in(sandbox)
    keep(console, sandbox.url)
    (console.config / "admin.conf").chmod(0o666)
    console.twg("admin", "auth", "status", status=78)

    console.twg(*words)


FILES = re.compile(rb"(auth|admin)(\.conf|-[0-9a-f]{16}\.(?:key|mark|lock)|\.lock)")


def strace(record: Path) -> list[str]:
    """Return a command that notes all calls on files of the command behind it."""
    argv = [program("strace"), "-f", "-qq", "-e", "trace=%file", "-o", str(record)]
    if subprocess.run([*argv, "true"], check=False, capture_output=True).returncode:
        missing("nobody may be traced here")
    return argv


def families(record: Path) -> set[str]:
    """Return which of the two families of files a system call names."""
    return {family.decode() for family, _ in FILES.findall(record.read_bytes())}


def touched(console: Console, *words: str) -> set[str]:
    """Return which of the two families of files `twg` names in a system call."""
    record = console.root / "calls"
    console.apart(*words, under=strace(record))
    return families(record)


def test_no_system_call_of_an_admin_command_names_a_personal_file(
    console: Console, server: Server
) -> None:
    """Nor the other way round; key files, marks and locks included."""
    keep(console, server.url)
    console.sign_in_at(server.url)
    server.on("/admin/v1/orgs", document({"data": []}))
    server.on("/me", document({}))

    assert touched(console, "api", "admin", "/v1/orgs") == {"admin"}
    assert touched(console, "admin", "auth", "switch", ORG_ID) == {"admin"}
    assert touched(console, "admin", "auth", "status") == {"admin"}
    assert touched(console, "api", "atlassian", "/me") == {"auth"}
    assert touched(console, "auth", "switch", "default") == {"auth"}
    assert touched(console, "logout", "--local-only") == {"auth"}
    assert touched(console, "admin", "auth", "logout", "--org", ORG_ID) == {"admin"}


PERSONAL = """\
twg login --device --no-bitbucket
twg auth status
twg auth list
twg auth site
twg auth refresh --force
twg api jira /rest/api/3/myself
twg api bitbucket /2.0/user
git ls-remote twg::{url}/git/harbor-works/tide-model
twg logout
"""


def test_no_system_call_of_a_personal_command_names_an_admin_file(
    console: Console, sandbox: SandboxHandle
) -> None:
    """From signing in to signing out, git's helper among them; there is a file that could be."""
    keep(console, sandbox.url)
    words = ["provider", "add", "box", "--issuer", sandbox.url, "--client-id", CLIENT_ID]
    console.twg(*words, "--scope", "read:jira-work", "--scope", "offline_access")
    token = anyio.run(bitbucket_token, sandbox, "read:user:bitbucket", "read:repository:bitbucket")
    kept_token = custody_of(Ear()).take(token, "bitbucket-token")
    console.keep_bitbucket(sandbox.url, email=EMAIL, token=kept_token)
    record = console.root / "calls"
    script = PERSONAL.format(url=sandbox.url)

    console.apart(under=[*strace(record), "sh", "-ec", script], GIT_CONFIG_NOSYSTEM="1")

    assert families(record) == {"auth"}


async def test_nor_does_one_of_entering_a_key(console: Console, own: SandboxHandle) -> None:
    """In a terminal, where the file is made and read."""
    record = console.root / "calls"
    words = [*strace(record), "twg", *LOGIN, *GIVEN]
    async with Terminal.start(words, env=console.env, columns=300) as terminal:
        await paste(terminal, await made_key(own.url))
        assert await terminal.exit_status() == 0

    assert families(record) == {"admin"}


# The doctor


def told(console: Console, *more: str, ok: bool = True) -> dict[str, dict[str, str]]:
    """Return what the doctor says of admin keys, by the check's name."""
    ended = console.twg("doctor", *more, "-o", "json", status=0 if ok else 3)
    data = ended.data if ok else ended.document["data"]
    return {one["name"]: one for one in data["checks"] if one["name"].startswith("admin")}


def test_the_doctor_tries_a_key(console: Console, server: Server) -> None:
    keep(console, server.url)
    server.on(ORG_PATH, document({"data": {"id": ORG_ID}}), status(401))

    well = told(console)
    ill = told(console, ok=False)

    assert [(name, one["status"]) for name, one in well.items()] == [
        ("admin store", "ok"),
        ("admin", "ok"),
    ]
    assert well["admin"]["detail"].startswith("accepted; expires in ")
    assert ill["admin"]["status"] == "failed"
    assert "does not accept this key" in ill["admin"]["detail"]
    assert f"`twg admin auth login --org {ORG_ID}`" in ill["admin"]["fix"]


@pytest.mark.parametrize("agent", [False, True], ids=["offline", "agent"])
def test_the_doctor_leaves_a_key_alone(console: Console, server: Server, *, agent: bool) -> None:
    keep(console, server.url)
    if agent:
        console.more["TWG_AGENT"] = "1"

    found = told(console, *([] if agent else ["--offline"]))

    assert "not tried" in found["admin"]["detail"]
    assert server.received == []


def test_the_doctor_warns_of_a_keys_end(console: Console) -> None:
    keep(console, AWAY, expires_at=time.time() + DAY)
    keep(console, AWAY, org=OTHER_ORG_ID, expires_at=time.time() - DAY)

    found = told(console, "--offline", ok=False)

    assert found["admin 5b0c0d"]["status"] == "note"
    assert "Make another" in found["admin 5b0c0d"]["fix"]
    assert found["admin 7e4a11"]["status"] == "failed"


def test_the_doctor_tells_of_a_file_that_does_not_open(console: Console) -> None:
    keep(console, AWAY)
    path = console.config / "admin.conf"
    path.write_bytes(path.read_bytes().replace(b"Harbor", b"Garbor"))

    found = told(console, ok=False)

    assert found["admin store"]["status"] == "failed"
    assert "`twg admin auth login`" in found["admin store"]["fix"]
