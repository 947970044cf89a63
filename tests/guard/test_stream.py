"""The redactor of streams: any chunks, nothing lost, nothing held that can go."""

from __future__ import annotations

import base64
import json
import random
import sysconfig
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.scrub import Scrubber
from guard.shapes import SHAPES
from guard.sieve import Sieve
from guard.stream import BLOCK, Redactor

REPOSITORY = Path(__file__).parents[2]
TOKEN = "n0t-A-r3al_token.Value~9Qx7pLm2Zr"
JWT = "eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl"
MARK = "‹redacted:k›".encode()
LINE = (
    b"2026-11-25T12:00:00Z INFO handler took 17 ms for /rest/api/3/issue/PROJ-17 id=c4647159c324\n"
)


AROUND = st.characters(codec="utf-8", exclude_characters=TOKEN)


def knowing(*values: str) -> Scrubber:
    scrubber = Scrubber()
    for value in values:
        scrubber.learn(value, "k")
    return scrubber


def passed(redactor: Redactor, chunks: list[bytes], *, pausing: bool = False) -> bytes:
    out = []
    for chunk in chunks:
        out.append(redactor.feed(chunk))
        if pausing:
            out.append(redactor.flush())
    return b"".join([*out, redactor.finish()])


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300)), pausing=st.booleans())
def test_what_holds_no_secret_comes_out_byte_for_byte(
    data: bytes, cuts: list[int], *, pausing: bool
) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    chunks = [data[start:end] for start, end in pairwise(places)]
    redactor = Redactor(knowing(TOKEN))
    shown = passed(redactor, chunks, pausing=pausing)
    assert redactor.found or shown == data


@given(
    before=st.text(AROUND, max_size=40),
    after=st.text(AROUND, max_size=40),
    sizes=st.lists(st.integers(1, 12), min_size=1),
    pausing=st.booleans(),
)
def test_h_f1_in_any_chunks_no_part_of_a_secret_comes_out(
    before: str, after: str, sizes: list[int], *, pausing: bool
) -> None:
    """H-F1, H-F3: not one character of it."""
    data = f"{before} {TOKEN} {after}".encode()
    chunks: list[bytes] = []
    while data:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[:size])
        data = data[size:]
    shown = passed(Redactor(knowing(TOKEN)), chunks, pausing=pausing)
    assert MARK in shown
    assert not any(TOKEN[at : at + 4].encode() in shown for at in range(len(TOKEN) - 3))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}: {shape.name}")
def test_what_looks_like_a_secret_is_hidden_in_any_two_chunks(shape: object) -> None:
    example: str = shape.example  # type: ignore[attr-defined]  # parametrize has no types
    data = f"a {example}\nb\n".encode()
    whole = Scrubber().text(data.decode()).encode()
    assert whole != data
    for cut in range(len(data)):
        redactor = Redactor(Scrubber())
        assert passed(redactor, [data[:cut], data[cut:]]) == whole
        assert sum(redactor.found.values()) == 1


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.kind}: {shape.name}")
def test_a_large_text_is_scrubbed_as_a_small_one_is(shape: object) -> None:
    """What the sieve points at is all there is to see."""
    example: str = shape.example  # type: ignore[attr-defined]  # as above
    line = f"x {example}\n"
    text = LINE.decode() * 500 + line + LINE.decode() * 500
    expected = LINE.decode() * 500 + Scrubber().text(line) + LINE.decode() * 500
    assert Scrubber().text(text) == expected


