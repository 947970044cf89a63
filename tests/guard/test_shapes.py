"""What looks like a secret is known in every disguise, and what does not is left alone."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.shapes import SHAPES, find, looks_like, mentions_secret, names_secret, shapes_in

if TYPE_CHECKING:
    from guard.shapes import Shape

API_TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
ACCESS_TOKEN = "ATCTT3xFfGN0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
UUID = "b7a1c2d3-4e5f-6071-8293-a4b5c6d7e8f9"
COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"


def kind(text: str) -> str | None:
    shape = looks_like(text)
    return shape.kind if shape else None


def spans(text: str) -> list[tuple[str, str]]:
    return [(text[start:end], shape.kind) for start, end, shape in find(text)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_every_shape_knows_its_example(shape: Shape) -> None:
    assert kind(shape.example) == shape.kind
    assert kind(f"see {shape.example} there") == shape.kind
    ((found, found_kind),) = spans(shape.example)
    assert found_kind == shape.kind
    assert found in shape.example


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.kind)
def test_a_shape_is_described_in_words_that_fit_marks_and_messages(shape: Shape) -> None:
    assert shape.name.split()[0] in {"a", "an", "credentials"}
    assert shape.kind.replace("-", "").isalpha()
    assert shape.kind.islower()
    assert shape.source


def test_hints_are_in_what_they_hint_at() -> None:
    """A shape whose hint is missing is not looked for."""
    for shape in SHAPES:
        assert all(hint == hint.lower() for hint in shape.hints)
        assert not shape.hints or any(hint in shape.example.lower() for hint in shape.hints)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ATATT3xFfGF0abcdefghijklmnop", "atlassian-api-token"),
        (f"x{API_TOKEN}", "atlassian-api-token"),
        (f'{{"key": "{ACCESS_TOKEN}"}}', "atlassian-access-token"),
        (f"--profile={API_TOKEN}", "atlassian-api-token"),
        (JWT, "jwt"),
        (f"callback#id={JWT}&state=x", "jwt"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.", "jwt"),
        ("eyJhbGciOiJkaXIifQ..bm9uY2Utbm9uY2U.Y2lwaGVydGV4dA.dGFnLXRhZw", "jwt"),
        (f'"line\\n{JWT}"', "jwt"),
        ("Authorization: Basic YWxpY2U6aHVudGVyMg==", "basic-login"),
        ("authorization: basic\tYWxpY2U6aHVudGVyMg", "basic-login"),
        ("Basic " + base64.b64encode("alice:pässwört".encode()).decode(), "basic-login"),
        ("Authorization: Bearer 7f3kq9zr2wm8xv5t", "bearer-token"),
        ("bearer abcDEFghiJKLmnoPQR", "bearer-token"),
        ("https://x-token-auth:T@bitbucket.org/w/r.git", "url-credentials"),
        ("https://:hunter2@example.com/", "url-credentials"),
        ("postgres://app:s3cr3t@db.example:5432/app", "url-credentials"),
        ("https://alice:pass%40word@example.com", "url-credentials"),
        ("-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3BlbnNzaA==", "private-key"),
        ("-----BEGIN PGP PRIVATE " + "KEY BLOCK-----", "private-key"),
        ("github_pat_" + "11ABCDE0Y0" * 4, "github-token"),
        ("ghs_" + "a1B2c3D4e5" * 4, "github-token"),
        ("ASIA" + "IOSFODNN7EXAMPLE", "aws-access-key-id"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "named-secret"),
        ("xapp-" + "1-A012345-678901234-abcdef", "slack-token"),
        ("ya29." + "a0AfH6SMBx1Y2z3_k4q5", "google-token"),
        ("GOCSPX-" + "a1B2c3D4e5F6g7H8i9J0", "google-token"),
        ("sk-" + "a1B2c3D4e5" * 4, "openai-key"),
        ("rk_live_" + "a1B2c3D4e5F6g7H8", "stripe-key"),
        ("ATSTT3xFfGF0" + "kq7Zr2Wm9" * 8, "atlassian-service-key"),
        ("https://hooks.slack.com/services/T0123ABCD/B0123ABCD/" + "a1B2c3D4" * 3, "slack-token"),
        ("glagent-" + "a1B2c3D4e5" * 3, "gitlab-token"),
        ("SG." + "a1B2c3D4e5F" * 2 + "." + "a1B2c3D4e5F6" * 3 + "abcdefg", "sendgrid-key"),
        ("SK" + "0a1b2c3d" * 4, "twilio-key"),
        ("hf_" + "AbCdEfGhIj" * 3 + "klmn", "hugging-face-token"),
        ("doo_v1_" + "0a1b2c3d" * 8, "digitalocean-token"),
        ("a~b8Q~" + "a1B2c3D4e5" * 3 + "xyzw", "azure-secret"),
        ("a1B2" * 13 + "JQQJ99" + "A1b2" * 6, "azure-secret"),
        ("hvb." + "AAAAAQJ" * 6, "vault-token"),
        ("dckr_oat_" + "a1B2c3D4" * 4, "docker-token"),
        ("AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2, "age-secret-key"),
        ("access_token=abc123", "named-secret"),
        ('{"refresh_token": "opaque-value"}', "named-secret"),
        ('{\\"client_secret\\":\\"opaque\\"}', "named-secret"),
        ("{'password': 'correct horse'}", "named-secret"),
        ("apiKey: q9w8e7r6", "named-secret"),
        ("X-Api-Key: q9w8e7r6", "named-secret"),
        ("client-secret=correcthorse", "named-secret"),
        ("https://example.com/cb?access_token=opaquevalue&x=1", "named-secret"),
        ("Server=db;Uid=sa;Pwd=hunter22;", "named-secret"),
        ("device_code=GmRhmhcxhwAzkoEq", "named-secret"),
        (f"token={UUID}", "named-secret"),
        ("JSESSIONID=0A1B2C3D4E5F", "named-secret"),
    ],
)
def test_it_is_known(text: str, expected: str) -> None:
    """H-A2."""
    assert kind(text) == expected
    assert expected in {found for _, found in spans(text)}


def wrapped(text: str, columns: int) -> str:
    return "\n".join(text[at : at + columns] for at in range(0, len(text), columns))


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (quote(f"https://x-token-auth:{API_TOKEN}@h/", safe=""), "atlassian-api-token"),
        ("".join(f"%{ord(c):02x}" for c in API_TOKEN), "atlassian-api-token"),
        (quote("".join(f"%{ord(c):02X}" for c in JWT)), "jwt"),
        ("".join(f"\\u{ord(c):04x}" for c in API_TOKEN), "atlassian-api-token"),
        ("".join(f"\\u{{{ord(c):04X}}}" for c in API_TOKEN), "atlassian-api-token"),
        (json.dumps("".join(f"\\u{ord(c):04x}" for c in API_TOKEN)), "atlassian-api-token"),
        ("".join(f"\\x{ord(c):02x}" for c in ACCESS_TOKEN), "atlassian-access-token"),
        ("".join(f"&#{ord(c)};" for c in ACCESS_TOKEN), "atlassian-access-token"),
        ("".join(f"&#x{ord(c):X};" for c in ACCESS_TOKEN), "atlassian-access-token"),
        ("https:\\/\\/alice:hunter2@example.com", "url-credentials"),
        ("Basic%20YWxpY2U6aHVudGVyMg%3D%3D", "basic-login"),
        ("AT" + "''" + "ATT3x" + '""' + API_TOKEN[7:], "atlassian-api-token"),
        ("A\\T\\ATT3x\\" + API_TOKEN[7:], "atlassian-api-token"),
        (API_TOKEN.replace("xFfG", "\\xFfG"), "atlassian-api-token"),
        ('"AT" + "ATT3xF" + "' + API_TOKEN[8:] + '"', "atlassian-api-token"),
        (" ".join(API_TOKEN), "atlassian-api-token"),
        ("\u200b".join(API_TOKEN), "atlassian-api-token"),
        (wrapped(JWT, 9), "jwt"),
        (f"{API_TOKEN[:3]}\x1b[31m{API_TOKEN[3:]}", "atlassian-api-token"),
        (in_base64(f"alice@example.com:{API_TOKEN}"), "basic-login"),
        (in_base64("alice@example.com:opaque1"), "basic-login"),
        (in_base64("alice@example.com:opaque1").rstrip("="), "basic-login"),
        (f"/rest/x{in_base64('alice@example.com:opaque1')}", "basic-login"),
        (f"abc/{in_base64('alice@example.com:opaque1')}", "basic-login"),
        (in_base64(API_TOKEN), "atlassian-api-token"),
        ("x" + in_base64(API_TOKEN), "atlassian-api-token"),
        (wrapped(in_base64(API_TOKEN), 19), "atlassian-api-token"),
        (base64.urlsafe_b64encode(f'{{"k":"{JWT}???"}}'.encode()).decode(), "jwt"),
        (base64.b64encode(API_TOKEN.encode("utf-16-le")).decode(), "atlassian-api-token"),
        (in_base64('{"refresh_token":"opaque1"}'), "named-secret"),
        (API_TOKEN.encode().hex(), "atlassian-api-token"),
        (API_TOKEN.encode().hex().upper(), "atlassian-api-token"),
    ],
)
def test_it_is_known_in_disguise(text: str, expected: str) -> None:
    """H-A2."""
    assert kind(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "token",
        "a secret and a token walk into a bar",
        "Forgot your password? Press the button below.",
        "Password: ",
        "HAR-1",
        "key=HAR-1",
        "projectKey=HARBOUR",
        "issue_key: HAR-1234567",
        COMMIT,
        COMMIT[:12],
        f"sha256:{COMMIT}{COMMIT[:24]}",
        UUID,
        f"712020:{UUID}",
        f"accountid:712020:{UUID}",
        "5b10a2844c20165700ede21g",
        f"assignee = 712020:{UUID} AND status = Open",
        'project = HAR AND text ~ "password reset" ORDER BY created DESC',
        f"ari:cloud:jira:{UUID}:issue/10042",
        f"/ex/jira/{UUID}/rest/api/3/myself",
        "https://example.atlassian.net/browse/HAR-1?focusedCommentId=10001",
        "https://auth.example.com:8443/authorize?client_id=abc&scope=read%3Ame+offline_access",
        "https://example.com/search?q=a:b@c",
        "http://[::1]:8080/callback",
        "ssh://git@bitbucket.org/team/repo.git",
        "git@github.com:owner/repo.git",
        "alice@example.com",
        "mailto:alice@example.com?subject=token",
        "nextPageToken=CAEaAggDIgQIARAC",
        "pageToken: CAEaAggDIgQIARAC99",
        '{"next_page_token": "CAEaAggDIgQIARAC99"}',
        "cursor=eyJpZCI6IjEyMzQ1IiwiY29udGVudE9yZGVyIjoiaWQifQ==",
        "csrf_token=0123456789abcdef",
        "X-Atlassian-Token: no-check",
        "ABCD-EFGH",
        "user_code=WDJB-MJHT",
        "query { me { user { accountId name } } }",
        "mutation($token: String!) { signIn(token: $token) { ok } }",
        'query { issue(id: "ari:cloud:jira::issue/1") { key summary } }',
        "max_tokens=1234567",
        "token_type=bearer",
        '{"token_type":"Bearer","expires_in":3600,"scope":"read:me offline_access"}',
        "token_endpoint=https://auth.example.com/oauth/token",
        "token=https://auth.example.com/oauth/token",
        "password=None",
        "f(g(passwd=pass))",
        "The password: whatever-you-like",
        "secret = everything_but_the_sink",
        "login(user, password=password, token=self.token, secret=settings.client_secret)",
        "def get(url, access_token=None):",
        "token = tokens.pop()",
        "api_key = os.environ['API_KEY']",
        "password: ${DB_PASSWORD}",
        "token=$TOKEN",
        "client_secret=<your client secret>",
        "client_secret=YOUR_CLIENT_SECRET",
        "password=********",
        "password: changeme",
        "api_key=‹redacted:api-key›",
        '"password": "string"',
        "Token: '#dcdccc'",
        'raise ValueError("bad token: " + repr(value))',
        "password_file=/run/secrets/db_password",
        "secret=/run/secrets/client",
        "Basic authentication is used",
        "basic principles of bearer authentication",
        "Bearer authentication-required",
        "Bearer YOUR_ACCESS_TOKEN_GOES_HERE",
        "Bearer YourPersonalAccessToken",
        "Authorization: Bearer $ACCESS_TOKEN",
        "https://$USER:$PASSWORD@example.com",
        "https://user:<password>@example.com",
        "GATATTACAGATATTACGTACGTACGTATATTACGGCATNNACGT",
        "an ATATT-prefixed-token is one",
        "AT ATT 3 is a column of the table at hand",
        "class sk-fading-circle-of-spinning-dots-loading",
        "task-management-for-remote-teams-in-2024",
        "xoxo-hugs-and-kisses-from-all-of-us",
        "npm_config_registry_with_a_very_long_name_indeed",
        "hf_hub_download_with_a_very_long_name_indeed_and_more",
        "hf_transformersmodelsarewrittentogether",
        "AN ATSTT-PREFIXED-KEY IS ONE",
        "SG.x.y.z and SG.1",
        "SKIPPED0123456789abcdef0123456789abcdef",
        "dop_v1_ begins one, hvs. another",
        "AGE-SECRET-KEY-1 is followed by more",
        "what is 8Q~ in a name~8Q~x",
        "https://hooks.slack.com/services/ and an app id",
        "PWD=home12345",
        "-----BEGIN PUBLIC KEY-----",
        "the private key stays on the device",
        "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsu",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4",
        "/usr/local/lib/python3.11/site-packages/authlib/oauth2/rfc6749/token.py",
        "C:\\Users\\alice\\AppData\\Roaming\\twg\\auth.conf",
        "2026-01-31T12:34:56.789+01:00",
        "1.2.3-beta.4+build.5678",
        "read:jira-work write:jira-work offline_access",
        "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.",
        "a, b, c: see page 12, key 7, and the token: page 123456 of the appendix",
    ],
)
def test_it_is_no_secret(text: str) -> None:
    assert kind(text) is None
    assert spans(text) == []


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("Authorization: Bearer 7f3kq9zr2wm8xv5t, ok", ["7f3kq9zr2wm8xv5t"]),
        ("Authorization: Basic YWxpY2U6aHVudGVyMg==\n", ["YWxpY2U6aHVudGVyMg=="]),
        ("https://alice:hunter2@example.com/x", ["hunter2"]),
        ('{"refresh_token": "opaque-value", "a": 1}', ["opaque-value"]),
        ("a=1&client_secret=opaque&b=2", ["opaque"]),
        ("password='correct horse, battery' # mine", ["correct horse, battery"]),
        (f"{API_TOKEN} and {JWT}.", [API_TOKEN, JWT]),
        (f"token={API_TOKEN}", [API_TOKEN]),
        (f"password={API_TOKEN}!tail", [f"{API_TOKEN}!tail"]),
        (f"https://x-token-auth:{ACCESS_TOKEN}@h", [ACCESS_TOKEN]),
        # What begins inside another and goes on behind it is covered to its end.
        (
            "secret=x1y2z3-----BEGIN PRIVATE " + "KEY-----\nabc",
            ["x1y2z3-----BEGIN", " PRIVATE " + "KEY-----\nabc"],
        ),
        (f"k {in_base64('alice@example.com:opaque1')} k", [in_base64("alice@example.com:opaque1")]),
    ],
)
def test_only_the_secret_is_spanned(text: str, secrets: list[str]) -> None:
    assert [found for found, _ in spans(text)] == secrets


FRAGMENTS = st.sampled_from(
    [shape.example for shape in SHAPES]
    + [API_TOKEN, JWT, "token=", '"password": "', "://a:", "@", '"', " ", "Bearer ", "\\n", "%41"]
)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(FRAGMENTS, max_size=8))
def test_spans_are_in_order_and_apart(fragments: list[str]) -> None:
    text = "".join(fragments)
    done = 0
    for start, end, _ in find(text):
        assert done <= start < end <= len(text)
        done = end


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(FRAGMENTS, max_size=8))
def test_what_is_found_in_a_text_the_text_looks_like(fragments: list[str]) -> None:
    text = "".join(fragments)
    if spans(text):
        assert kind(text) is not None


@settings(deadline=None)  # a busy machine is no fault
@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    """Lone surrogates, controls and all."""
    list(shapes_in(text))
    list(find(text))


TOKENS = st.text("ABCDEFGHJKabcdefghjk0123456789_-", min_size=40, max_size=160).map(
    lambda rest: f"ATATT3xFfGF0{rest}"
)


@settings(deadline=None)  # a busy machine is no fault
@given(TOKENS, st.data())
def test_a_token_is_known_wherever_it_is_split(token: str, data: st.DataObject) -> None:
    """H-A2."""
    separator = data.draw(st.sampled_from(["''", '""', "\\", "`", " ", "\n  ", "\u200b"]))
    place = data.draw(st.integers(1, len(token) - 1))
    assert kind(token[:place] + separator + token[place:]) == "atlassian-api-token"


@settings(deadline=None)  # a busy machine is no fault
@given(TOKENS, st.binary(max_size=12), st.binary(max_size=12))
def test_a_token_is_known_at_any_place_in_base64(token: str, before: bytes, after: bytes) -> None:
    """H-A2."""
    encoded = base64.b64encode(before + b"|" + token.encode() + b"|" + after).decode()
    assert kind(encoded) is not None


@settings(deadline=None)  # a busy machine is no fault
@given(st.uuids())
def test_no_uuid_is_a_secret(value: object) -> None:
    assert kind(f"712020:{value}") is None


@settings(deadline=None)  # a busy machine is no fault
@given(st.binary(min_size=20, max_size=64))
def test_no_hash_is_a_secret(value: bytes) -> None:
    assert kind(value.hex()) is None


LONG = """
from guard.shapes import find, looks_like, mentions_secret, names_secret
parts = [
    ("eyJ", 250_000), ("eyJabcdef.", 50_000), ("ATATT", 50_000), ("token", 50_000),
    ("token=", 50_000), ("key_", 60_000), ("://a:", 100_000), ("a.b@c.", 50_000),
    ("-", 90_000), ("\\\\", 250_000), ("%25", 50_000), ("\\\\u", 50_000), ("&#x0", 50_000),
    ("basic ", 50_000), ("bearer ", 50_000), ("QUJD", 60_000), ("deadbeef", 50_000),
    ("-----BEGIN PRIVATE KEY-----", 20_000), ('"', 250_000), (" ", 250_000), ("\\x1b[", 50_000),
    ("sk-", 50_000), ("x.y(", 50_000), ("token-a", 50_000), ("aB", 50_000),
]
for part, times in parts:
    text = part * times
    looks_like(text)
    for _ in find(text):
        pass
    mentions_secret(text[:90_000]), names_secret(text[:90_000])
