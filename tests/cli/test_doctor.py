"""`twg doctor` finds what was really broken, and says what to do about it."""

from __future__ import annotations

import json
import platform
import stat
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli import admin_parts
from tests.cli.acme import WELL_KNOWN, metadata
from tests.cli.console import request_count, sandbox_at
from tests.oauth.servers import document, status
from tests.rigs.parts import program
from tests.vault.samples import SECRETS
from twg.products.bitbucket import ATLASSIANS
from twg.sandbox.people import ORG_ID

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

OPENID = "/.well-known/openid-configuration"
USERINFO = "/userinfo"


def checks(console: Console, *more: str, ok: bool = True, **env: str) -> dict[str, dict[str, str]]:
    """Return what `doctor` finds, by the check's name; the last one of a name counts."""
    ended = console.twg("doctor", *more, "-o", "json", status=0 if ok else 3, **env)
    data = ended.data if ok else ended.document["data"]
    return {one["name"]: one for one in data["checks"]}


def statuses(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: one["status"] for name, one in found.items()}


@pytest.fixture
def healthy(console: Console, sandbox: SandboxHandle) -> Console:
    console.sign_in(sandbox)
    console.twg("api", "atlassian", "/me")  # so that there is something on record
    return console


def test_all_is_well_after_a_sign_in(healthy: Console) -> None:
    found = checks(healthy)

    assert statuses(found) == {
        "python": "ok",
        "files": "ok",
        "store": "ok",
        "key": "note",  # in a file
        "audit": "ok",
        "environment": "ok",
        "history": "ok",
        "agent": "ok",
        "provider": "ok",
        "sign-in": "ok",
        "site": "ok",
        "admin": "note",  # none is kept
        "bitbucket": "note",  # none
        "clock": "ok",
    }
    assert found["python"]["detail"] == f"CPython {platform.python_version()}"
    assert found["sign-in"]["detail"] == "the token is accepted"
    assert found["site"]["detail"] == "this sign-in covers 1 site"
    assert found["clock"]["detail"] == "it agrees with the provider's"
    assert "1 sign-in" in found["store"]["detail"]


def test_before_the_first_sign_in_nothing_is_wrong(console: Console) -> None:
    found = checks(console)

    assert statuses(found) == {
        "python": "ok",
        "files": "ok",
        "store": "note",
        "audit": "note",
        "environment": "ok",
        "history": "ok",
        "agent": "ok",
        "sign-in": "note",
        "admin": "note",
        "bitbucket": "note",
    }
    assert not console.state.exists(), "looking made nothing"


def test_in_text_there_is_a_line_a_check(healthy: Console) -> None:
    lines = healthy.twg("doctor").out.splitlines()

    assert lines[0].startswith("✔ python ")
    assert any(line.startswith("✔ files ") for line in lines)
    assert any(line.startswith("· key ") for line in lines)


def test_a_file_that_others_may_read_is_told_and_mended(healthy: Console) -> None:
    path = healthy.config / "auth.conf"
    path.chmod(0o644)

    found = checks(healthy, "--offline", ok=False)
    assert found["store"]["status"] == "failed"
    assert "0644" in found["store"]["detail"]
    assert f"chmod 600 {path}" in found["store"]["detail"]

    mended = healthy.twg("doctor", "--offline", "--fix")
    assert f"Took others' access away from {path} (was 0644)." in mended.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_directories_that_others_may_enter_are_mended(healthy: Console) -> None:
    for directory in (healthy.config, healthy.state):
        directory.chmod(0o755)
    assert checks(healthy, "--offline", ok=False)["store"]["status"] == "failed"

    healthy.twg("doctor", "--offline", "--fix")

    assert stat.S_IMODE(healthy.config.stat().st_mode) == 0o700
    assert stat.S_IMODE(healthy.state.stat().st_mode) == 0o700