def test_without_a_fast_pattern_it_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where RE2 is not to be had: slower, and nothing else."""
    monkeypatch.setattr("guard.sieve.pattern", lambda _: None)
    scrubber = knowing(TOKEN)
    text = LINE * 500 + f"{TOKEN} {base64.b64encode(TOKEN.encode()).decode()}\n".encode() + LINE
    redactor = Redactor(scrubber)
    shown = passed(redactor, [text])
    assert shown == LINE * 500 + MARK + b" " + MARK + b"\n" + LINE
    assert redactor.found == {"k": 2}


@pytest.mark.parametrize(
    "data",
    [
        b"Name: ",
        b"Continue?",
        b"[y/N]",
        b"Password: ",
        b"50%",
        b"50 % done",
        b"> ",
        b"a line\n",
        b"\x1b[32m?\x1b[0m Which one \xe2\x80\xba ",
        b"\xff\xfe",
    ],
)
def test_a_pause_lets_all_go_that_begins_no_secret(data: bytes) -> None:
    redactor = Redactor(knowing(TOKEN))
    assert redactor.feed(data) + redactor.flush() == data
    assert redactor.feed(b"") + redactor.finish() == b""


@pytest.mark.parametrize(
    "held",
    [
        TOKEN[:1],
        TOKEN[:9],
        TOKEN,
        JWT[:30],
        JWT,
        "token=" + "abc",
        "Bearer abc",
        "https://alice:pass",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
        base64.b64encode(TOKEN.encode()).decode()[:10],
        "%6e%30",
    ],
)
def test_a_pause_keeps_back_what_may_become_a_secret(held: str) -> None:
    redactor = Redactor(knowing(TOKEN))
    out = redactor.feed(f"some words {held}".encode()) + redactor.flush()
    assert b"some words ".startswith(out[:11])
    for at in range(max(1, len(held) - 6)):
        assert held[at : at + 8].encode() not in out or held[at:].startswith(("token=", "Bearer"))


def test_a_secret_that_is_over_is_not_waited_for() -> None:
    redactor = Redactor(knowing(TOKEN))
    assert redactor.feed(f"{TOKEN}\n".encode()) + redactor.flush() == MARK + b"\n"


def test_a_private_key_in_many_chunks_is_one() -> None:
    body = "".join(f"{'Example1' * 8}\n" for _ in range(25))
    key = f"-----BEGIN PRIVATE KEY-----\n{body}-----END PRIVATE KEY-----"
    chunks = [f"{line}\n".encode() for line in f"a\n{key}\nb".split("\n")]
    redactor = Redactor(Scrubber())
    shown = passed(redactor, chunks, pausing=True)
    assert shown == "a\n‹redacted:private-key›\nb\n".encode()
    assert redactor.found == {"private-key": 1}


def test_a_secret_across_the_blocks_is_hidden_wherever_it_is() -> None:
    scrubber = knowing(TOKEN)
    for at in range(BLOCK - 60, BLOCK + 10, 7):
        data = b"." * (at - 1) + b" " + TOKEN.encode() + b" " + LINE * 100
        assert TOKEN[:8].encode() not in passed(Redactor(scrubber), [data])


def test_a_token_longer_than_any_line_is_hidden_whole() -> None:
    token = f"eyJhbGciOiJub25lIn0.{'Zm9v9Ag_-' * 900}.{'x9Ag_-Zm' * 900}"
    data = LINE * 20 + f"a {token} b\n".encode() + LINE * 400
    shown = passed(Redactor(Scrubber()), [data])
    assert shown == LINE * 20 + "a ‹redacted:jwt› b\n".encode() + LINE * 400


def test_a_bearer_token_is_followed_to_its_end() -> None:
    data = LINE * 20 + b"Authorization: Bearer " + b"a1B2c3D4" * 600 + b"\n" + LINE * 400
    shown = passed(Redactor(Scrubber()), [data])
    assert shown.count("Bearer ‹redacted:bearer-token›\n".encode()) == 1
    assert b"a1B2c3D4" not in shown


def test_a_secret_within_what_is_only_a_placeholder_is_seen() -> None:
    """The sieve walks over `password: change`, and what begins in it is not lost."""
    data = LINE * 100 + b"password: changeme\n" + LINE * 100
    assert passed(Redactor(Scrubber()), [data]) == data
    assert b"changeme" not in passed(Redactor(knowing("changeme")), [data])


def test_what_is_held_back_is_told_once() -> None:
    """Its beginning had gone out before it was one."""
    written = "".join(f"%{ord(each):02x}" for each in TOKEN)
    redactor = Redactor(knowing(TOKEN))
    chunks = [redactor.feed(f"x {written[:1]}".encode()), redactor.flush()]
    for part in (written[1:84], written[84:90], written[90:]):
        chunks += [redactor.feed(part.encode()), redactor.flush()]
    assert b"".join([*chunks, redactor.finish()]) == b"x %" + MARK
    assert redactor.found == {"k": 1}


def test_a_secret_learnt_meanwhile_is_hidden_from_then_on() -> None:
    scrubber = Scrubber()
    redactor = Redactor(scrubber)
    assert redactor.feed(f"{TOKEN}\n".encode()) + redactor.flush() == f"{TOKEN}\n".encode()
    scrubber.learn(TOKEN, "k")
    assert redactor.feed(f"{TOKEN}\n".encode()) + redactor.finish() == MARK + b"\n"


def test_of_very_many_secrets_each_is_hidden_in_a_large_text() -> None:
    rng = random.Random(1)  # noqa: S311 - no secrets, and the same each time
    values = ["!?" * 8, *(f"{rng.getrandbits(160):040x}" for _ in range(300))]
    text = "".join(f"{LINE.decode()}{value}\n" for value in values)
    shown = knowing(*values).text(text)
    assert shown.count("‹redacted:k›") == len(values)


# False alarms


def sources() -> list[Path]:
    library = Path(sysconfig.get_paths()["stdlib"])
    beside = {"site-packages", "test", "tests"}  # packages, and tests with made-up certificates
    found = [
        path for path in library.rglob("*.py") if beside.isdisjoint(path.relative_to(library).parts)
    ]
    assert len(found) > 500
    return found


def test_the_standard_library_passes_unchanged() -> None:
    scrubber = knowing(TOKEN)
    changed = [
        str(path)
        for path in sources()
        if passed(Redactor(scrubber), [path.read_bytes()]) != path.read_bytes()
    ]
    assert changed == []


def test_a_kernel_log_passes_unchanged() -> None:
    lines = [
        "[    0.000000] Linux version 6.12.0-1-amd64 (gcc-14 (Debian 14.2.0-8) 14.2.0) #1 SMP",
        "[    0.000000] Command line: BOOT_IMAGE=/vmlinuz root=UUID=0a1b2c3d-4e5f-6789-abcd-ef01",
        "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bffdffff] usable",
        "[    0.261103] smpboot: CPU0: Intel(R) Xeon(R) Processor (family: 0x6, model: 0x8f)",
        "[    0.512345] pci 0000:00:1f.2: reg 0x10: [mem 0xfebf1000-0xfebf1fff 64bit]",
        "[    1.203991] Loaded X.509 cert 'Build key: 3a5d7f9b1c2e4a6b8d0f1234567890abcdef1234'",
        "[    1.310000] usb 1-1: SerialNumber: 0123456789ABCDEF0123456789ABCDEF",
        "[    2.001234] 00000000: 48 65 61 64 20 6f 66 20 61 20 64 75 6d 70 2e 0a  Head of a dump.",
        "[    2.500001] ACPI: SSDT 0x000000007FFDE2C4 0000D1 (v01 BOCHS  BXPCSSDT 00000001)",
        '[   17.000200] audit: type=1400 audit(1764072000.123:4): apparmor="STATUS" key=(null)',
    ]
    data = "".join(f"{line}\n" for line in lines).encode()
    assert passed(Redactor(knowing(TOKEN)), [data]) == data


def test_this_repository_passes_unchanged() -> None:
    """But for what secrets look like, and for the published passwords of made-up persons."""
    changed = {
        str(path.relative_to(REPOSITORY))
        for folder in ("guard", "twg", "docs", "changelog")
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in {".py", ".md", ".html", ".jinja"}
        and passed(Redactor(Scrubber()), [path.read_bytes()]) != path.read_bytes()
    }
    assert changed == {"guard/shapes.py", "twg/sandbox/people.py"}


# Memory


def test_memory_does_not_grow_with_the_stream() -> None:
    redactor = Redactor(knowing(TOKEN))
    redactor.feed(LINE * 3000)
    tracemalloc.start()
    for _ in range(64):
        redactor.feed(LINE * 3000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20


def test_a_word_without_end_is_held_only_so_long() -> None:
    redactor = Redactor(knowing(TOKEN))
    out = b"".join(redactor.feed(b"A1" * 1000) + redactor.flush() for _ in range(300))
    assert len(out) > 400_000


def test_the_sieve_is_made_once_for_what_is_known() -> None:
    scrubber = knowing(TOKEN)
    assert isinstance(scrubber.sieve(), Sieve)
    assert scrubber.sieve() is scrubber.sieve()
    before = scrubber.sieve()
    scrubber.learn(json.dumps(["another value"]), "k")
    assert scrubber.sieve() is not before


@pytest.mark.parametrize("filler", ["api_key = required; x\n", "token=none\n", "eyJ0aGlz. "])
@pytest.mark.parametrize("secret", ["password=hunter2xyz9", "ATATT3xFfGF0" + "Example1" * 8])
def test_behind_many_that_only_look_like_one_a_secret_is_seen(filler: str, secret: str) -> None:
    text = f"{filler * 4000}{secret}\n{filler * 1000}"
    shown = Scrubber().text(text)
    assert secret not in shown
    assert shown.count("‹") == 1


KEYS = ("api", "access", "private", "secret", "signing", "storage", "auth", "master", "account")
NAMES = [
    *(f"{word}{between}key" for word in KEYS for between in ("", "_", "-", ".", "__")),
    *(f"{word}Key" for word in KEYS),
    *(f"{word}_KEY_2".upper() for word in KEYS),
    *("device_code", "deviceCode", "code_verifier", "codeVerifier", "clientAssertion"),
    *("refreshToken", "password", "passcode", "my_jwt", "JSESSIONID", "credentials"),
]
"""What a secret may be called; a key or a code alone is none."""


@pytest.mark.parametrize("written", ["{}=%s", '"{}": "%s"', r"{}\":\"%s\"", "{} => '%s'"])
def test_a_telling_name_is_seen_in_a_long_text_as_in_a_short_one(written: str) -> None:
    value = "Xk9qLm4wZ7"
    lines = [f"{written.format(name) % value} and words\n" for name in NAMES]
    lines += ['{"key": "HARBOUR-1", "code": "indeterminate"} and words\n']
    alone = [Scrubber().text(line) for line in lines]
    redactor = Redactor(Scrubber())

    together = redactor.feed("".join(lines * 40).encode()) + redactor.finish()

    assert together.decode() == "".join(alone * 40)
    assert value not in "".join(alone)
    assert alone[-1] == lines[-1]
