"""The page that the browser shows once the person comes back: plain words and no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from string import Template
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What to tell the person; text, escaped when it is rendered.

    Attributes:
        ok: Whether it is good news.
        headline: A few words.
        detail: A sentence or two.
    """

    ok: bool
    headline: str
    detail: str


HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)

ENDED: Final = Page(
    ok=False,
    headline="The sign-in was ended",
    detail="It was ended in the terminal before it was done. "
    "Nothing was kept; you can close this page.",
)
ALREADY_DONE: Final = Page(
    ok=False,
    headline="This was already answered",
    detail="The sign-in has its answer from another page. You can close this one.",
)
FOREIGN_ANSWER: Final = Page(
    ok=False,
    headline="Not the answer that is awaited",
    detail="This answer does not belong to the sign-in that is waiting, so nothing was done "
    "with it. Go back to your terminal.",
)
NOTHING_HERE: Final = Page(
    ok=False,
    headline="Nothing to see here",
    detail="A sign-in in a terminal on this machine waits for its answer at this address. "
    "This was not it.",
)
REFUSED: Final = Page(
    ok=False,
    headline="This request was refused",
    detail="Only the page of your sign-in provider may send you here.",
)

_MARKS: Final[Mapping[bool, str]] = MappingProxyType(
    {
        True: '<path d="M15 25.5l6.5 6.5L34 18.5"/>',
        False: '<path d="M24.5 14v13"/><path d="M24.5 34v.5"/>',
    }
)

_TEMPLATE: Final = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$headline</title>
<style>
:root { --paper: #f4f5f7; --card: #fff; --ink: #172b4d; --soft: #505f79; --line: #dfe1e6;
  --good: #216e4e; --good-soft: #dcfff1; --bad: #ae2e24; --bad-soft: #ffeceb; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #161a1d; --card: #22272b; --ink: #e6e9ee; --soft: #9fadbc; --line: #38414a;
    --good: #7ee2b8; --good-soft: #164b35; --bad: #fd9891; --bad-soft: #5d1f1a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center;
  justify-content: center; padding: 24px 16px; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { width: 100%; max-width: 440px; padding: 40px 32px; text-align: center;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  box-shadow: 0 8px 24px rgba(9, 30, 66, .08); }
svg { width: 64px; height: 64px; fill: none; stroke-width: 4; stroke-linecap: round;
  stroke-linejoin: round; }
.good { stroke: var(--good); } .good circle { fill: var(--good-soft); stroke: none; }
.bad { stroke: var(--bad); } .bad circle { fill: var(--bad-soft); stroke: none; }
h1 { margin: 16px 0 8px; font-size: 24px; line-height: 1.25; font-weight: 650;
  overflow-wrap: anywhere; }
p { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
footer { margin-top: 20px; font-size: 13px; color: var(--soft); }
@media (max-width: 480px) { main { padding: 32px 20px; } h1 { font-size: 22px; } }
</style>
</head>
<body>
<main>
<svg class="$mood" viewBox="0 0 49 49" aria-hidden="true">
<circle cx="24.5" cy="24.5" r="24"/>$mark</svg>
<h1>$headline</h1>
<p>$detail</p>
</main>
<footer>twg, on this machine</footer>
</body>
</html>
""")


def render(page: Page) -> bytes:
    """Return the page as HTML, everything in it escaped."""
    return _TEMPLATE.substitute(
        headline=escape(page.headline),
        detail=escape(page.detail),
        mood="good" if page.ok else "bad",
        mark=_MARKS[page.ok],
    ).encode(errors="replace")
