"""The summary is right, and the page says it to whoever opens it, whatever names stand in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tests.rigs.browser import chromium
from twg.audit.page import Page
from twg.audit.summary import MOST_LISTED, Summary
from twg.cli.output import printable

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
EVIL = "<script>document.title='owned'</script>\"'><img src=x onerror=alert(1)>&amp;\u202e"
ACCESS = {"kind": "access-token", "fingerprint": "49dce19884c2501d"}
REFRESH = {"kind": "refresh-token", "fingerprint": "bbe8f539c3401783"}
HUMAN = {"kind": "human", "agent": None}
AGENT = {"kind": "agent", "agent": "claude-code"}


def record(hours_ago: float, event: str, actor: dict[str, Any] = HUMAN, **facts: Any) -> Any:
    when = NOW - timedelta(hours=hours_ago)
    return {"ts": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "event": event, "actor": actor, **facts}


def day() -> list[Any]:
    """Return what a day comes to."""
    revealed = "secret.revealed"
    return [
        record(24, "token.issued", secret=REFRESH, profile="work"),
        record(23, revealed, secret=ACCESS, host="api.example.com", profile="work"),
        record(9, revealed, AGENT, secret=ACCESS, host="api.example.com"),
        record(8, revealed, AGENT, secret=ACCESS, host="other.example.com"),
        record(8, revealed, secret={"kind": "sealing-key", "fingerprint": "ee"}, host="x.example"),
        record(8, revealed, secret=ACCESS, reason="seal in the store"),
        record(7, "agent.call", AGENT, details={"access": "read", "path": "/rest/api/3/myself"}),
        record(6, "policy.denied", AGENT, reason="write jira POST /rest/api/3/issue"),
        record(5, "secret.refused", secret={"kind": "an Atlassian API token"}),
        record(4, "secret.refused"),
        record(3, "token.refreshed", secret=REFRESH),
        record(2, "token.refresh_failed", outcome="failed", reason="no answer", profile="work"),
        record(1, "policy.granted", reason="write jira for 1 hour"),
    ]


def summed(records: list[Any]) -> Summary:
    summary = Summary()
    summary.add(records)
    return summary


def page_of(records: list[Any], *, whole: bool = True, kept: Any = ()) -> str:
    span = (NOW - timedelta(days=30), NOW)
    chain = (whole, "The record is whole" if whole else f"line 3 {EVIL} was changed")
    return Page(printable).of(summed(records), span=span, chain=chain, oldest=kept)


class Markup(HTMLParser):
    """Tells every element and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "line", "rect"}:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"line", "rect"}:
            assert self.open.pop() == tag


def test_a_day_is_summed_up() -> None:
    found = summed(day()).as_dict()
    assert found["records"] == 13
    (access,) = found["credentials"]  # twg's own keys are none
    assert access["uses"] == 3
    assert access["by"] == {"claude-code": 2, "human": 1}
    assert access["hosts"] == {"api.example.com": 2, "other.example.com": 1}
    assert access["profiles"] == ["work"]
    agent = next(each for each in found["actors"] if each["name"] == "claude-code")
    assert (agent["uses"], agent["calls"], agent["denied"]) == (2, 1, 1)
    assert found["renewed"] == 1
    assert found["refusals"] == {
        "what an agent asked for": 1,
        "an Atlassian API token": 1,
        "a secret by its name": 1,
    }
    assert found["counts"] == {"calls": 1, "denials": 1, "failures": 1, "grants": 1}
    assert found["calls"][0]["what"] == "read /rest/api/3/myself"
    assert found["failures"][0]["what"] == "no answer, profile work"
    assert found["grants"][0]["who"] == "human"


def test_of_many_the_newest_are_listed_and_all_are_counted() -> None:
    calls = [record(9, "agent.call", AGENT, reason=str(number)) for number in range(200)]
    found = summed(calls).as_dict()
    assert found["counts"]["calls"] == 200
    assert [each["what"] for each in found["calls"]] == [*map(str, range(200 - MOST_LISTED, 200))]
    assert f"{200 - MOST_LISTED} more before" in page_of(calls)


def test_the_page_has_no_script_no_link_and_no_style_but_its_sheet() -> None:
    text = page_of(day(), kept=[("sign-in", "work", (NOW - timedelta(days=3)).timestamp())])
    markup = Markup()
    markup.feed(text)
    assert markup.open == []
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & markup.tags
    assert not {"style", "src", "href", "onerror"} & markup.attributes.keys()
    assert "default-src 'none'" in text
    assert not re.search(r"url\(|@import|https?://", text)
    assert "3 days" in text


@pytest.mark.parametrize("records", [[], [{}], [record(1, "e", {}, secret=ACCESS)], day()[:1]])
def test_where_there_is_little_the_page_says_so(records: list[Any]) -> None:
    assert "No credential was used." in page_of(records)


def hostile() -> list[Any]:
    """Return records whose every word would be markup."""
    secret = {"kind": EVIL, "fingerprint": EVIL}
    actor = {"kind": EVIL, "agent": EVIL}
    events = ("secret.revealed", "agent.call", "policy.denied", "policy.granted", "secret.refused")
    facts = {"host": EVIL, "profile": EVIL, "reason": EVIL, "details": {"path": EVIL}}
    return [record(2, event, actor, secret=secret, **facts) for event in events]


def test_whatever_a_name_is_made_of_it_is_shown_as_it_is_written() -> None:
    markup = Markup()
    text = page_of(hostile(), whole=False, kept=[(EVIL, EVIL, 0.0)])
    markup.feed(text)
    assert not {"script", "img"} & markup.tags
    assert "&lt;script&gt;" in text
    assert "\u202e" not in text


@pytest.mark.slow
async def test_a_browser_shows_it_at_two_widths_and_runs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_of([*day(), *hostile()], whole=False))
    async with chromium() as browser:
        for width in (1200, 520):
            await browser.resize(width, 900)
            await browser.go(path.as_uri())
            assert await browser.run("return document.title") == "Audit record"
            shown = await browser.text()
            assert "<script>document.title='owned'</script>" in shown
            assert "/rest/api/3/issue" in shown
            # The sheet is let through, and the page is not wider than the window.
            wide = "return document.documentElement.scrollWidth - window.innerWidth"
            assert await browser.run(wide) <= 0
            look = "return getComputedStyle(document.querySelector('.cards')).display"
            assert await browser.run(look) == "grid"
            drawn = "return document.querySelector('svg rect.agent').getBoundingClientRect().width"
            assert await browser.run(drawn) > 1
