"""`twg mcp`, asked by the protocol's own client over the pipes of a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types as types
import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError, StdioServerParameters

from guard.shapes import SHAPES
from twg.mcp.server import SKILL
from twg.mcp.toolbox import TOOLS
from twg.mcp.wire import Incoming, Outgoing
from twg.sandbox.people import ALICE
from twg.skills import placing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle

LOOKS = next(shape.example for shape in SHAPES if "ATATT" in shape.example)
TWG = str(Path(sys.executable).with_name("twg"))
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


def served(console: Console, work: Callable[[Client], Awaitable[None]]) -> None:
    """Let `work` talk to a server of this installation."""

    async def talk() -> None:
        command = StdioServerParameters(command=TWG, args=["mcp"], env=console.env)
        async with Client(command) as client:
            await work(client)

    anyio.run(talk)


async def used(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Use a tool, and return the envelope, which must be the same in both of its forms."""
    found = await client.call_tool(tool, arguments)
    assert isinstance(found, types.CallToolResult)
    document: dict[str, Any] = found.structured_content
    assert isinstance(found.content[0], types.TextContent)
    assert json.loads(found.content[0].text) == document
    assert found.is_error is not document["ok"]
    return document


async def code_of(client: Client, tool: str, **arguments: Any) -> str:
    document = await used(client, tool, **arguments)
    assert document["ok"] is False, document
    assert document["error"]["message"]
    return str(document["error"]["code"])


def test_a_model_reads_what_its_person_may_read(console: Console, sandbox: SandboxHandle) -> None:
    """Jira, Confluence and GraphQL, by search and by path; and no token in anything it is told."""
    credential = console.sign_in(sandbox)
    told: list[dict[str, Any]] = []

    async def work(client: Client) -> None:
        for tool, arguments in (
            ("whoami", {}),
            ("status", {}),
            ("search", {"product": "jira", "query": "project = HAR order by key", "limit": 2}),
            ("search", {"product": "confluence", "query": 'title ~ "tide" and type = page'}),
            ("api_get", {"service": "jira", "path": "/rest/api/3/myself"}),
            ("graphql_read", {"query": "query { me { user { name } } }"}),
        ):
            document = await used(client, tool, **arguments)
            assert document["ok"], (tool, document)
            told.append(document["data"])
        after = told[2]["nextPageToken"]
        more = await used(
            client,
            "search",
            product="jira",
            query="project = HAR order by key",
            limit=2,
            after=after,
        )
        told.append(more["data"])

    served(console, work)
    who, state, issues, pages, myself, me, more = told
    assert who["account"]["email"] == myself["emailAddress"] == ALICE.email
    assert state["state"] == "fresh"
    assert [issue["key"] for issue in issues["issues"] + more["issues"]] == [
        f"HAR-{n}" for n in range(1, 5)
    ]
    assert all("Tide" in hit["title"] for hit in pages["results"])
    assert me["data"]["me"]["user"]["name"]
    access = credential.tokens.access.reveal("compare with what was told")
    assert access not in json.dumps(told)
    calls = console.records("secret.revealed")
    assert {call["actor"]["kind"] for call in calls} >= {"agent"}


def test_a_model_changes_nothing_that_is_not_granted(
    console: Console, sandbox: SandboxHandle
) -> None:
    """Nor does a tool that reads send what writes; it is told what its person is to run."""
    console.sign_in(sandbox)
    before = anyio.run(sandbox.stats)["requests"]

    async def work(client: Client) -> None:
        write = await used(
            client,
            "api_write",
            service="jira",
            method="POST",
            path="/rest/api/3/issue",
            body={"fields": {"summary": "x"}},
        )
        assert write["error"]["code"] == "POLICY_DENIED"
        assert write["error"]["exit_code"] == 80
        mutation = "mutation { createThing { id } }"
        assert await code_of(client, "graphql_read", query=mutation) == "POLICY_DENIED"

    served(console, work)
    after = anyio.run(sandbox.stats)["requests"]
    assert {name: n for name, n in after.items() if before.get(name) != n} == {}


