"""The summary of the audit record as one page that stands for itself.

It asks nothing of a network, runs no script and sets no style but its own sheet's, and says so to
the browser. Whatever comes from the record is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twg.audit.timeline import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twg.audit.summary import Happening, Summary

_SHEET: Final = Path(__file__).with_name("page.css")


class Page:
    """Makes the page.

    Args:
        clean: Takes out of a text what would draw what it likes.
    """

    def __init__(self, clean: Callable[[str], str]) -> None:
        self._clean = clean

    def of(
        self,
        summary: Summary,
        *,
        span: tuple[datetime, datetime],
        chain: tuple[bool, str],
        oldest: Sequence[tuple[str, str, float]],
    ) -> str:
        """Return the page.

        Args:
            summary: What it shows.
            span: From when until when.
            chain: Whether the chain is whole, and in words.
            oldest: The credentials kept now, the oldest first: kind, whose, since when (Unix time).
        """
        sheet = _SHEET.read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
        policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
        body = "\n".join(
            [
                self._top(span, chain),
                self._numbers(summary, chain, oldest),
                self._section("Who used which credential, and when", self._timeline(summary, span)),
                self._section("Credentials used", self._credentials(summary)),
                self._section("Who did what", self._actors(summary)),
                self._section("Refusals", self._refusals(summary)),
                self._listed("What agents were denied", summary, "denials"),
                self._listed("What agents called", summary, "calls"),
                self._listed("Granted to agents", summary, "grants"),
                self._listed("Renewals that failed, sign-ins that lapsed", summary, "failures"),
                self._section("Kept now, the oldest first", self._kept(oldest)),
            ]
        )
        return _WHOLE.format(policy=policy, sheet=sheet, body=body)

    def _e(self, value: object) -> str:
        return escape(self._clean(str(value)), quote=True)

    def _top(self, span: tuple[datetime, datetime], chain: tuple[bool, str]) -> str:
        since, until = (each.astimezone().strftime("%Y-%m-%d %H:%M") for each in span)
        zone = span[1].astimezone().strftime("%Z")
        mood = "good" if chain[0] else "bad"
        return (
            f"<header><h1>Audit record</h1><p>{self._e(since)} to {self._e(until)} "
            f'{self._e(zone)}</p><p class="chain {mood}">{self._e(chain[1])}</p></header>'
        )

    def _numbers(
        self,
        summary: Summary,
        chain: tuple[bool, str],
        oldest: Sequence[tuple[str, str, float]],
    ) -> str:
        uses = sum(len(each.uses) for each in summary.used())
        numbers: list[tuple[object, str, bool]] = [
            (f"{summary.records:,}", "records", False),
            (f"{uses:,}", "uses of a credential", False),
            (f"{summary.renewed:,}", "renewals", False),
            (summary.counts["failures"], "failed or lapsed", bool(summary.counts["failures"])),
            (summary.refusals.total(), "refusals", bool(summary.refusals)),
            (summary.counts["grants"], "grants and ends of grants", False),
            (_age(oldest), "age of the oldest credential", False),
            ("whole" if chain[0] else "broken", "chain", not chain[0]),
        ]
        cards = "".join(
            f'<div class="card{" bad" if bad else ""}"><b>{self._e(number)}</b>'
            f"<span>{self._e(words)}</span></div>"
            for number, words, bad in numbers
        )
        return f'<div class="cards">{cards}</div>'

    def _section(self, title: str, content: str) -> str:
        return f"<section><h2>{self._e(title)}</h2>{content}</section>"

    def _timeline(self, summary: Summary, span: tuple[datetime, datetime]) -> str:
        picture = drawn(summary, span, self._e)
        if picture is None:
            return '<p class="none">No credential was used.</p>'
        legend = "".join(
            f'<span class="{kind}"><i></i>{self._e(words)}</span>'
            for kind, words in (("human", "person"), ("agent", "agent"), ("other", "CI, service"))
        )
        return f'<p class="legend">{legend}</p><div class="wide">{picture}</div>'

    def _credentials(self, summary: Summary) -> str:
        rows = [
            (
                each.kind,
                each.fingerprint,
                ", ".join(sorted(each.profiles)) or "–",
                len(each.uses),
                _counted(each.by),
                ", ".join(each.hosts) or "–",
                _local(each.last),
            )
            for each in summary.used()
        ]
        heads = ("Kind", "Fingerprint", "Profile", "Uses", "By", "Sent to", "Last seen")
        return self._table(heads, rows, numbers={3})

    def _actors(self, summary: Summary) -> str:
        rows = [
            (
                each.name,
                each.kind,
                each.records,
                each.uses,
                each.calls,
                each.denied,
                _local(each.last),
            )
            for each in summary.actors.values()
        ]
        heads = ("Who", "Kind", "Records", "Uses", "Calls let", "Denied", "Last seen")
        return self._table(heads, rows, numbers={2, 3, 4, 5})

    def _refusals(self, summary: Summary) -> str:
        rows = summary.refusals.most_common()
        return self._table(("What", "How often"), rows, numbers={1})

    def _listed(self, title: str, summary: Summary, name: str) -> str:
        happenings: list[Happening] = getattr(summary, name)
        more = summary.counts[name] - len(happenings)
        note = f'<p class="none">The newest; {more:,} more before.</p>' if more else ""
        rows = [(_local(each.when), each.event, each.who, each.what) for each in happenings[::-1]]
        return self._section(title, note + self._table(("When", "Event", "Who", "What"), rows))

    def _kept(self, oldest: Sequence[tuple[str, str, float]]) -> str:
        rows = [
            (kind, whose, datetime.fromtimestamp(since, tz=UTC).astimezone().strftime("%Y-%m-%d"))
            for kind, whose, since in oldest
        ]
        return self._table(("Credential", "Whose", "Since"), rows)

    def _table(
        self,
        heads: Sequence[str],
        rows: Iterable[Sequence[Any]],
        numbers: set[int] | None = None,
    ) -> str:
        right = numbers or set()
        drawn_rows = "".join(
            f"<tr>{''.join(self._cell(*each, right) for each in enumerate(row))}</tr>"
            for row in rows
        )
        if not drawn_rows:
            return '<p class="none">None.</p>'
        top = "".join(
            f'<th scope="col"{_NUMBER if place in right else ""}>{self._e(head)}</th>'
            for place, head in enumerate(heads)
        )
        return (
            f'<div class="wide"><table><thead><tr>{top}</tr></thead>'
            f"<tbody>{drawn_rows}</tbody></table></div>"
        )

    def _cell(self, place: int, value: Any, right: set[int]) -> str:
        if place in right:
            return f"<td{_NUMBER}>{self._e(f'{value:,}')}</td>"
        tight = ' class="tight"' if len(str(value)) <= _TIGHT else ""
        return f"<td{tight}>{self._e(value)}</td>"


_NUMBER: Final = ' class="number"'
_TIGHT: Final = 24
_WHOLE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>Audit record</title>
<style>{sheet}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _counted(names: dict[str, int]) -> str:
    ordered = sorted(names.items(), key=lambda each: -each[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered)


def _local(ts: str) -> str:
    try:
        return datetime.fromisoformat(ts).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return ts


def _age(oldest: Sequence[tuple[str, str, float]]) -> str:
    if not oldest:
        return "–"
    days = int((datetime.now(UTC).timestamp() - oldest[0][2]) // 86_400)
    return {0: "today", 1: "1 day"}.get(max(0, days), f"{days:,} days")
