"""Headless Chromium, driven through chromedriver by the W3C WebDriver protocol."""

from __future__ import annotations

import base64
import re
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import httpx
from anyio import to_thread

from tests.rigs.parts import program, search_path
from tests.rigs.programs import line_with, running
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

PATIENCE = 20.0
"""Seconds a page may take to show what is waited for."""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element reference (WebDriver, section 12)."""
GONE = {"no such element", "stale element reference", "no such frame"}
"""Answers that a page in the middle of loading gives, and that a later one may not."""
SWITCHES = [
    "--headless=new",
    "--no-sandbox",  # root has no user namespace to put it in
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give it 64 MB
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=MediaRouter,OptimizationHints",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1000,900",
]


class BrowserError(Exception):
    """The browser refused a command; `kind` is WebDriver's own error code."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass(frozen=True)
class Element:
    """One element of the page that is shown."""

    browser: Browser
    reference: str

    async def click(self) -> None:
        """Click it; returns once a navigation that follows has loaded."""
        await self._do("click")

    async def type(self, text: str) -> None:
        """Replace its value by typing `text`."""
        await self._do("clear")
        await self._do("value", text=text)

    async def text(self) -> str:
        """Its text as rendered."""
        return str(await self.browser.command("GET", f"element/{self.reference}/text"))

    async def _do(self, action: str, **body: str) -> None:
        await self.browser.command("POST", f"element/{self.reference}/{action}", body)


class Browser:
    """One Chromium with an empty profile, on one page.

    Whatever waits asks the browser again and again until a deadline, `PATIENCE` unless given.
    """

    def __init__(self, client: httpx.AsyncClient, session: str) -> None:
        self._client = client
        self._session = session

    async def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a WebDriver command of this session, and return its value.

        Raises:
            BrowserError: The browser refused it.
        """
        return await _command(self._client, method, f"/session/{self._session}/{path}", body)

    async def go(self, url: str) -> None:
        """Open `url` and return once it has loaded."""
        await self.command("POST", "url", {"url": url})

    async def url(self) -> str:
        """Where it is now."""
        return str(await self.command("GET", "url"))

    async def source(self) -> str:
        """The page's markup as it stands."""
        return str(await self.command("GET", "source"))

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run a function body in the page, and return what it returns."""
        return await self.command(
            "POST", "execute/sync", {"script": script, "args": list(arguments)}
        )

    async def text(self) -> str:
        """The page's text as rendered."""
        return str(await self.run("return document.body ? document.body.innerText : ''"))

    async def find(self, css: str, *, patience: float = PATIENCE) -> Element:
        """Return the first element that matches, waiting for it."""
        found: list[Element] = []

        async def present() -> bool:
            found.extend(await self.all(css))
            return bool(found)

        await self.until(present, f"an element {css}", patience=patience)
        return found[0]

    async def all(self, css: str) -> list[Element]:
        """Return the elements that match now."""
        answer = await self.command("POST", "elements", {"using": "css selector", "value": css})
        return [Element(self, one[ELEMENT]) for one in answer]

    async def click(self, css: str) -> None:
        """Click the first element that matches, waiting for it."""
        await (await self.find(css)).click()

    async def type(self, css: str, text: str) -> None:
        """Type into the first element that matches, waiting for it."""
        await (await self.find(css)).type(text)

    async def until_text(self, pattern: str, *, patience: float = PATIENCE) -> str:
        """Return the page's text once `pattern`, a regular expression, is found in it."""

        async def shown() -> bool:
            return re.search(pattern, await self.text()) is not None

        await self.until(shown, f"the text {pattern!r}", patience=patience)
        return await self.text()

    async def until_url(self, pattern: str, *, patience: float = PATIENCE) -> str:
        """Return the address once `pattern`, a regular expression, matches its beginning."""

        async def there() -> bool:
            return re.match(pattern, await self.url()) is not None

        await self.until(there, f"an address like {pattern!r}", patience=patience)
        return await self.url()

    async def until(
        self, condition: Callable[[], Awaitable[bool]], what: str, *, patience: float = PATIENCE
    ) -> None:
        """Return once `condition` holds.

        Raises:
            AssertionError: It did not in time; the message shows the page.
        """
        if not await comes_true(lambda: _holds(condition), patience):
            shown = f"at {await self.url()}:\n{await self.text()}"
            raise AssertionError(f"{what} was not there; {shown}")

    async def screenshot(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        picture = base64.b64decode(await self.command("GET", "screenshot"))
        await anyio.Path(path).write_bytes(picture)

    async def resize(self, width: int, height: int) -> None:
        """Give the window another size, in pixels."""
        await self.command("POST", "window/rect", {"width": width, "height": height})

    async def forget(self) -> None:
        """Delete the cookies of the page's host, so that it meets a stranger."""
        await self.command("DELETE", "cookie")


async def _holds(condition: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await condition()
    except BrowserError as error:
        if error.kind not in GONE:
            raise
        return False


async def _command(
    client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> Any:
    content = (body or {}) if method == "POST" else None
    answer = (await client.request(method, path, json=content)).json()["value"]
    if isinstance(answer, dict) and "error" in answer:
        raise BrowserError(answer["error"], answer["message"].partition("\n")[0])
    return answer


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser for as long as the context lasts; skips the test where there is none."""
    driver, binary = program("chromedriver"), program("chromium", "google-chrome")
    async with _home() as home:
        env = {"PATH": search_path(), "HOME": home, "TMPDIR": home}
        async with running([driver, "--port=0"], env) as process:
            started = re.search(r"on port (\d+)", await line_with(process, "started successfully"))
            if started is None:
                raise RuntimeError("chromedriver did not say its port")
            base = f"http://127.0.0.1:{started[1]}"
            async with (
                httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client,
                _session(client, binary, home) as session,
            ):
                yield Browser(client, session)


@asynccontextmanager
async def _home() -> AsyncIterator[str]:
    """Make an empty directory, and remove it once the browser's last process writes no more."""
    home = await to_thread.run_sync(partial(tempfile.mkdtemp, prefix="twg-chromium-"))

    async def gone() -> bool:
        await to_thread.run_sync(partial(shutil.rmtree, home, ignore_errors=True))
        return not await anyio.Path(home).exists()

    try:
        yield home
    finally:
        with anyio.CancelScope(shield=True):
            await comes_true(gone, PATIENCE)


@asynccontextmanager
async def _session(client: httpx.AsyncClient, binary: str, home: str) -> AsyncIterator[str]:
    switches = [*SWITCHES, f"--user-data-dir={home}/profile"]
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": binary, "args": switches},
    }
    body = {"capabilities": {"alwaysMatch": wanted}}
    session = (await _command(client, "POST", "/session", body))["sessionId"]
    try:
        yield session
    finally:
        with anyio.CancelScope(shield=True):
            await client.delete(f"/session/{session}")
