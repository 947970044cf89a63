"""`twg feedback`: a report that can be shown to anybody, and nothing opened unasked."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.test_auth import AWAY
from tests.rigs.surroundings import fake_browser
from tests.rigs.terminal import Terminal
from tests.vault.samples import SECRETS
from twg import __version__
from twg.cli import last_error
from twg.cli.wiring import Wiring

if TYPE_CHECKING:
    from tests.cli.console import Console

TRACKER = "https://tracker.example/twg/issues"
PRIVATE = "HAR-4711-about-the-merger"


def test_a_report_needs_no_sign_in_and_tells_what_is_asked_of_everybody(console: Console) -> None:
    ended = console.twg("feedback")

    assert ended.out.startswith(f"twg {__version__}, CPython 3.")
    assert "\nAgent: none noticed\n" in ended.out
    assert "\nDoctor, ok: python, " in ended.out
    assert "\nWhat I expected:\n" in ended.out
    assert "Last error" not in ended.out
    assert "no issue tracker is named here" in ended.err


def test_the_last_error_is_told_without_its_arguments_and_its_message(console: Console) -> None:
    console.sign_in_at(AWAY, "work")
    console.twg("api", "jira", f"/browse/{PRIVATE}", "--profile", "work", status=69)

    report = console.twg("feedback", "--last-error", TWG_AGENT="1").data
    shown = console.twg("feedback", "--last-error").out

    error = report["error"]
    assert error["code"] == "NETWORK"
    assert error["command"] == "twg api"
    assert error["exit_code"] == 69
    assert error["version"] == __version__
    assert error["trace"] in {record["trace"] for record in console.records()}
    assert report["agent"] == "unknown"
    assert f"Last error: NETWORK (69) of `twg api` at {error['at']}, trace" in shown
    file = last_error.path_in(console.state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for private in (PRIVATE, "work", str(console.root), "auth.example.com", *SECRETS):
        assert private not in json.dumps(report) + shown + file.read_text(), private


def test_checks_are_told_by_name_alone(console: Console) -> None:
    console.sign_in_at(AWAY)
    (console.config / "auth.conf").chmod(0o644)

    checks = console.twg("feedback", "-o", "json").data["checks"]

    assert "python" in checks["ok"]
    assert checks["failed"]
    assert all(name.replace("-", "").isalnum() for names in checks.values() for name in names)


def test_settings_that_are_wrong_leave_a_report_all_the_same(console: Console) -> None:
    """Where the last error would be, nobody knows then."""
    console.settings("[netwrok]\n")

    report = console.twg("feedback", "--last-error", "-o", "json").data

    assert report["checks"]["failed"] == ["settings"]
    assert report["error"] is None


@pytest.mark.parametrize(
    ("words", "status", "more"),
    [
        (["bogus"], 2, {}),
        (["auth", "list", "--bogus"], 2, {}),
        (["login"], 79, {"TWG_AGENT": "1"}),
    ],
)
def test_what_is_nobodys_fault_is_not_kept(
    console: Console, words: list[str], status: int, more: dict[str, str]
) -> None:
    console.more |= more
    console.twg("auth", "switch", "x", status=77)
    console.state.mkdir(mode=0o700, exist_ok=True)

    console.twg(*words, status=status)

    assert console.twg("feedback", "--last-error", "-o", "json").data["error"] is None


def test_what_fails_before_anything_is_begun_leaves_nothing_behind(console: Console) -> None:
    console.twg("auth", "switch", "x", status=77)

    assert not last_error.path_in(console.state).exists()


def test_a_bug_is_kept_wherever_it_is(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **_more: object) -> None:
        raise ValueError(PRIVATE)

    with monkeypatch.context() as patch:
        patch.setattr(Wiring, "begin", crash)
        console.twg("auth", "list", status=1)

    assert console.twg("feedback", "--last-error", "-o", "json").data["error"]["code"] == "INTERNAL"
    assert PRIVATE not in last_error.path_in(console.state).read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"code": "NONSENSE"}', "\x00", "9" * 5000])
def test_a_record_that_is_damaged_is_none(console: Console, text: str) -> None:
    console.sign_in_at(AWAY)
    file = last_error.path_in(console.state)
    file.touch(mode=0o600)
    file.write_text(text)

    assert "Last error: none is kept here" in console.twg("feedback", "--last-error").out


def test_a_record_that_cannot_be_kept_changes_nothing(console: Console) -> None:
    console.sign_in_at(AWAY)
    last_error.path_in(console.state).mkdir()

    assert console.twg("api", "jira", "/x", status=69).err.startswith("twg: ")


def test_uninstalling_removes_it(console: Console) -> None:
    console.sign_in_at(AWAY)
    console.twg("api", "jira", "/x", status=69)

    plan = console.twg("uninstall", "--dry-run", "-o", "json").data

    assert str(last_error.path_in(console.state)) in plan["files"]
    assert str(last_error.path_in(console.state)) not in plan["left"]


@pytest.fixture
def named(console: Console) -> Console:
    """A build whose distribution names its issue tracker, and a person with a browser."""
    info = console.root / "site" / f"twg_cli-{__version__}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: twg-cli\nVersion: {__version__}\n"
        f"Project-URL: Source, https://example.com\nProject-URL: Issues, {TRACKER}\n"
    )
    console.more |= {
        "PYTHONPATH": str(info.parent),
        "BROWSER": str(fake_browser(console.root).path),
    }
    return console


def opened(console: Console) -> list[str]:
    return [path.read_text() for path in (console.root / "opened").glob("*.url")]


async def test_a_person_who_says_yes_gets_the_tracker_opened_with_what_was_shown(
    named: Console,
) -> None:
    async with Terminal.start(["twg", "feedback"], env=named.env, columns=200) as terminal:
        shown = await terminal.until(f"Open {TRACKER} with this in your browser")
        assert opened(named) == [], "shown first"
        await terminal.send_line("y")
        assert await terminal.exit_status() == 0

    (page,) = opened(named)
    parts = urlsplit(page)
    assert page.startswith(f"{TRACKER}/new?")
    (body,) = parse_qs(parts.query)["body"]
    assert body.splitlines()[0] in shown


async def test_a_person_who_says_no_gets_nothing_opened(named: Console) -> None:
    async with Terminal.start(["twg", "feedback"], env=named.env, columns=200) as terminal:
        await terminal.until("in your browser")
        await terminal.send_line("")
        assert await terminal.exit_status() == 0

    assert opened(named) == []


@pytest.mark.parametrize("more", [{"TWG_AGENT": "1"}, {"TWG_OUTPUT": "json"}])
async def test_a_program_at_a_terminal_is_asked_nothing(
    named: Console, more: dict[str, str]
) -> None:
    argv = ["twg", "feedback"]
    async with Terminal.start(argv, env=named.env | more, columns=400) as terminal:
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()

    assert json.loads(shown)["data"]["tracker"] == TRACKER
    assert opened(named) == []


def test_a_pipe_is_asked_nothing_and_told_the_tracker(named: Console) -> None:
    ended = named.apart("feedback")

    assert f"The issue tracker: {TRACKER}" in ended.err
    assert opened(named) == []
