"""The loopback listener against real sockets: who gets in, who does not, and what each is told."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import pytest

from twg.errors import ConfigError, ProtocolError
from twg.oauth.loopback import MAX_CONNECTIONS, LoopbackListener, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import SocketStream

STATE = "the-state-that-was-sent"
GOOD = f"code=the-code&state={STATE}"
DONE = Page(ok=True, headline="Signed in", detail="You may <close> this & that.")


@pytest.fixture
async def listener() -> AsyncIterator[LoopbackListener]:
    async with LoopbackListener(grace_seconds=0.2, request_seconds=5) as listening:
        yield listening


def request_line(
    listener: LoopbackListener,
    query: str = GOOD,
    *,
    method: str = "GET",
    target: str | None = None,
    host: str | None = None,
    **headers: str,
) -> bytes:
    """A request as a browser would send it; header names with underscores for dashes."""
    parts = urlsplit(listener.redirect_uri)
    lines = [
        f"{method} {target or f'{parts.path}?{query}'} HTTP/1.1",
        f"Host: {parts.netloc if host is None else host}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


async def connect(listener: LoopbackListener, address: str | None = None) -> SocketStream:
    parts = urlsplit(listener.redirect_uri)
    return await anyio.connect_tcp(address or parts.hostname or "", parts.port or 0)


async def read_all(stream: SocketStream) -> bytes:
    answer = b""
    try:
        while True:
            answer += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return answer


async def ask(listener: LoopbackListener, request: bytes, address: str | None = None) -> bytes:
    """Send `request` on a connection of its own and return the whole answer."""
    async with await connect(listener, address) as stream:
        await stream.send(request)
        await stream.send_eof()
        return await read_all(stream)


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


class Waiting:
    """A `callback` that waits beside the test."""

    def __init__(self, listener: LoopbackListener) -> None:
        self.listener = listener
        self.got: Mapping[str, list[str]] | None = None
        self.error: ProtocolError | None = None
        self.done = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        task_status.started()
        try:
            self.got = await self.listener.callback(STATE)
        except ProtocolError as error:
            self.error = error
        self.done.set()

    @property
    def untouched(self) -> bool:
        return not self.done.is_set()


@pytest.fixture
async def waiting(listener: LoopbackListener) -> AsyncIterator[Waiting]:
    async with anyio.create_task_group() as tasks:
        waits = Waiting(listener)
        await tasks.start(waits.run)
        await anyio.wait_all_tasks_blocked()
        yield waits
        tasks.cancel_scope.cancel()


async def finish(waiting: Waiting, page: Page = DONE) -> bytes:
    """Send the valid callback, conclude with `page`, and return the answer."""
    async with await connect(waiting.listener) as stream:
        await stream.send(request_line(waiting.listener))
        await waiting.done.wait()
        await waiting.listener.conclude(page)
        return await read_all(stream)


async def test_a_callback_is_taken_and_told_how_it_ended(waiting: Waiting) -> None:
    answer = await finish(waiting)
    assert waiting.got == {"code": ["the-code"], "state": [STATE]}
    assert status_of(answer) == 200
    assert b"<h1>Signed in</h1>" in answer
    assert b"You may &lt;close&gt; this &amp; that." in answer


async def test_the_page_waits_for_the_conclusion(waiting: Waiting) -> None:
    async with await connect(waiting.listener) as stream:
        await stream.send(request_line(waiting.listener))
        await waiting.done.wait()
        with anyio.move_on_after(0.05) as early:
            await stream.receive()
        assert early.cancelled_caught
        failed = Page(ok=False, headline="Not signed in", detail="Because.")
        await waiting.listener.conclude(failed)
        assert b"Not signed in" in await read_all(stream)


async def test_the_first_conclusion_stands(waiting: Waiting) -> None:
    answer = await finish(waiting)
    await waiting.listener.conclude(Page(ok=False, headline="Too late", detail=""))
    assert b"Signed in" in answer


async def test_pages_keep_to_themselves(waiting: Waiting) -> None:
    head = (await finish(waiting)).partition(b"\r\n\r\n")[0].decode().lower()
    assert "content-security-policy: default-src 'none'; style-src 'unsafe-inline';" in head
    assert "cache-control: no-store" in head
    assert "referrer-policy: no-referrer" in head
    assert "x-content-type-options: nosniff" in head
    assert "connection: close" in head


async def test_leaving_without_a_conclusion_says_so() -> None:
    async with LoopbackListener() as listener:
        stream = await connect(listener)
        await stream.send(request_line(listener))
        assert await listener.callback(STATE)
    async with stream:
        assert b"The sign-in was ended" in await read_all(stream)


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    with pytest.raises(ProtocolError, match="mine"):
        async with LoopbackListener():
            raise ProtocolError("mine")


async def test_cancelling_closes_it() -> None:
    with anyio.move_on_after(0.05) as scope:
        async with LoopbackListener() as listener:
            await listener.callback(STATE)
    assert scope.cancelled_caught
    with pytest.raises(OSError, match=r"."):
        await connect(listener)


async def test_only_loopback_is_bound(listener: LoopbackListener) -> None:
    """Every socket of this process that listens does so on 127.0.0.1."""
    parts = urlsplit(listener.redirect_uri)
    assert parts.hostname == "127.0.0.1"
    assert parts.path == "/callback"
    with pytest.raises(OSError, match=r"."):
        await anyio.connect_tcp("127.0.0.2", parts.port or 0)


@pytest.mark.parametrize(
    "query",
    [
        "code=the-code",
        "code=the-code&state=",
        "code=the-code&state=wrong",
        f"code=the-code&state={STATE}x",
        f"code=the-code&state={STATE}&state={STATE}",
        f"code=the-code&state={STATE.upper()}",
        "error=access_denied",
        "error=access_denied&state=wrong",
        "code=the-code&state=%C3%BC",
    ],
)
async def test_h_c1_a_wrong_or_missing_state(waiting: Waiting, query: str) -> None:
    """H-C1: told so on the page, and the sign-in ends if no valid answer follows soon."""
    answer = await ask(waiting.listener, request_line(waiting.listener, query))
    assert status_of(answer) == 400
    assert b"does not belong to the sign-in that is waiting" in answer
    await waiting.done.wait()
    assert waiting.got is None
    assert "state" in str(waiting.error)


async def test_h_c1_a_valid_answer_right_after_a_wrong_one_wins() -> None:
    async with LoopbackListener(grace_seconds=30) as listener, anyio.create_task_group() as tasks:
        waits = Waiting(listener)
        await tasks.start(waits.run)
        await anyio.wait_all_tasks_blocked()
        await ask(listener, request_line(listener, "code=evil&state=wrong"))
        await finish(waits)
        assert waits.got == {"code": ["the-code"], "state": [STATE]}


async def test_h_c1_a_replayed_callback(waiting: Waiting) -> None:
    await finish(waiting)
    answer = await ask(waiting.listener, request_line(waiting.listener))
    assert status_of(answer) == 409
    assert b"already answered" in answer


async def test_h_c1_many_callbacks_at_once(waiting: Waiting) -> None:
    """H-C1: exactly one is taken; the others are told so at once."""
    answers: list[bytes] = []

    async def call(number: int) -> None:
        query = f"code=code-{number}&state={STATE}"
        answers.append(await ask(waiting.listener, request_line(waiting.listener, query)))

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(call, number)
        await waiting.done.wait()
        await waiting.listener.conclude(DONE)
    assert sorted(status_of(answer) for answer in answers) == [200] + [409] * 19
    assert waiting.got is not None
    assert len(waiting.got["code"]) == 1


async def test_an_error_redirect_is_an_answer(listener: LoopbackListener) -> None:
    query = f"error=access_denied&error_description=no&state={STATE}"
    async with await connect(listener) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, request_line(listener, query))
        assert (await listener.callback(STATE))["error"] == ["access_denied"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost:PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1.evil.example:PORT",
        "evil.example:PORT",
        "[::1]:PORT",
        "",
    ],
)
async def test_h_c1_a_foreign_host(waiting: Waiting, host: str) -> None:
    """H-C1: whoever was led here by DNS is refused, with the right state too."""
    port = str(urlsplit(waiting.listener.redirect_uri).port)
    given = request_line(waiting.listener, host=host.replace("PORT", port))
    assert status_of(await ask(waiting.listener, given)) == 421
    assert waiting.untouched


async def test_h_c1_no_host_or_two(waiting: Waiting) -> None:
    good = request_line(waiting.listener)
    none = re.sub(rb"Host: .*\r\n", b"", good)
    assert status_of(await ask(waiting.listener, none)) == 400
    old = none.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert status_of(await ask(waiting.listener, old)) == 421
    two = good.replace(b"Host:", b"Host: evil.example\r\nHost:")
    assert status_of(await ask(waiting.listener, two)) in {400, 421}
    assert waiting.untouched


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://evil.example", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
        {"Sec_Fetch_Mode": "cors"},
        {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"},
        {"Sec_Fetch_Dest": "script"},
    ],
)
@pytest.mark.parametrize("query", [GOOD, "code=x&state=wrong"])
async def test_h_c1_a_foreign_origin(waiting: Waiting, headers: dict[str, str], query: str) -> None:
    """H-C1: another page's script, image or frame is refused and ends nothing."""
    given = request_line(waiting.listener, query, **headers)
    assert status_of(await ask(waiting.listener, given)) == 403
    assert waiting.untouched
    await finish(waiting)


