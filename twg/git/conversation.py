"""One HTTP/1.1 connection from git, as its server sees it: bodies in pieces both ways (h11)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import anyio
import h11

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, h11.ProtocolError)
"""What a conversation ends with if the client breaks off or does not speak HTTP."""

_PIECE: Final = 64 * 1024
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")


class Conversation:
    """Requests and answers on one connection, in turn.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.SERVER)

    async def requests(self) -> AsyncIterator[h11.Request]:
        """Yield requests until the client closes; each is to be answered before the next one."""
        while isinstance(request := await self._event(), h11.Request):
            yield request
            await self._finish_reading()
            if self._http.our_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it comes."""
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=HTTPStatus.CONTINUE, headers=[])
            await self._send(go_on)
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            # The rest is missing: what was forwarded of it must not pass for the whole.
            raise anyio.BrokenResourceError

    async def answer(
        self, status: int, headers: list[tuple[str, str]], chunks: AsyncIterator[bytes]
    ) -> None:
        """Send an answer, its body as it comes."""
        await self._send(h11.Response(status_code=status, headers=headers))
        async for chunk in chunks:
            await self._send(h11.Data(data=chunk))
        await self._send(h11.EndOfMessage())

    async def answer_in_words(self, status: HTTPStatus, words: str) -> None:
        """Send an error, of which git shows the words to its user."""
        body = f"{words}\n".encode()
        headers = [_TEXT, ("Content-Length", str(len(body)))]
        await self.answer(status, headers, _once(body))

    async def _finish_reading(self) -> None:
        """Read what is left of a request that was answered early, so that the next one is seen."""
        while self._http.their_state is h11.SEND_BODY:
            await self._event()

    async def _event(self) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            try:
                received = await self._stream.receive(_PIECE)
            except anyio.EndOfStream:
                received = b""
            self._http.receive_data(received)
        return event

    async def _send(self, event: h11.Event) -> None:
        if (data := self._http.send(event)) is not None:
            await self._stream.send(data)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
