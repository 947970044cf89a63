"""What is about to leave holds no secret, known or by its looks, in whatever form."""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from guard.errors import SecretRefused
from guard.outgoing import refuse_outgoing
from guard.scrub import Scrubber

KNOWN = "opaque-Zm9v-0123456789-known"
TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"


@pytest.fixture
def scrubber() -> Scrubber:
    scrubber = Scrubber()
    scrubber.learn(KNOWN, "access-token")
    return scrubber


def refused(scrubber: Scrubber, *contents: str | bytes) -> SecretRefused:
    with pytest.raises(SecretRefused) as caught:
        refuse_outgoing([(f"part {n}", each) for n, each in enumerate(contents)], scrubber=scrubber)
    return caught.value


FORMS: dict[str, str | bytes] = {
    "plain": f"jql=text ~ {KNOWN}",
    "bytes": KNOWN.encode(),
    "bytes that are no text": b"\xff\xfe" + KNOWN.encode() + b"\xff",
    "UTF-16": KNOWN.encode("utf-16-le"),
    "percent-encoded": quote(KNOWN, safe="").replace("-", "%2D"),
    "percent-encoded all over": "".join(f"%{ord(each):02x}" for each in KNOWN),
    "percent-encoded twice": quote("".join(f"%{ord(each):02X}" for each in KNOWN)),
    "in JSON": json.dumps({"fields": {"summary": f"see {KNOWN}"}}),
    "in JSON in JSON": json.dumps({"body": json.dumps({"a": KNOWN})}),
    "in base64": base64.b64encode(f"alice:{KNOWN}".encode()).decode(),
    "in base64 in a query": quote(base64.b64encode(f"ab{KNOWN}".encode()).decode()),
    "in hexadecimal": KNOWN.encode().hex(),
    "at the end of much": "x " * 50_000 + KNOWN,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_secret_does_not_leave(scrubber: Scrubber, form: str) -> None:
    """H-A6."""
    error = refused(scrubber, "startAt=50", FORMS[form])
    assert (error.way, error.name) == ("request", "part 1")
    assert "Nothing was sent" in str(error)


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        (f"q={TOKEN}", "an Atlassian API token"),
        (TOKEN.encode("utf-16-le"), "an Atlassian API token"),
        (quote(quote(f"https://x-token-auth:{TOKEN}@h/")), "an Atlassian API token"),
        ("access_token=opaque-value-1", "a value with a secret's name"),
        ('{"client_secret": "opaque-value-1"}', "a value with a secret's name"),
        (f'{"x" * 100_000} "{TOKEN}"', "an Atlassian API token"),
        ("Bearer 7f3kq9zr2wm8xv5t", "a bearer token"),
        (f'{TOKEN[:9]}""{TOKEN[9:]}', "an Atlassian API token"),
        (" ".join(TOKEN), "an Atlassian API token"),
    ],
)
def test_what_looks_like_a_secret_does_not_leave(content: str | bytes, looks_like: str) -> None:
    """H-A6: though nobody knows it here."""
    assert refused(Scrubber(), content).looks_like == looks_like


def test_it_says_that_it_is_a_secret_kept_here(scrubber: Scrubber) -> None:
    error = refused(scrubber, KNOWN)
    assert str(error) == (
        "refused: part 0 of the request holds a secret (it looks like one that is kept here). "
        "Nothing was sent."
    )
    assert "Take it out" in error.remedy


@pytest.mark.parametrize(
    "content",
    [
        "",
        b"",
        "/rest/api/3/search",
        "jql=project%20=%20HAR%20AND%20text%20~%20%22password%20reset%22&startAt=50",
        "nextPageToken=CAEaAggDIgQIARAC&maxResults=50",
        json.dumps({"fields": {"summary": "Tokens are renewed", "labels": ["secret"]}}),
        json.dumps({"query": "query($token: String!) { me { name } }"}),
        json.dumps({"body": "it was ‹access-token› before", "also": "\u2039redacted:jwt\u203a"}),
        bytes(range(256)) * 300,
        "100%",
        "%25" * 40,
    ],
)
def test_what_holds_none_leaves(scrubber: Scrubber, content: str | bytes) -> None:
    refuse_outgoing([("the body", content)], scrubber=scrubber)


def test_nothing_of_it_is_told(scrubber: Scrubber) -> None:
    """H-A6: in no word, and in no variable that a traceback could show."""
    for content in (KNOWN, f"q={TOKEN}", KNOWN.encode()):
        error = refused(scrubber, content)
        stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
        frames = [frame for frame in stack if Path(frame.filename).name == "outgoing.py"]
        shown = f"{error} {error!r} {vars(error)} {error.remedy} {[one.locals for one in frames]}"
        assert frames
        assert KNOWN not in shown
        assert TOKEN not in shown


def test_what_may_stand_in_a_history_is_held() -> None:
    """H-A7: the secret and the word it came in; a whole body is neither."""
    held = [each.reveal("compare in a test") for each in refused(Scrubber(), f"q={TOKEN}").values]
    assert held == [TOKEN, f"q={TOKEN}"]
    long = refused(Scrubber(), f"{'x ' * 5000}{TOKEN}").values
    assert [each.reveal("compare in a test") for each in long] == [TOKEN]
