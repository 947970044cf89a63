"""`twg feedback`: a report to paste or send, shown before anything is opened."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import asyncclick as click
from anyio import to_thread

from guard.errors import GuardError
from twg import __version__
from twg.cli import last_error
from twg.cli.command import command
from twg.cli.moments import stamp
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twg.cli.last_error import LastError
    from twg.cli.wiring import Wiring

_DISTRIBUTION: Final = "twg-cli"
_TRACKER: Final = "issues"
_QUESTIONS: Final = ("What I did:", "What I expected:", "What I saw instead:")


@command(
    "feedback",
    params=[
        click.Option(
            ["--last-error", "with_error"], is_flag=True, help="Tell of the last error here, too."
        )
    ],
)
async def feedback(wiring: Wiring, *, with_error: bool) -> None:
    """Show a report to paste or send: version, system, doctor's summary. It needs no sign-in.

    No secret, no name, no path and no argument is in it. Only a person at a terminal is asked
    whether to open the issue tracker, and nothing is sent from here.
    """
    report = wiring.scrubber.data(await _report(wiring, with_error=with_error))
    tracker = await to_thread.run_sync(tracker_of_this_build)
    lines = _lines(report, with_error=with_error)
    wiring.output.result({**report, "tracker": tracker}, lines)
    if wiring.output.mode == "json":
        return
    if tracker is None:
        wiring.output.say("Send it to where you have twg from; no issue tracker is named here.")
    elif wiring.stdout.isatty() and wiring.may_ask:
        await _offer(wiring, tracker, lines)
    else:
        wiring.output.say(f"The issue tracker: {tracker}")
    wiring.output.say("What breaks a promise of SECURITY.md is reported in private, as it says.")


def tracker_of_this_build() -> str | None:
    """Return the issue tracker that the distribution names (`Project-URL`); it blocks."""
    try:
        named = metadata.metadata(_DISTRIBUTION).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    for each in named:
        label, _, url = str(each).partition(",")
        if label.strip().lower() == _TRACKER and urlsplit(url.strip()).scheme == "https":
            return url.strip().rstrip("/")
    return None


async def _offer(wiring: Wiring, tracker: str, lines: Sequence[str]) -> None:
    from twg.auth.browser import NoBrowser, find_browser, open_page  # noqa: PLC0415 - for persons

    browser = find_browser(wiring.environ)
    if isinstance(browser, NoBrowser):
        wiring.output.say(f"The issue tracker: {tracker}")
        return
    question = f"open {tracker} with this in your browser, y or n"
    if await wiring.questions.agrees(question):
        words = urlencode({"body": "\n".join(lines)})
        page = f"{tracker}/new?{words}"
        if not await open_page(browser, page, wiring.environ):
            wiring.output.say(f"{browser.name} could not be opened. The issue tracker: {tracker}")


async def _report(wiring: Wiring, *, with_error: bool) -> dict[str, Any]:
    error = await to_thread.run_sync(_last_error, wiring) if with_error else None
    return {
        "version": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "agent": wiring.agent.name if wiring.agent else None,
        "checks": await _checks(wiring),
        "error": error
        and {
            "code": error.code,
            "exit_code": error.exit_code,
            "command": error.command,
            "at": stamp(error.at),
            "trace": error.trace,
            "version": error.version,
        },
    }


def _last_error(wiring: Wiring) -> LastError | None:
    with suppress(TwgError):  # settings that cannot be used tell no place
        return last_error.kept(wiring.settings.state_dir)
    return None


async def _checks(wiring: Wiring) -> dict[str, list[str]]:
    """Return the names of the doctor's checks by what came of them; no word of what was found."""
    from twg.cli.doctor import examined  # noqa: PLC0415 - its parts are many

    by_status: dict[str, list[str]] = {"ok": [], "note": [], "failed": []}
    try:
        for check in await examined(wiring, offline=True):
            by_status[check.status].append(check.name)
    except (TwgError, GuardError):
        by_status["failed"].append("settings")
    return by_status


def _lines(report: Mapping[str, Any], *, with_error: bool) -> list[str]:
    lines = [
        f"twg {report['version']}, {report['python']}, {report['platform']}",
        f"Agent: {report['agent'] or 'none noticed'}",
    ]
    told = {status: names for status, names in report["checks"].items() if names}
    lines += [f"Doctor, {status}: {', '.join(names)}" for status, names in told.items()]
    if with_error:
        lines.append(f"Last error: {_in_words(report['error'])}")
    return [*lines, *(line for each in _QUESTIONS for line in ("", each))]


def _in_words(error: Mapping[str, Any] | None) -> str:
    if error is None:
        return "none is kept here"
    return (
        f"{error['code']} ({error['exit_code']}) of `{error['command']}` at {error['at']}, "
        f"trace {error['trace']}, twg {error['version']}"
    )