@pytest.mark.parametrize(
    "headers",
    [
        {
            "Sec_Fetch_Mode": "navigate",
            "Sec_Fetch_Dest": "document",
            "Sec_Fetch_Site": "cross-site",
        },
        {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Origin": "null"},
        {"Referer": "https://auth.example.com/"},
    ],
)
async def test_a_browsers_navigation(listener: LoopbackListener, headers: dict[str, str]) -> None:
    """A browser may send `Origin: null` with the redirect that follows a form."""
    async with await connect(listener) as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(stream.send, request_line(listener, **headers))
        assert (await listener.callback(STATE))["code"] == ["the-code"]


@pytest.mark.parametrize(
    ("method", "headers", "code"),
    [
        ("HEAD", {}, 405),
        ("OPTIONS", {"Access_Control_Request_Private_Network": "true"}, 405),
        ("PUT", {"Content_Length": "0"}, 405),
        ("POST", {"Content_Length": "2", "Origin": "https://evil.example"}, 405),
        ("GET", {"Sec_Purpose": "prefetch"}, 503),
        ("GET", {"Sec_Purpose": "prefetch;prerender"}, 503),
        ("GET", {"Purpose": "Prefetch"}, 503),
        ("GET", {"X_Moz": "prefetch"}, 503),
    ],
)
async def test_h_c1_a_head_or_a_prefetch_takes_nothing(
    waiting: Waiting, method: str, headers: dict[str, str], code: int
) -> None:
    """H-C1: the real callback comes after it."""
    given = request_line(waiting.listener, method=method, **headers)
    answer = await ask(waiting.listener, given)
    assert status_of(answer) == code
    assert bool(answer.partition(b"\r\n\r\n")[2]) == (method != "HEAD")
    assert waiting.untouched
    await finish(waiting)
    assert waiting.got is not None


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/favicon.ico", 404),
        ("/", 404),
        (f"/callback/?{GOOD}", 404),
        (f"/CALLBACK?{GOOD}", 404),
        (f"//callback?{GOOD}", 404),
        (f"/callback/../callback?{GOOD}", 404),
        (f"http://127.0.0.1/callback?{GOOD}", 404),
        ("/callback", 400),
        ("/callback?", 400),
        (f"/callback?state={STATE}", 400),
        (f"/callback?code=%FF&state={STATE}", 400),
        ("/callback?" + "a=b&" * 100 + GOOD, 400),
    ],
)
async def test_h_c1_other_paths_and_visits(waiting: Waiting, target: str, code: int) -> None:
    """H-C1: a port scan, a favicon, a curious person."""
    assert (
        status_of(await ask(waiting.listener, request_line(waiting.listener, target=target)))
        == code
    )
    assert waiting.untouched


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"SSH-2.0-scanner\r\n",
        b"GET\r\n\r\n",
        b"GET /callback HTTP/9.9\r\n\r\n",
        b"GET /callback HTTP/1.1\r\nHost",
        b"GET /callback?code=\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        bytes(1000),
    ],
)
async def test_h_c1_a_port_scan(waiting: Waiting, noise: bytes) -> None:
    """H-C1: whatever it says, it gets an error or nothing, and the sign-in goes on."""
    answer = await ask(waiting.listener, noise)
    assert not answer or status_of(answer) in {400, 421, 501}
    assert waiting.untouched
    await finish(waiting)


