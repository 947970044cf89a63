"""`Walk`: from page to page; the next one is on its way while the last one is shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from twg.auth.tasks import End
from twg.cli.api_pages import Page
from twg.http import BodyTooLarge
from twg.products.paging import following, items_of, total_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.cli.api_pages import Shown
    from twg.cli.calling import Line
    from twg.cli.wiring import Wiring
    from twg.products.call import Call

LARGEST_PAGE: Final = 64 * 1024 * 1024
"""What is parsed is held in memory, several times over."""


class Walk:
    """Goes through the pages of one list, each held in memory no longer than it takes to show it.

    Args:
        wiring: What commands depend on.
        line: What they are asked for through.
        check: Raises what a page means that is none of success.

    Attributes:
        pages: How many were shown so far.
        items: How many items were on them; None where that is not known.
        status: The status of the last one.
    """

    def __init__(self, wiring: Wiring, line: Line, check: Callable[[Page, Call], None]) -> None:
        self._wiring = wiring
        self._line = line
        self._check = check
        self.pages = 0
        self.items: int | None = None
        self.status = 0

    async def go(self, call: Call, shown: Shown, *, paginate: bool) -> None:
        """Show the page that `call` asks for, and those behind it.

        Args:
            call: The first one.
            shown: What they are given to.
            paginate: Go on behind the first.

        Raises:
            TwgError: A page is not to be had, or is none of success.
            BrokenPipeError: Nobody reads what is shown any more.
        """
        page: Page | None = await self._page(call)
        at: Call | None = call
        while page is not None and at is not None:
            at = following(at, page.value, self._line.service.base) if paginate else None
            page = await self._show(page, at, shown)
        self._clear()
        await to_thread.run_sync(shown.end, abandon_on_cancel=True)

    async def _show(self, page: Page, behind: Call | None, shown: Shown) -> Page | None:
        """Show a page while the one behind it is on its way, and return that one."""
        self._count(page, more=behind is not None)
        ends: list[End[Page]] = []

        async def fetch(call: Call) -> None:
            ends.append(await End.of(partial(self._page, call)))

        async with anyio.create_task_group() as tasks:
            if behind is not None:
                tasks.start_soon(fetch, behind)
            # In a thread: it takes a while, and whoever reads may take longer.
            add = partial(to_thread.run_sync, shown.add, page, abandon_on_cancel=True)
            end = await End.of(add)
            if end.error is not None:
                tasks.cancel_scope.cancel()
        end.result()
        return ends[0].result() if ends else None

    async def _page(self, call: Call) -> Page:
        try:
            page = Page.of(await self._line.fetch(call, LARGEST_PAGE))
        except BodyTooLarge as error:
            raise BodyTooLarge(
                str(error),
                "Ask for less at a time; or, without --paginate, --query and --jsonl, add "
                "--output-file FILE: that takes any length.",
            ) from error
        self._check(page, call)
        return page

    def _count(self, page: Page, *, more: bool) -> None:
        self.pages += 1
        self.status = page.answer.status
        listed = items_of(page.value)
        if listed is not None:
            self.items = (self.items or 0) + len(listed)
        if more and self._is_watched():
            total = total_of(page.value)
            of = "" if total is None else f" of {total}"
            host = urlsplit(self._line.service.base).netloc
            self._wiring.output.progress(f"{self.items or 0}{of} from {host}, page {self.pages}")

    def _clear(self) -> None:
        if self.pages > 1 and self._is_watched():
            self._wiring.output.progress("")

    def _is_watched(self) -> bool:
        """Tell whether a person waits at a terminal that the pages themselves do not go to."""
        wiring = self._wiring
        return wiring.stderr.isatty() and not wiring.stdout.isatty() and wiring.agent is None