def test_mending_leaves_alone_what_is_private_or_leads_elsewhere(
    healthy: Console, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch(mode=0o644)
    elsewhere.chmod(0o644)
    (healthy.config / "link").symlink_to(elsewhere)

    ended = healthy.twg("doctor", "--offline", "--fix")

    assert ended.err == ""
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644


def test_a_store_that_does_not_open_is_told(healthy: Console) -> None:
    path = healthy.config / "auth.conf"
    path.write_bytes(path.read_bytes().replace(b"harbor", b"harbot"))

    found = checks(healthy, "--offline", ok=False)

    assert found["store"]["status"] == "failed"
    assert "twg login" in found["store"]["detail"]
    assert path.exists(), "and it is kept"


def test_a_lost_key_is_told(healthy: Console) -> None:
    for key in healthy.state.glob("auth-*.key"):
        key.unlink()

    assert checks(healthy, "--offline", ok=False)["store"]["status"] == "failed"


def test_a_record_that_was_changed_is_told(healthy: Console) -> None:
    path = healthy.state / "audit.jsonl"
    lines = path.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {"outcome": "fine"}, separators=(",", ":"))
    path.write_text("\n".join([*lines, ""]))

    ended = healthy.twg("doctor", "--offline", status=3)

    assert "✘ audit " in ended.out
    assert "line 1 (record 1) was changed" in ended.out
    assert ended.err.startswith("twg: 1 of ")
    assert "  audit: " in ended.err, "with what to do"


def test_a_record_that_was_cut_off_is_told(healthy: Console) -> None:
    path = healthy.state / "audit.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    found = checks(healthy, "--offline", ok=False)

    # The doctor's own look at the store is recorded first, which finds and tells the gap.
    assert "missing" in found["audit"]["detail"]


def test_a_record_that_was_removed_is_told(healthy: Console) -> None:
    (healthy.state / "audit.jsonl").unlink()
    (healthy.config / "auth.conf").unlink()  # a look at the store would begin a new record

    found = checks(healthy, "--offline", ok=False)

    assert "cut off" in found["audit"]["detail"]


@pytest.mark.parametrize("key", [None, b"another\n"], ids=["lost", "changed"])
def test_a_record_without_its_key_is_told(healthy: Console, key: bytes | None) -> None:
    """Nothing can be recorded then, so the store is not looked at; the other checks go on."""
    path = healthy.state / "audit.key"
    path.unlink()
    if key is not None:
        path.touch(mode=0o600)
        path.write_bytes(key)

    found = checks(healthy, ok=False)

    assert found["audit"]["status"] == "failed"
    assert found["audit"]["fix"]
    assert found["store"]["status"] == "failed"
    assert found["sign-in"]["status"] == "failed"
    assert found["provider"]["status"] == "ok"


def test_a_provider_that_is_gone_is_told(console: Console, tmp_path: Path) -> None:
    with sandbox_at(tmp_path / "other") as gone:
        console.sign_in(gone)

    found = checks(console, ok=False)

    assert found["provider"]["status"] == "failed"
    assert "cannot be reached" in found["provider"]["detail"]
    assert found["sign-in"]["status"] == "failed"
    assert found["site"]["status"] == "ok", "the token is still fresh"


def test_offline_nothing_is_sent(healthy: Console, sandbox: SandboxHandle) -> None:
    before = request_count(sandbox)

    found = checks(healthy, "--offline")

    assert request_count(sandbox) == before
    assert found["sign-in"]["status"] == "note"
    assert "--offline" in found["sign-in"]["detail"]
    assert "provider" not in found


def at_server(console: Console, server: Server) -> None:
    """Have somebody signed in at the server, which is well."""
    console.sign_in_at(server.url)
    server.on(OPENID, document({}))
    server.on(USERINFO, document({"sub": "alice"}))


@pytest.mark.parametrize(
    ("hours", "words"), [(-2, "2 hours ahead of"), (2, "behind")], ids=["ahead", "behind"]
)
def test_a_clock_that_is_wrong_is_told(
    console: Console, server: Server, hours: int, words: str
) -> None:
    at_server(console, server)
    theirs = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    server.on(OPENID, document({}, date=theirs))

    found = checks(console, ok=False)

    assert found["provider"]["status"] == "ok"
    assert found["clock"]["status"] == "failed"
    assert words in found["clock"]["detail"]
    assert found["clock"]["fix"] == "Set this machine's clock."