async def test_h_c1_a_megabyte_of_headers(waiting: Waiting) -> None:
    """H-C1: refused long before its end, and the sign-in goes on."""
    given = request_line(waiting.listener, X_Long="a" * 1_000_000)
    async with await connect(waiting.listener) as stream:
        with contextlib.suppress(anyio.BrokenResourceError):
            await stream.send(given)
        answer = await read_all(stream)
    assert not answer or status_of(answer) == 431
    assert waiting.untouched
    await finish(waiting)


async def test_h_c1_a_slow_client_is_dropped() -> None:
    """H-C1: it gets so long and no longer to send its request."""
    slow = b"GET /callback HTTP/1.1\r\n"
    async with (
        LoopbackListener(request_seconds=0.1) as listener,
        await connect(listener) as stream,
    ):
        await stream.send(slow)
        with anyio.fail_after(10):
            assert await read_all(stream) == b""


async def test_h_c1_silent_connections_do_not_keep_the_browser_out(waiting: Waiting) -> None:
    """H-C1: more than it holds; the oldest of them go."""
    silent = [await connect(waiting.listener) for _ in range(MAX_CONNECTIONS * 3)]
    with anyio.fail_after(10):
        assert await read_all(silent[0]) == b""
    await finish(waiting)
    assert waiting.got is not None
    for stream in silent:
        await stream.aclose()


