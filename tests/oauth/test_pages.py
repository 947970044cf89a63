"""The pages in a real browser, and the listener against what a real browser sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.oauth.servers import body, status
from tests.rigs.browser import chromium
from twg.oauth import pages
from twg.oauth.loopback import LoopbackListener, Page

if TYPE_CHECKING:
    from tests.oauth.servers import Server

STATE = "the-state-that-was-sent"
MARKUP = '"><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">'


def test_everything_is_escaped() -> None:
    page = pages.render(Page(ok=True, headline=MARKUP, detail=MARKUP)).decode()
    assert "<script" not in page
    assert "<img" not in page


def test_a_page_asks_for_nothing_else() -> None:
    page = pages.render(pages.ENDED).decode()
    assert "http" not in page
    assert "url(" not in page


@pytest.mark.slow
async def test_h_c1_a_browser_comes_back_from_the_consent_form(server: Server) -> None:
    """H-C1: another page's image and frame change nothing; the form's redirect is taken."""
    async with LoopbackListener(grace_seconds=0.1) as listener, chromium() as browser:
        stray = f"{listener.redirect_uri}?code=x&state=wrong"
        consent = (
            f'<img src="{stray}"><iframe src="{stray}"></iframe>'
            f'<link rel="prefetch" href="{stray}">'
            '<form method="post" action="/consent"><button>Accept</button></form>'
        )
        server.on("/", body(consent.encode(), content_type="text/html"))
        goal = f"{listener.redirect_uri}?code=the-code&state={STATE}"
        server.on("/consent", status(302, location=goal))
        async with anyio.create_task_group() as tasks:

            async def answer() -> None:
                assert (await listener.callback(STATE))["code"] == ["the-code"]
                await listener.conclude(Page(ok=True, headline="Signed in", detail=MARKUP))

            tasks.start_soon(answer)
            # By another name than the listener's: cross-site, as a provider's page would be.
            await browser.go(server.url.replace("127.0.0.1", "localhost"))
            await browser.click("button")
            shown = await browser.until_text("Signed in")
        assert "<script>" in shown
        assert await browser.run("return document.title") == "Signed in"
        width = "return getComputedStyle(document.querySelector('main')).maxWidth"
        assert await browser.run(width) == "440px"
        assert await browser.run("return document.images.length + document.scripts.length") == 0
