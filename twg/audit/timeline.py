"""The timeline: a lane a credential, and in it who used it when; SVG that has no style itself."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twg.audit.summary import Credential, Summary

MOST_LANES: Final = 12

_WIDTH: Final = 1000
_LABELS: Final = 230
_TOP: Final = 24
_LANE: Final = 34
_BAND: Final = 8
_BINS: Final = 150
_TICK: Final = 44
_KINDS: Final = ("human", "agent", "other")
_STEPS: Final = (
    *(timedelta(minutes=each) for each in (1, 5, 15, 30)),
    *(timedelta(hours=each) for each in (1, 3, 6, 12)),
    *(timedelta(days=each) for each in (1, 2, 7, 14, 30, 91, 365)),
)
_MOST_TICKS: Final = 8


def drawn(
    summary: Summary, span: tuple[datetime, datetime], e: Callable[[object], str]
) -> str | None:
    """Return the timeline of what was used most; None where nothing was.

    Args:
        summary: What it shows.
        span: From when until when.
        e: Escapes a text.
    """
    used = summary.used()
    if not used:
        return None
    begin = _beginning(summary, span)
    lanes = used[:MOST_LANES]
    height = _TOP + _LANE * len(lanes) + 6
    label = e(f"Uses of {len(lanes)} credentials over time")
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">']
    parts += _ticks(begin, span[1], height, e)
    for number, credential in enumerate(lanes):
        parts += _lane(credential, _TOP + _LANE * number, (begin, span[1]), e)
    parts.append("</svg>")
    if len(used) > len(lanes):
        parts.append(f'<p class="none">And {len(used) - len(lanes)} more, used less.</p>')
    return "".join(parts)


def _beginning(summary: Summary, span: tuple[datetime, datetime]) -> datetime:
    """Return when to begin: shortly before the first record, should that be long after `since`."""
    try:
        first = datetime.fromisoformat(summary.first)
    except ValueError:
        return span[0]
    room = (span[1] - first) / 50
    return max(span[0], first - max(room, timedelta(minutes=1)))


def _ticks(
    begin: datetime, end: datetime, height: int, e: Callable[[object], str]
) -> Iterator[str]:
    fits = (each for each in _STEPS if (end - begin) / each <= _MOST_TICKS)
    step = next(fits, _STEPS[-1])
    form = "%b %d" if step >= timedelta(days=1) else "%H:%M"
    local = begin.astimezone()
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    when = midnight + step * ((local - midnight) // step + 1)
    while when < end:
        x = _x(when, begin, end)
        yield f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height}"/>'
        if x < _WIDTH - _TICK:
            yield f'<text class="soft" x="{x + 3:.1f}" y="12">{e(when.strftime(form))}</text>'
        when += step


def _lane(
    credential: Credential,
    top: int,
    span: tuple[datetime, datetime],
    e: Callable[[object], str],
) -> Iterator[str]:
    yield f'<line x1="0" y1="{top}" x2="{_WIDTH}" y2="{top}"/>'
    yield f'<text x="0" y="{top + 14}">{e(_short(credential.kind))}</text>'
    of = ", ".join(sorted(credential.profiles))
    below = " · ".join(filter(None, (credential.fingerprint[:8], _short(of))))
    yield f'<text class="soft" x="0" y="{top + 28}">{e(below)}</text>'
    width = (_WIDTH - _LABELS) / _BINS
    for (kind, place), count in sorted(_bins(credential, span).items()):
        y = top + 4 + _KINDS.index(kind) * (_BAND + 2)
        words = f"{count} by {'a person' if kind == 'human' else kind}"
        yield (
            f'<rect class="{kind}" x="{_LABELS + place * width:.1f}" y="{y}" '
            f'width="{max(3.0, width - 1):.1f}" height="{_BAND}" rx="1">'
            f"<title>{e(words)}</title></rect>"
        )


def _bins(credential: Credential, span: tuple[datetime, datetime]) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for ts, kind in credential.uses:
        try:
            share = (datetime.fromisoformat(ts) - span[0]) / (span[1] - span[0])
        except (ValueError, TypeError, ZeroDivisionError):
            continue
        place = min(_BINS - 1, max(0, int(share * _BINS)))
        found[kind if kind in _KINDS else "other", place] += 1
    return found


def _x(when: datetime, begin: datetime, end: datetime) -> float:
    return _LABELS + (_WIDTH - _LABELS) * ((when - begin) / (end - begin))


def _short(text: str) -> str:
    return text if len(text) <= 28 else f"{text[:27]}…"  # noqa: PLR2004 - what has room