async def test_a_browser_that_goes_away_does_not_matter(listener: LoopbackListener) -> None:
    async with await connect(listener) as stream:
        await stream.send(request_line(listener))
        assert await listener.callback(STATE)
    await listener.conclude(DONE)


async def test_nothing_is_taken_before_it_is_awaited(listener: LoopbackListener) -> None:
    assert status_of(await ask(listener, request_line(listener))) == 400


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("path", ["/callback", "/other/path", "/"])
async def test_a_fixed_redirect_uri_is_kept_to_the_letter(path: str) -> None:
    uri = f"http://127.0.0.1:{free_port()}{path}"
    async with LoopbackListener(uri, grace_seconds=0.1) as listener:
        assert listener.redirect_uri == uri
        async with await connect(listener) as stream, anyio.create_task_group() as tasks:
            tasks.start_soon(stream.send, request_line(listener))
            assert (await listener.callback(STATE))["code"] == ["the-code"]


async def test_a_fixed_redirect_uri_on_localhost() -> None:
    """Both of its addresses are listened on, under its own name only."""
    port = free_port()
    async with LoopbackListener(f"http://localhost:{port}/callback") as listener:
        assert listener.redirect_uri == f"http://localhost:{port}/callback"
        assert (
            status_of(await ask(listener, request_line(listener, target="/x"), "127.0.0.1")) == 404
        )
        if socket.has_ipv6:
            there = await ask(listener, request_line(listener, target="/x"), "::1")
            assert status_of(there) == 404
        foreign = request_line(listener, host=f"127.0.0.1:{port}")
        assert status_of(await ask(listener, foreign, "127.0.0.1")) == 421


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1:8400/callback",
        "http://127.0.0.1/callback",
        "http://0.0.0.0:8400/callback",
        "http://192.168.0.1:8400/callback",
        "http://evil.example:8400/callback",
        "http://user@127.0.0.1:8400/callback",
        "http://127.0.0.1:8400/callback?a=b",
        "http://127.0.0.1:8400/callback#a",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:port/callback",
        "http://[::1/callback",
        "myapp:/callback",
        "",
    ],
)
async def test_a_redirect_uri_that_cannot_be_listened_on(uri: str) -> None:
    with pytest.raises(ConfigError, match="cannot be listened on"):
        async with LoopbackListener(uri):
            pass


HOLD = """
import socket, sys
held = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
held.bind((sys.argv[1], int(sys.argv[2])))
held.listen()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("holder", "uri"),
    [
        ("127.0.0.1", "http://127.0.0.1:PORT/callback"),
        ("0.0.0.0", "http://127.0.0.1:PORT/callback"),  # noqa: S104 - held by the test's other process
        ("127.0.0.1", "http://localhost:PORT/callback"),
        ("::1", "http://localhost:PORT/callback"),
    ],
)
async def test_h_c1_another_process_on_the_redirect_port(holder: str, uri: str) -> None:
    """H-C1: it would get the code, so the sign-in does not begin; the message names the port."""
    port = free_port()
    command = [sys.executable, "-c", HOLD, holder, str(port)]
    async with await anyio.open_process(command, stdin=-1, stdout=-1) as other:
        assert other.stdout is not None
        assert (await other.stdout.receive()).strip() == b"held"
        with pytest.raises(ConfigError, match=f"port {port} .* is taken"):
            async with LoopbackListener(uri.replace("PORT", str(port))):
                pass
        other.kill()
    # Nothing of the failed attempt keeps the port.
    async with LoopbackListener(f"http://127.0.0.1:{port}/callback"):
        pass


async def test_a_port_of_the_system() -> None:
    if os.geteuid() == 0:
        async with LoopbackListener("http://127.0.0.1:80/callback") as listener:
            answer = await ask(listener, request_line(listener, target="/x", host="127.0.0.1"))
            assert status_of(answer) == 404
    else:
        with pytest.raises(ConfigError, match="may not be opened"):
            async with LoopbackListener("http://127.0.0.1:80/callback"):
                pass


def test_no_address_before_it_listens() -> None:
    with pytest.raises(RuntimeError, match="before it listens"):
        assert LoopbackListener().redirect_uri


async def test_nothing_of_a_request_is_logged(
    waiting: Waiting, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    await ask(waiting.listener, request_line(waiting.listener, "code=x&state=wrong", Cookie="c=d"))
    await ask(waiting.listener, b"GET /callback?code=\xff HTTP/1.1\r\n\r\n")
    assert "state=wrong" not in caplog.text
    assert capfd.readouterr() == ("", "")