def test_a_tool_takes_no_secret_and_nothing_it_does_not_know(
    console: Console, sandbox: SandboxHandle
) -> None:
    """H-A2, H-A6: by its looks, by its name, or because it is kept here; and it is not repeated."""
    kept = console.sign_in(sandbox).tokens.access.reveal("look for it where it is not to be")

    async def work(client: Client) -> None:
        get = partial(code_of, client, "api_get", service="jira")
        assert await get(path=f"/rest/api/3/{LOOKS}") == "SECRET_REFUSED"
        assert await get(path="/x", parameters={"a": [kept]}) == "SECRET_REFUSED"
        assert await get(path="/x", parameters={"client_secret": "hunter2-Xk9qLm4w"}) == (
            "SECRET_REFUSED"
        )
        assert await get(path="//evil.example/x") == "USAGE"
        assert await get(path="/x", parameters={"a": {}}) == "USAGE"
        assert await get(path="/x", more=1) == "USAGE"
        assert await code_of(client, "api_get", service="admin", path="/x") == "USAGE"
        assert await code_of(client, "no_such_tool") == "USAGE"
        refused = await used(client, "api_get", service=f"jira-{LOOKS}", path="/x")
        assert LOOKS not in json.dumps(refused)

    served(console, work)
    assert len(console.records("secret.refused")) == 4


def test_what_is_wrong_with_a_sign_in_is_an_answer(console: Console) -> None:
    async def work(client: Client) -> None:
        for tool, arguments in (
            ("whoami", {}),
            ("status", {}),
            ("api_get", {"service": "jira", "path": "/rest/api/3/myself"}),
        ):
            document = await used(client, tool, **arguments)
            assert document["error"]["code"] == "AUTH_REQUIRED"
            assert "twg login" in document["error"]["remediation"]

    served(console, work)


def test_the_protocol_is_told_of_every_tool_and_of_the_skill(console: Console) -> None:
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == TOOLS.keys()
        for name, tool in tools.items():
            Draft202012Validator.check_schema(tool.input_schema)
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (name != "api_write")
        (resource,) = (await client.list_resources()).resources
        read = await client.read_resource(resource.uri)
        assert [
            one.text for one in read.contents if isinstance(one, types.TextResourceContents)
        ] == [placing.text()]
        with pytest.raises(MCPError):
            await client.read_resource(f"{SKILL}/other")

    served(console, work)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_nobody_asks_ends_at_a_signal(console: Console, sign: signal.Signals) -> None:
    """Though it waits at a pipe to which nobody writes."""
    with running(console) as server:
        _say(server, INITIALIZE)
        assert server.stdout is not None
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(sign)
        assert server.wait(60) == 130


def test_a_client_that_goes_away_ends_it(console: Console) -> None:
    with running(console) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.close()  # what it answers now, nobody reads
        _say(server, INITIALIZE)
        server.stdin.close()
        assert server.wait(60) == 0


def test_without_the_extra_the_command_says_what_to_install(console: Console) -> None:
    hidden = "import sys; sys.modules['mcp'] = None; from twg.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "mcp"],
        env=console.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 78
    assert "pip install 'twg-cli[mcp]'" in done.stderr
    assert done.stdout == ""


async def test_a_message_that_a_mark_would_break_is_told_as_an_error() -> None:
    """H-F1: scrubbed though it is, the client gets a message of the protocol for each request."""
    reading, writing = os.pipe()
    outgoing = Outgoing(writing, lambda text: text.replace('"a": "b', "‹mark›"))

    await outgoing.write('{"jsonrpc": "2.0", "id": 7, "result": {"a": "b"}}\n')
    await outgoing.write('{"jsonrpc": "2.0", "id": 8, "result": {}}\n')
    os.close(writing)

    first, second = [json.loads(line) async for line in Incoming(reading)]
    os.close(reading)
    assert (first["id"], first["error"]["code"]) == (7, -32603)
    assert second == {"jsonrpc": "2.0", "id": 8, "result": {}}


def running(console: Console) -> subprocess.Popen[bytes]:
    # Whoever started the tests may have had them ignore Ctrl-C, which is handed down.
    heard = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"import signal; {heard}; from twg.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, "mcp"],
        env=console.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _say(server: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()
