"""The parts that the figures rest on: a server that rotates strictly, callers counted, pictures."""

from __future__ import annotations

import random
from xml.etree import ElementTree as ET

from guard.scrub import Scrubber
from tests.bench import drawing, meter, redaction
from tests.bench.tokens_server import Families


async def test_the_servers_tokens_work_once_and_reuse_ends_their_family() -> None:
    families = Families(0)
    body = b"grant_type=refresh_token&refresh_token=a."

    first, document = await families.answer("/token", body + b"0")
    assert (first, document["refresh_token"]) == (200, "a.1")
    assert (await families.answer("/token", b"refresh_token=b.0"))[0] == 200
    assert (await families.answer("/token", body + b"0"))[0] == 400
    assert (await families.answer("/token", body + b"1"))[0] == 400
    assert (await families.answer("/token", b"refresh_token=b.1"))[0] == 200
    assert (await families.answer("/stats", b""))[1]["requests"] == 5

    await families.answer("/reset", b"")
    assert (await families.answer("/token", body + b"0"))[0] == 200
    assert (await families.answer("/stats", b""))[1]["requests"] == 1


async def test_every_caller_that_fails_is_counted() -> None:
    numbers = iter(range(1000))

    def every_other() -> None:
        if next(numbers) % 2:
            raise RuntimeError

    async def one() -> None:
        every_other()

    assert meter.in_threads(every_other) == meter.THREADS // 2
    assert await meter.in_tasks(one) == meter.TASKS // 2


def test_a_picture_is_well_formed_whatever_the_names() -> None:
    line = [(1.0, 0.01), (10.0, 0.5), (100.0, 30.0)]

    for picture in (
        drawing.lines("a < b", {"<get>": line, "save & sync": line}, "ms"),
        drawing.bars("a < b", [("<twg>", 0, 8), ("peer", 7, 8)]),
    ):
        drawn = ET.fromstring(picture)  # noqa: S314 - our own
        texts = [each.text for each in drawn.iter() if each.text]
        assert "a < b" in texts
        assert any("<" in (text or "") and text != "a < b" for text in texts)


def test_a_bar_is_filled_by_its_share() -> None:
    picture = drawing.bars("", [("none", 0, 8), ("half", 4, 8)])

    assert 'width="0" height="16" fill="#de350b"' in picture
    assert 'width="140" height="16" fill="#de350b"' in picture


def test_a_secret_of_the_log_is_in_each_of_its_forms() -> None:
    (value, *_) = redaction.secrets(random.Random(1))  # noqa: S311 - made up, and the same each time
    written = redaction.forms(value)
    assert len(written) >= 7
    scrubber = Scrubber()
    scrubber.learn(value, "k")
    assert all("‹redacted:k›" in scrubber.text(f"x {form} y") for form in written)


def test_an_ordinary_line_holds_no_secret() -> None:
    rng = random.Random(1)  # noqa: S311 - the same each time
    lines = [redaction.line(rng) for _ in range(200)]
    assert [each for each in lines if Scrubber().text(each) != each] == []