def test_a_server_that_tells_no_time_is_fine(console: Console, server: Server) -> None:
    at_server(console, server)

    found = checks(console)

    assert found["provider"]["detail"] == f"{server.url} answers"
    assert "clock" not in found


def test_a_token_that_is_not_accepted_is_told(console: Console, server: Server) -> None:
    at_server(console, server)
    server.on(USERINFO, status(401))

    found = checks(console, ok=False)

    assert found["provider"]["status"] == "ok"
    assert found["sign-in"]["status"] == "failed"
    assert "does not accept" in found["sign-in"]["detail"]


def test_a_sign_in_that_was_refused_is_told(console: Console, server: Server) -> None:
    at_server(console, server)
    console.sign_in_at(server.url, age=4000, refused="ended by the provider")

    found = checks(console, ok=False)

    assert found["sign-in"]["status"] == "failed"
    assert "ended by the provider" in found["sign-in"]["detail"]
    assert "twg login" in found["sign-in"]["fix"]


def test_a_sign_in_without_a_site_and_one_with_several(console: Console, server: Server) -> None:
    at_server(console, server)
    assert checks(console)["site"]["detail"] == "this sign-in covers 2 sites"

    console.sign_in_at(server.url, sites=(), site=None)
    assert checks(console)["site"] == {
        "name": "site",
        "status": "note",
        "detail": "this sign-in covers no site",
        "fix": None,
    }


def test_variables_that_are_not_obeyed_are_noted(console: Console) -> None:
    found = checks(
        console, "--offline", SSLKEYLOGFILE="keys.txt", all_proxy="http://x", HTTPS_PROXY=""
    )

    assert found["environment"]["status"] == "note"
    assert found["environment"]["detail"] == "set, but not obeyed: SSLKEYLOGFILE, all_proxy"


def test_a_real_process_notes_what_it_does_not_obey(console: Console) -> None:
    """They are taken out of the environment before anything reads it, and told all the same."""
    keys = console.root / "keys.txt"

    shown = console.apart("doctor", "--offline", SSLKEYLOGFILE=str(keys)).out

    assert "set, but not obeyed: SSLKEYLOGFILE" in shown
    assert not keys.exists()


def test_an_agent_is_noted(console: Console) -> None:
    found = checks(console, "--offline", GEMINI_CLI="1")

    assert found["agent"]["status"] == "note"
    assert found["agent"]["detail"] == "gemini-cli (marker GEMINI_CLI)"


def test_why_there_is_no_key_ring_is_told(console: Console, server: Server) -> None:
    """No place was chosen in the settings, and a bare session has no key ring."""
    console.settings("")
    server.on(WELL_KNOWN, document(metadata(server)))
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1"]
    console.apart(*words)

    found = console.apart("doctor", "--offline", "-o", "json").data["checks"]

    key = next(one for one in found if one["name"] == "key")
    assert key["status"] == "note"
    assert key["fix"].startswith("A key ring would protect the key better: ")


@pytest.mark.parametrize("mode", ["json", "text"])
def test_nothing_secret_is_in_what_it_tells(console: Console, server: Server, mode: str) -> None:
    at_server(console, server)

    console.twg("doctor", "-o", mode)

    assert console.traces_of(*SECRETS) == []


# What may be shown to anybody

PRIVATE = ("Ångström", "alice@", "one.example.net", "Harbor Works", "owner@", "carol@")


@pytest.fixture
def troubled(console: Console, server: Server) -> Console:
    """Somebody with everything, all of it refused in words that say who they are."""
    at_server(console, server)
    console.keep_bitbucket(server.url)
    admin_parts.keep(console, server.url, email="owner@example.com")
    who = (
        "Alice Ångström (alice@example.com) may not use one.example.net or Harbor Works; "
        "ask carol@example.net"
    )
    console.sign_in_at(server.url, age=4000, refused=who)
    return console


def test_nobody_is_named_unless_asked_for(console: Console, server: Server) -> None:
    at_server(console, server)
    admin_parts.keep(console, server.url, email="owner@example.com")
    server.on(f"/admin/v1/orgs/{ORG_ID}", document({"data": {"id": ORG_ID}}))

    quiet, loud = (console.twg("doctor", *more, status=None) for more in ((), ("--verbose",)))

    assert [word for word in PRIVATE if word in quiet.out + quiet.err] == []
    assert "it stands for alice" in loud.out
    assert "one.example.net" in loud.out
    assert "Harbor Works" in loud.out


