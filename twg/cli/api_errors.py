"""What an error of a service means, told in its own words and in ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from twg.cli.api_pages import Manner, Page
from twg.errors import HttpError
from twg.products.answers import FORBIDDEN, UNAUTHORIZED, host_of, own_words
from twg.products.call import GRAPHQL

if TYPE_CHECKING:
    from guard.scrub import Scrubber
    from twg.http import Response
    from twg.products.call import Call

_TOO_MANY_REQUESTS: Final = 429
_FIRST_ERROR: Final = 400
_LONGEST: Final = 300


def is_refusal(call: Call, page: Page) -> bool:
    """Tell whether an answer is none of success; GraphQL says so in its document."""
    if page.answer.status >= _FIRST_ERROR:
        return True
    return (
        call.service == GRAPHQL and isinstance(page.value, dict) and bool(page.value.get("errors"))
    )


def error_of(
    answer: Response, meaning: tuple[str, str] | None, manner: Manner, scrubber: Scrubber
) -> HttpError:
    """Return the error for an answer that is none of success.

    Args:
        answer: What came.
        meaning: What it means and what to do, where that is known of the credential.
        manner: Whether its head is shown, too.
        scrubber: Cleans the service's words before they are cut.
    """
    page = Page.of(answer)
    why, remedy = meaning or _usual(answer)
    said = own_words(page.value)
    if said is not None:
        clean = scrubber.text(said)
        cut = clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
        why = f"{why}; it says: {cut}" if why else cut
    return HttpError(
        answer.status,
        host_of(answer),
        page.data(Manner(include=manner.include)),
        why=why,
        remediation=remedy,
    )


def _usual(answer: Response) -> tuple[str | None, str | None]:
    """Return what an error means whoever calls; Nones where the status says it all."""
    if answer.status == FORBIDDEN:
        return (
            "it accepts the sign-in, but this account may not do that",
            "Signing in again does not change that: ask who administers the place for the right.",
        )
    if answer.status == UNAUTHORIZED:
        return (
            "it does not accept this sign-in, which cannot be renewed",
            "Run `twg login --force` in a terminal.",
        )
    if answer.status == _TOO_MANY_REQUESTS:
        asked = answer.retry_after()
        wait = "a while" if asked is None else f"{math.ceil(asked)} seconds"
        return "too many requests", f"Wait {wait}, then run the command again."
    if answer.status < _FIRST_ERROR:
        return (
            "the GraphQL answer lists errors",
            "Correct the query or its variables; data beside the errors is incomplete.",
        )
    return None, None
