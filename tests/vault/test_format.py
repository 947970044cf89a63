"""The sealed file's format: whatever is changed anywhere, it does not open (H-E1, H-E4)."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guard.secret import Secret
from tests.vault.samples import Ear, credential, custody_of, opened, provider, with_access
from twg.errors import StoreCorrupt
from twg.vault import Account, Credential, Header, KeyLocation, Site, Tokens
from twg.vault.members import dump, member
from twg.vault.opened import Opened
from twg.vault.sealed import MAX_BYTES, Sealer, is_newer, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path("/nowhere/auth.conf")
LOCATION = KeyLocation(location="file", id="auth-0123456789abcdef")


def a_key() -> Secret:
    return Secret(base64.urlsafe_b64encode(os.urandom(32)).decode(), "sealing-key")


KEY = a_key()


def sealed(*credentials: Credential) -> bytes:
    made = Opened.empty(LOCATION, custody_of(Ear()), PATH)
    for each in credentials:
        made.put(each)
    return made.sealed(Sealer(KEY))


def open_it(data: bytes, key: Secret = KEY) -> Opened:
    return Opened.of(parse(PATH, data), Sealer(key), custody_of(Ear()))


SOUND = sealed(credential())


def test_a_sound_file_opens() -> None:
    found = open_it(SOUND).credential("default")
    assert opened(found) == opened(credential(generation=1))


def test_a_long_sealed_part_is_base64_of_the_whole_however_it_was_put_together() -> None:
    data = sealed(*(credential(f"profile-{number:03}") for number in range(150)))
    text = data.rpartition(b'"sealed":"')[2].removesuffix(b'"}\n')

    whole = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))

    assert len(whole) > 3 * 48 * 1024
    assert base64.urlsafe_b64encode(whole).rstrip(b"=") == text
    assert open_it(data).profiles == tuple(f"profile-{number:03}" for number in range(150))


def test_truncated_at_every_byte_it_does_not_open() -> None:
    """H-E1."""
    for length in range(len(SOUND)):
        with pytest.raises(StoreCorrupt):
            open_it(SOUND[:length])


def flipped(data: bytes) -> Iterator[bytes]:
    for place in range(len(data)):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def test_any_bit_flipped_at_any_byte_it_does_not_open() -> None:
    """H-E1."""
    count = 0
    for changed in flipped(SOUND):
        with pytest.raises(StoreCorrupt):
            open_it(changed)
        count += 1
    assert count == 8 * len(SOUND)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (SOUND[:-40], "truncated or not JSON"),
        (b"\x00" * 100, "truncated or not JSON"),
        (b"[" * 100_000, "truncated or not JSON"),
        (b"[]", "not a sealed file"),
        (b"{}", "not a sealed file"),
        (b'{"format":0,"header":{},"sealed":""}\n', "not a sealed file"),
        (b'{"format":true,"header":{},"sealed":""}\n', "bytes in it were changed"),
        (b'{"format":1,"header":{},"sealed":"!"}\n', "sealed part is damaged"),
        (SOUND + b"\n", "bytes in it were changed"),
        (SOUND.replace(b'"format":1', b'"format":1,"format":1'), "bytes in it were changed"),
        (SOUND.replace(b'"format":1', b'"format":NaN'), "not a sealed file"),
        (SOUND.replace(b"1000000.0", b"NaN"), "header is damaged"),
        (SOUND.replace(b'"generation":1', b'"generation":1,"generation":1'), "header is damaged"),
        (SOUND.replace(b'"header":{', b'"header":{ '), "header is damaged"),
        (SOUND.replace(b"Alice", b"Malice"), "changed, or it was sealed by another key"),
        (b" " * (MAX_BYTES + 1), "bytes long"),
    ],
)
def test_each_damage_has_its_words(data: bytes, words: str) -> None:
    with pytest.raises(StoreCorrupt, match=words):
        open_it(data)


def test_unused_bits_of_the_last_character_count_too() -> None:
    """Base64 of some lengths has spare bits that a decoder does not look at."""
    tails = set()
    for size in range(3):
        data = sealed(with_access(credential(), "x" * (40 + size)))
        text = json.loads(data)["sealed"]
        tails.add(len(text) % 4)
        for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
            if last != text[-1]:
                with pytest.raises(StoreCorrupt):
                    open_it(data.replace(text.encode(), (text[:-1] + last).encode()))
    assert tails == {0, 2, 3}


def test_a_changed_header_does_not_open_though_it_is_canonical() -> None:
    """H-E1."""
    whole = json.loads(SOUND)
    whole["header"]["profiles"]["default"]["site"] = "evil.example.net"
    data = f"{dump(whole)}\n".encode()
    assert parse(PATH, data).read_header(Header).profiles["default"].site == "evil.example.net"
    with pytest.raises(StoreCorrupt, match="changed"):
        open_it(data)


def test_a_header_with_a_number_beyond_all_bounds_is_not_shown() -> None:
    document = parse(PATH, SOUND.replace(b"1000000.0", b"1e999"))
    with pytest.raises(StoreCorrupt, match="header is damaged"):
        document.read_header(Header)


def test_headers_are_not_exchanged_between_files() -> None:
    one, two = json.loads(SOUND), json.loads(sealed(credential(), credential("second")))
    one["header"] = two["header"]
    with pytest.raises(StoreCorrupt, match="changed"):
        open_it(f"{dump(one)}\n".encode())


def test_another_key_does_not_open_it() -> None:
    """H-E1: a file of another machine."""
    with pytest.raises(StoreCorrupt, match="another key"):
        open_it(SOUND, a_key())


def test_the_same_contents_never_look_the_same() -> None:
    assert sealed(credential()) != sealed(credential())


def test_a_newer_format_is_told_apart_however_it_looks() -> None:
    """H-E4."""
    for data in (b'{"format": 2}', b'{"format":2,"header":[],"more":1}\n'):
        with pytest.raises(StoreCorrupt, match="written by a newer twg") as caught:
            parse(PATH, data)
        assert "Upgrade twg" in caught.value.remediation
        assert is_newer(PATH, data)
    assert not is_newer(PATH, SOUND)
    assert not is_newer(PATH, SOUND[:50])


def test_a_file_too_big_to_be_read_again_is_not_made() -> None:
    with pytest.raises(StoreCorrupt, match="would become"):
        sealed(with_access(credential(), "x" * MAX_BYTES))


def test_header_and_contents_must_name_the_same_profiles() -> None:
    made = Opened.empty(LOCATION, custody_of(Ear()), PATH)
    made.put(credential())
    made._summaries.put("ghost", member("ghost", made._summaries.get("default")))
    with pytest.raises(StoreCorrupt, match="belong together"):
        open_it(made.sealed(Sealer(KEY)))


def test_a_record_of_another_shape_is_told() -> None:
    made = Opened.empty(LOCATION, custody_of(Ear()), PATH)
    made.put(credential())
    plain = made._credentials.get("default")
    del plain["tokens"]["access"]
    made._credentials.put("default", member("default", plain))
    with pytest.raises(StoreCorrupt, match="a record in it is not sound"):
        open_it(made.sealed(Sealer(KEY))).credential("default")


def test_only_the_secrets_that_are_asked_for_are_taken_in() -> None:
    ear = Ear()
    data = sealed(credential(), with_access(credential("other"), "other-access"))
    Opened.of(parse(PATH, data), Sealer(KEY), custody_of(ear)).credential("default")
    assert "other-access" not in ear.learnt
    assert ear.learnt[opened(credential())["tokens"]["access"]["value"]] == "access-token"


text = st.text(max_size=30)
maybe = st.none() | text
times = st.floats(-1e300, 1e300)


@st.composite
def credentials(draw: Any) -> Credential:
    custody = custody_of(Ear())
    secret = text.map(lambda value: custody.take(value, "access-token"))
    tokens = st.builds(
        Tokens,
        access=secret,
        refresh=st.none() | secret,
        token_type=text,
        scopes=st.lists(text, max_size=3).map(tuple),
        issued_at=times,
        expires_in=st.none() | times,
    )
    site = st.builds(
        Site,
        host=text,
        cloud_id=text,
        name=maybe,
        scopes=st.lists(text, max_size=2).map(tuple),
    )
    made: Credential = draw(
        st.builds(
            Credential,
            profile=text,
            provider=st.just(provider(custody)),
            tokens=tokens,
            account=st.none() | st.builds(Account, id=text, name=maybe, email=maybe),
            sites=st.lists(site, max_size=2).map(tuple),
            site=maybe,
            signed_in_at=times,
            refreshed_at=times,
            used_at=st.none() | times,
            idle_days=st.none() | st.floats(0, 1000),
            refused=maybe,
        )
    )
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(credentials())
def test_every_credential_comes_back_as_it_was(made: Credential) -> None:
    found = open_it(sealed(made))
    assert found.profiles == (made.profile,)
    assert opened(found.credential(made.profile)) == {**opened(made), "generation": 1}