@pytest.mark.parametrize("mode", ["json", "text"])
def test_nobody_is_named_in_what_others_say_either(troubled: Console, mode: str) -> None:
    ended = troubled.twg("doctor", "-o", mode, status=3)

    shown = ended.err + (str(ended.document) if mode == "json" else ended.out)
    assert "‹name› (‹e-mail›) may not use ‹site› or ‹organization›; ask ‹e-mail›" in shown
    assert [word for word in PRIVATE if word in shown] == []


def test_a_home_is_named_by_a_tilde(console: Console) -> None:
    """People's homes have their names, and errors quote paths."""
    home = Path(console.env["HOME"])
    state = home / "state"
    state.mkdir(mode=0o700)
    (state / "audit.jsonl").mkdir()

    ended = console.twg("doctor", "--offline", status=3, TWG_STATE_DIR=str(state))

    assert "~/state/audit.jsonl" in ended.out
    assert "~/state/audit.jsonl" in ended.err
    assert str(home) not in ended.out + ended.err


# What --fix mends


def test_what_killed_commands_left_is_removed_and_told(healthy: Console) -> None:
    (healthy.config / "auth.conf").unlink()  # a look at the store would be recorded, and mend it
    left = healthy.state / ".audit.head.0123456789ab.tmp"
    left.touch(mode=0o600)
    record = healthy.state / "audit.jsonl"
    whole = record.read_bytes()
    with record.open("ab") as file:
        file.write(b'{"ts":"2026-')

    ended = healthy.twg("doctor", "--offline", "--fix", "-o", "json")

    assert ended.data["mended"] == [
        f"Removed a temporary file that a killed command left in {healthy.state}.",
        f"Cut an unfinished line off the end of {record}.",
    ]
    assert not left.exists()
    assert record.read_bytes().startswith(whole)
    assert len(healthy.records("audit.mended")) == 1


def test_where_nothing_is_to_be_mended_nothing_is(healthy: Console) -> None:
    ended = healthy.twg("doctor", "--offline", "--fix", "-o", "json")

    assert (ended.data["mended"], ended.err) == ([], "")


def test_settings_that_others_may_change_are_mended_before_they_are_read(
    console: Console,
) -> None:
    path = console.config / "config.toml"
    path.chmod(0o666)
    console.twg("doctor", "--offline", status=78)

    console.twg("doctor", "--offline", "--fix")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_any_file_that_others_may_read_is_told(healthy: Console) -> None:
    path = healthy.state / "upkeep.json"
    path.touch(mode=0o600)
    path.chmod(0o640)

    found = checks(healthy, "--offline", ok=False)

    assert found["files"]["status"] == "failed"
    assert found["files"]["detail"] == f"others have access to {path} (0640)"
    assert found["files"]["fix"] == "Run `twg doctor --fix`."
    assert found["store"]["status"] == "ok"


# Git's addresses


def test_git_is_told_of_where_it_was_set_up(console: Console) -> None:
    assert "git" not in checks(console, "--offline")
    console.twg("setup", "git", "--yes")

    without = checks(console, "--offline", ok=False)["git"]
    console.keep_bitbucket(ATLASSIANS.api_base)
    well = checks(console, "--offline")["git"]
    folder = console.root / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(program("git"))
    lonely = checks(console, "--offline", ok=False, PATH=str(folder))["git"]

    assert "no Bitbucket token for https://bitbucket.org is kept" in without["detail"]
    assert "twg setup git --undo" in without["fix"]
    assert well["detail"] == "takes https://bitbucket.org/ addresses to twg"
    assert "git-remote-twg is not on the PATH" in lonely["detail"]


def test_one_failure_is_a_failure(healthy: Console) -> None:
    (healthy.config / "auth.conf").chmod(0o644)

    ended = healthy.twg("doctor", "--offline", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert list(ended.document["data"]["failures"]) == ["store"]
    assert ended.error["message"].startswith("1 of ")
