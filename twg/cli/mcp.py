"""`twg mcp`: a Model Context Protocol server on standard input and output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twg.cli.command import command
from twg.errors import ConfigError

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring


@command("mcp", serves_agent=True)
async def mcp(wiring: Wiring) -> None:
    """Serve an agent's program: the Model Context Protocol on standard input and output.

    Such a program starts it by itself; see docs/mcp.md for where to tell it so. Its tools read what
    the person who signed in may read, and change what they have granted (`twg policy grant`). No
    tool takes a token or gives one. Needs `pip install 'twg-cli[mcp]'`.
    """
    # Standard output speaks the protocol: no document of ours belongs there.
    wiring.options.output = "text"
    try:
        import mcp.server.lowlevel  # noqa: F401, PLC0415 - it takes a second, and may be missing
    except ImportError as error:
        raise ConfigError(
            f"the MCP server needs {error.name}, which is not installed",
            "Run `pip install 'twg-cli[mcp]'`.",
        ) from None
    from twg import __version__  # noqa: PLC0415 - only where it is used
    from twg.cli.mcp_desk import Desk  # noqa: PLC0415 - likewise
    from twg.mcp.server import serve  # noqa: PLC0415 - likewise
    from twg.mcp.wire import Incoming, Outgoing, taken_over  # noqa: PLC0415 - likewise
    from twg.skills import placing  # noqa: PLC0415 - likewise

    await serve(
        Desk(wiring).answer,
        skill=placing.text(),
        version=__version__,
        incoming=Incoming(0),
        outgoing=Outgoing(taken_over(), wiring.scrubber.text),
    )
