"""The hooks: what nobody caught and what anybody prints comes out scrubbed or not at all."""

from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from guard.hooks import Hooks, ScrubbedStream
from guard.scrub import Scrubber

REPOSITORY = Path(__file__).parents[2]
TOKEN = "n0t-A-r3al_token.Value~9"
MARK = "‹redacted:k›"

BEFORE = f"""
import asyncio, logging, sys, threading, warnings
from guard import hooks, logs
from guard.scrub import Scrubber
scrubber = Scrubber()
scrubber.learn({TOKEN!r}, "k")
secret = {TOKEN!r}
"""

WAYS = {
    "the program": "raise ValueError(secret)",
    "a thread": """
        def fail():
            raise ValueError(secret)
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    """,
    "a finalizer": """
        class Broken:
            def __del__(self):
                raise ValueError(secret)
        Broken()
    """,
}

LOGGED = {
    "the event loop": """
        async def main():
            def fail():
                raise ValueError(secret)
            asyncio.get_running_loop().call_soon(fail)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "warnings": "warnings.warn(f'a warning: {secret}')",
    "httpx": "logging.getLogger('httpx').info('GET https://h/?x=%s', secret)",
    "httpcore": "logging.getLogger('httpcore.http11').warning('send %r', secret.encode())",
    "asyncio": "logging.getLogger('asyncio').error(secret, exc_info=ValueError(secret))",
    "authlib": "logging.getLogger('authlib').error({'token': secret})",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEFORE + textwrap.dedent(code)],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def install(*, tracebacks: bool) -> str:
    return f"hooks.install(lambda: scrubber, stream=sys.stderr, tracebacks=lambda: {tracebacks})\n"


@pytest.mark.parametrize("where", WAYS)
def test_what_nobody_caught_is_shown_scrubbed(where: str) -> None:
    done = run(install(tracebacks=True) + textwrap.dedent(WAYS[where]))
    assert TOKEN not in done.stdout + done.stderr
    assert f"ValueError: {MARK}\n" in done.stderr
    assert done.stderr.startswith(f"uncaught in {where}: Traceback")


@pytest.mark.parametrize("where", WAYS)
def test_unless_asked_for_no_traceback_is_shown(where: str) -> None:
    done = run(install(tracebacks=False) + textwrap.dedent(WAYS[where]))
    assert done.stderr == f"uncaught in {where}: ValueError: {MARK}\n"


@pytest.mark.parametrize("where", LOGGED)
@pytest.mark.parametrize("verbose", [True, False])
def test_what_is_logged_is_shown_scrubbed_or_not_at_all(where: str, *, verbose: bool) -> None:
    setting = "logs.show(scrubber, stream=sys.stderr)" if verbose else "logs.silence()"
    done = run(f"{setting}\n" + textwrap.dedent(LOGGED[where]))
    assert done.returncode == 0
    assert TOKEN not in done.stdout + done.stderr
    assert ("‹redacted:" in done.stderr) == verbose
    assert bool(done.stderr) == verbose


def test_what_cannot_be_scrubbed_is_dropped_and_counted() -> None:
    def broken() -> Scrubber:
        raise RuntimeError(TOKEN)

    stream = io.StringIO()
    hooks = Hooks(broken, stream, lambda: True)
    hooks.show(ValueError(TOKEN), "in a thread")
    hooks.show(None, "in a thread")
    assert stream.getvalue() == ""
    assert hooks.lost == 2


def test_an_error_without_an_exception_is_told_too() -> None:
    stream = io.StringIO()
    Hooks(Scrubber, stream, lambda: True).show(None, "in a finalizer")
    assert stream.getvalue() == "an error without a description in a finalizer\n"


def test_a_thread_that_ends_itself_is_no_error() -> None:
    assert run(install(tracebacks=True) + "threading.Thread(target=sys.exit).start()").stderr == ""


def printing(*texts: str) -> str:
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "k")
    stream = io.StringIO()
    scrubbed = ScrubbedStream(stream, lambda: scrubber)
    for text in texts:
        print(text, end="", file=scrubbed, flush=True)
    scrubbed.finish()
    return stream.getvalue()


def test_what_is_printed_in_pieces_is_scrubbed_as_a_whole() -> None:
    """H-F1: split over any two chunks."""
    text = f"a {TOKEN} b ‹é\n"
    for cut in range(len(text)):
        assert printing(text[:cut], text[cut:]) == f"a {MARK} b ‹é\n"


def test_what_begins_no_secret_is_printed_at_once() -> None:
    stream = io.StringIO()
    scrubbed = ScrubbedStream(stream, Scrubber)
    scrubbed.write("Your name: ")
    assert stream.getvalue() == "Your name: "


def test_bytes_have_no_way_past_it() -> None:
    assert not hasattr(ScrubbedStream(sys.stdout, Scrubber), "buffer")


def test_it_is_as_what_is_behind_it(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w", encoding="latin-1", errors="replace") as file:
        stream = ScrubbedStream(file, Scrubber)
        assert (stream.encoding, stream.errors) == ("latin-1", "replace")
        assert (stream.fileno(), stream.isatty()) == (file.fileno(), False)
        assert stream.writable()
        stream.write("€\n")
        stream.flush()
        stream.finish()
    assert (tmp_path / "x").read_bytes() == b"?\n"
