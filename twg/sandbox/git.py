"""A look-alike of Bitbucket's git server: git's own `http-backend` behind the scoped token."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from twg.sandbox.account import BITBUCKET
from twg.sandbox.bitbucket import NAMES, READ_REPOSITORY, credentials
from twg.sandbox.faults import Place
from twg.sandbox.people import PEOPLE, WORKSPACE
from twg.sandbox.web import route

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from anyio.abc import Process
    from starlette.requests import Request
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send

    from twg.sandbox.context import Sandbox
    from twg.sandbox.storage import Key

WRITE_REPOSITORY: Final = "write:repository:bitbucket"
TOKEN_USER: Final = "x-bitbucket-api-token-auth"
_LONGEST_HEAD: Final = 64 * 1024
_PIECE: Final = 64 * 1024
_FIRST_COMMIT: Final = b"""\
commit refs/heads/main
committer Harbor Works (sandbox) <harbor@sandbox.example> 1759305600 +0000
data 13
First commit

M 100644 inline README.md
data 22
# Made by the sandbox

"""


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of git's smart protocol (gitprotocol-http), below `/git`."""
    git = _Git(sandbox)
    base = "/git/{workspace}/{repo}"
    return [
        route(sandbox, "GET", f"{base}/info/refs", git.serve, Place.RESOURCE),
        route(sandbox, "POST", f"{base}/git-upload-pack", git.serve, Place.RESOURCE),
        route(sandbox, "POST", f"{base}/git-receive-pack", git.serve, Place.RESOURCE),
    ]


def _words(status: int, words: str) -> Response:
    return Response(f"{words}\n".encode(), status, media_type="text/plain")


class _Git:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._making = anyio.Lock()

    async def serve(self, request: Request) -> Response:
        """Answer one request of git's, as its own CGI program does."""
        user, token = credentials(request)
        key = await to_thread.run_sync(self._sandbox.storage.key, token, BITBUCKET)
        if key is None or user.lower() not in {TOKEN_USER, PEOPLE[key.username].email}:
            refused = _words(401, "You may not have access to this repository.")
            refused.headers["www-authenticate"] = 'Basic realm="Bitbucket.org HTTP"'
            return refused
        wanted = _wanted(request)
        if wanted not in key.scope.split():
            return _words(403, f"Your API token lacks the scope {wanted}.")
        name = request.path_params["repo"].removesuffix(".git")
        if request.path_params["workspace"] != WORKSPACE or name not in NAMES:
            return _words(404, "Repository not found")
        if (git := shutil.which("git")) is None:
            return _words(503, "The sandbox's git server needs git on the PATH.")
        async with self._making:
            await _make(git, self._sandbox.repositories / f"{name}.git")
        return _Backend(git, request, self._variables(request, name, key))

    def _variables(self, request: Request, name: str, key: Key) -> dict[str, str]:
        """Return what CGI tells a program about a request."""
        action = request.url.path.removeprefix(f"/git/{WORKSPACE}/{request.path_params['repo']}")
        headers = request.headers
        asked = {
            "CONTENT_LENGTH": headers.get("content-length", ""),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
        }
        return {
            **_surroundings(),
            **{variable: text for variable, text in asked.items() if text},
            "GIT_PROJECT_ROOT": str(self._sandbox.repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{name}.git{action}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": headers.get("content-type", ""),
            "REMOTE_USER": key.username,
            "REMOTE_ADDR": "127.0.0.1",
        }


def _wanted(request: Request) -> str:
    service = request.query_params.get("service", request.url.path)
    return WRITE_REPOSITORY if service.endswith("git-receive-pack") else READ_REPOSITORY


async def _make(git: str, repository: Path) -> None:
    """Make a repository with one commit, unless it is there."""
    if await anyio.Path(repository).exists():
        return
    begun = repository.with_suffix(".begun")
    await to_thread.run_sync(partial(shutil.rmtree, begun, ignore_errors=True))
    run = partial(anyio.run_process, env=_surroundings())
    await run(
        [git, "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(begun)]
    )
    await run([git, "-C", str(begun), "fast-import", "--quiet"], input=_FIRST_COMMIT)
    await anyio.Path(begun).rename(repository)


def _surroundings() -> dict[str, str]:
    # Nothing of the user's own settings: a hook or a template of theirs has no business here.
    nothing = os.devnull
    return {
        "PATH": os.defpath,
        "GIT_CONFIG_GLOBAL": nothing,
        "GIT_CONFIG_SYSTEM": nothing,
    }


class _Backend(Response):
    """One run of `git http-backend` (CGI, RFC 3875), its bodies streamed both ways."""

    def __init__(self, git: str, request: Request, variables: Mapping[str, str]) -> None:
        super().__init__()
        self._git = git
        self._request = request
        self._variables = variables

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run it, as ASGI has it."""
        del scope, receive  # the request has both
        process = await anyio.open_process(
            [self._git, "http-backend"], stderr=None, env=self._variables
        )
        async with process, anyio.create_task_group() as tasks:
            tasks.start_soon(self._feed, process)
            await _send_on(process, send)

    async def _feed(self, process: Process) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        async with process.stdin as feed:
            with suppress(anyio.BrokenResourceError, ClientDisconnect):
                async for chunk in self._request.stream():
                    await feed.send(chunk)


async def _send_on(process: Process, send: Send) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    output = BufferedByteReceiveStream(process.stdout)
    status, headers = _parsed(await output.receive_until(b"\r\n\r\n", _LONGEST_HEAD))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    with suppress(anyio.EndOfStream):
        while True:
            chunk = await output.receive(_PIECE)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _parsed(head: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
    """Return status and headers of a CGI answer."""
    pairs = [line.partition(b": ") for line in head.split(b"\r\n")]
    headers = [(name.lower(), value) for name, _, value in pairs if name]
    status = int(dict(headers).get(b"status", b"200").split()[0])
    return status, [(name, value) for name, value in headers if name != b"status"]