print("done")
"""


def test_long_texts_of_any_kind_take_no_more_than_their_length() -> None:
    """Two seconds of work; where it grew with the square of the length, minutes."""
    run = subprocess.run([sys.executable, "-c", LONG], capture_output=True, timeout=60, check=True)
    assert run.stdout == b"done\n"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "TOKEN",
        "ToKeN",
        "access_token",
        "accessToken",
        "accesstoken",
        "clientSecret",
        "Client-Secret",
        "API_KEY",
        "apikey",
        "X-Api-Key",
        "APIKey2",
        "db_password_prod",
        "DB_PASS",
        "GITHUB_PAT",
        "SECRET_KEY_BASE",
        "TWG_AUTH_STORAGE_KEY",
        "private_key",
        "passphrase",
        "device_code",
        "credentials",
        "client_assertion",
        "idJwt",
        "storage.key",
    ],
)
def test_it_names_a_secret(name: str) -> None:
    assert names_secret(name)
    assert mentions_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "key",
        "PATH",
        "PWD",
        "OLDPWD",
        "compat",
        "compass",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "XDG_SESSION_ID",
        "GPG_KEY",
        "tokens",
        "max_tokens",
        "TOKENIZERS_PARALLELISM",
        "secretary",
        "token_type",
        "tokenUrl",
        "client-id",
        "confidential",
        "publicKey",
        "user_code",
        "nextPageToken",
        "page_token",
        "pagetoken",
        "csrfToken",
    ],
)
def test_it_names_none(name: str) -> None:
    assert not names_secret(name)
    assert not mentions_secret(name)


@pytest.mark.parametrize("name", ["TOKEN_X_EU", "password-stdin", "PASSWORD_STORE", "secretName1"])
def test_it_mentions_one(name: str) -> None:
    assert not names_secret(name)
    assert mentions_secret(name)


@pytest.mark.parametrize("name", ["TOKEN_FILE", "token-endpoint", "secretName", "password_policy"])
def test_what_is_about_a_secret_is_none(name: str) -> None:
    assert not mentions_secret(name)
