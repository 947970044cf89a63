"""A token endpoint that answers late and rotates strictly: ``python -m tests.bench.tokens_server``.

Refresh tokens are named ``family.number``; each works once, and reuse ends its family. It is light,
so that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

LIFETIME = 3600


@dataclass
class Families:
    """The state of every family, and what was asked.

    Attributes:
        delay: Seconds before each answer.
        current: The number that works, by family; -1 once it is dead.
        requests: How many renewals were asked for.
        answered_at: When the last one was answered, by the clock that all processes share.
    """

    delay: float
    current: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    answered_at: float = 0.0

    async def answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and document for one request."""
        if path == "/stats":
            return 200, {"requests": self.requests, "answered_at": self.answered_at}
        if path == "/reset":
            self.current.clear()
            self.requests = 0
            return 200, {}
        if path != "/token":
            return 200, {"ok": True}
        self.requests += 1
        status, document = self.renewed(parse_qs(body.decode()).get("refresh_token", [""])[0])
        await asyncio.sleep(self.delay)
        self.answered_at = time.monotonic()
        return status, document

    def renewed(self, token: str) -> tuple[int, dict[str, Any]]:
        """Rotate, or end the family of a token that was used before."""
        family, _, number = token.rpartition(".")
        current = self.current.get(family, 0)
        if not number.isdigit() or int(number) != current:
            self.current[family] = -1
            return 400, {"error": "invalid_grant"}
        self.current[family] = current + 1
        return 200, {
            "access_token": f"access-{family}-{current + 1}-made-up",
            "refresh_token": f"{family}.{current + 1}",
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection for as long as it is kept."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
                status, document = await self.answer(head.split(b" ", 2)[1].decode(), body)
                content = json.dumps(document).encode()
                writer.write(
                    b"HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n%b" % (status, len(content), content)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def main(delay: float) -> None:
    """Serve until killed; the first line of output is the port."""
    server = await asyncio.start_server(Families(delay).serve, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
