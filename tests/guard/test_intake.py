"""No secret comes in by argument, environment or pipe, and what is turned away is not shown."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import os
import pickle
import socket
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guard.errors import SecretRefused
from guard.intake import (
    Finding,
    refuse_arguments,
    refuse_environment,
    refuse_stdin,
    secrets_in_environment,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
OWN_JWT = (  # {"iss": "https://auth.atlassian.com"} in the middle
    "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2F1dGguYXRsYXNzaWFuLmNvbSJ9.c2lnbmF0dXJlLXNpZw"
)
LOGIN = "YWxpY2VAZXhhbXBsZS5jb206b3BhcXVlMQ=="  # alice@example.com:opaque1
PLAIN = "hunter2-hunter2"
UUID = "b7a1c2d3-4e5f-6071-8293-a4b5c6d7e8f9"
FAMILIES = frozenset({"twg", "atlassian", "jira", "confluence", "bitbucket", "acli"})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def refused(*argv: str) -> SecretRefused:
    with pytest.raises(SecretRefused) as caught:
        refuse_arguments(argv)
    return caught.value


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["login", "--token", PLAIN], "--token"),
        (["--token", PLAIN, "login"], "--token"),
        (["login", f"--token={PLAIN}"], "--token"),
        (["login", f"--token:{PLAIN}"], "--token"),
        (["login", f"--token {PLAIN}"], "--token"),
        (["login", "--token"], "--token"),
        (["login", "--token="], "--token"),
        (["login", "--TOKEN", PLAIN], "--TOKEN"),
        (["login", "--ToKeN", PLAIN], "--ToKeN"),
        (["login", "-token", PLAIN], "-token"),
        (["login", "--api-key", PLAIN], "--api-key"),
        (["login", "--api_key", PLAIN], "--api_key"),
        (["login", "--apikey", PLAIN], "--apikey"),
        (["login", "--apiKey", PLAIN], "--apiKey"),
        (["login", "--password", PLAIN], "--password"),
        (["login", "--passwd", PLAIN], "--passwd"),
        (["login", "--pass", PLAIN], "--pass"),
        (["login", "--passphrase", PLAIN], "--passphrase"),
        (["login", "--client-secret", PLAIN], "--client-secret"),
        (["login", "--secret", PLAIN], "--secret"),
        (["login", "--pat", PLAIN], "--pat"),
        (["login", "--access-token", PLAIN], "--access-token"),
        (["login", "--refresh-token", PLAIN], "--refresh-token"),
        (["login", "--bitbucket-token", PLAIN], "--bitbucket-token"),
        (["login", "--credentials", PLAIN], "--credentials"),
        (["login", "--private-key", PLAIN], "--private-key"),
        (["login", "--with-token"], "--with-token"),
        (["login", "--tok", PLAIN], "--tok"),
        (["login", "--passw", PLAIN], "--passw"),
        (["login", "--secr", PLAIN], "--secr"),
        (["login", "--api-k", PLAIN], "--api-k"),
        (["login", "--client-s", PLAIN], "--client-s"),
        (["login", "--key", PLAIN], "--key"),
        (["login", "--admin-key", PLAIN], "--admin-key"),
        (["login", "--adminKey", PLAIN], "--adminKey"),
        (["login", "--org_keys", PLAIN], "--org_keys"),
        (["login", "--auth", PLAIN], "--auth"),
        (["login", "--authorization", PLAIN], "--authorization"),
        (["login", "--bearer", PLAIN], "--bearer"),
        (["login", "--cookie", PLAIN], "--cookie"),
        (["login", "--creds", PLAIN], "--creds"),
        (["login", "--code", PLAIN], "--code"),
        (["login", "--", "--token", PLAIN], "--token"),
        (["login", "-t", PLAIN], "-t"),
        (["login", f"-t{PLAIN}"], "-t"),
        (["login", f"-p{PLAIN}"], "-p"),
        (["login", "-p", PLAIN], "-p"),
        (["login", "-k", PLAIN], "-k"),
        (["api", "jira", "/", "-u", f"alice:{PLAIN}"], "-u"),
        (["api", "jira", "/", f"-ualice:{PLAIN}"], "-u"),
        (["api", "jira", "/", "--user", f"alice:{PLAIN}"], "--user"),
        (["api", "jira", "/", f"--user=alice:{PLAIN}"], "--user"),
        (["api", "jira", "/", "-F", f"token={PLAIN}"], "token"),
        (["api", "jira", "/", f"-Fpassword={PLAIN}"], "-Fpassword"),
        (["api", "jira", "/", f"--field=client_secret={PLAIN}"], "client_secret"),
        (["api", "jira", f"token={PLAIN}"], "token"),
        (["api", "jira", "token=x"], "token"),
        (["api", "jira", "/me?access_token=x"], "access_token"),
        (["api", "jira", "/me?a=b&apiKey=x"], "apiKey"),
        (["api", "jira", "/cb#access_token=x"], "access_token"),
        (["api", "jira", "/", "-H", f"Authorization: {PLAIN}"], "the Authorization header"),
        (["api", "jira", "/", f"-Hauthorization:{PLAIN}"], "the authorization header"),
        (["api", "jira", "/", f"--header=Cookie: a={PLAIN}"], "the Cookie header"),
        (["api", "jira", "/", "-H", "X-Api-Key: x"], "X-Api-Key"),
        (["api", "jira", "/", f"-H=Authorization:{PLAIN}"], "the Authorization header"),
        (["api", "jira", "/", f"--header=X-Auth: {PLAIN}"], "argument 4"),
        (["api", "jira", "/", "-H", f"X-Session-Id: {PLAIN}"], "argument 5"),
        (["login", f"alice:{PLAIN}@example.com"], "argument 2"),
        (["login", f"--email=alice:{PLAIN}@example.com"], "argument 2"),
        (["login", "https://q7Zr2Wm9kq7Zr2Wm9@bitbucket.org/w/r"], "argument 2"),
        (["api", "jira", f"Authorization: {PLAIN}"], "the Authorization header"),
        (["-H", "Authorization:", "Bearer", PLAIN], "the Authorization header"),
    ],
)
def test_what_is_named_like_a_secret_is_refused_and_named(argv: list[str], name: str) -> None:
    """H-A1."""
    error = refused(*argv)
    assert (error.way, error.name, error.looks_like) == ("argument", name, None)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["login", "--profile", TOKEN], "argument 3"),
        (["login", f"--profile={TOKEN}"], "--profile"),
        (["login", f"-v{TOKEN}"], "argument 2"),
        ([TOKEN], "argument 1"),
        (["login", "--email", f"alice@example.com:{TOKEN}"], "argument 3"),
        (["admin", "auth", "login", "--org", TOKEN], "argument 5"),
        (["login", "--", TOKEN], "argument 3"),
        (["api", "jira", f"/me?q={TOKEN}"], "argument 3"),
        (["api", "jira", f"https://x-token-auth:{TOKEN}@bitbucket.org/w/r"], "argument 3"),
        (["api", "jira", "/", "-f", f'body={{"a": "{TOKEN}"}}'], "argument 5"),
        (["api", "jira", "/", "-H", f"X: {TOKEN}"], "argument 5"),
        (["api", "jira", "".join(f"%{ord(c):02X}" for c in TOKEN)], "argument 3"),
        (["api", "jira", TOKEN[:5] + "'" + TOKEN[5:]], "argument 3"),
        (["api", "jira", encoded(encoded(TOKEN))], "argument 3"),
        (["api", "jira", encoded(TOKEN.encode().hex())], "argument 3"),
        (["api", "jira", TOKEN[:5] + " " + TOKEN[5:]], "argument 3"),
        (["api", "jira", f"@{TOKEN}"], "argument 3"),
        (["api", "jira", TOKEN[:9], TOKEN[9:]], "the command line"),
        (["api", "jira", f"--{TOKEN}=x"], "argument 3"),
    ],
)
def test_what_looks_like_a_secret_is_refused_anywhere(argv: list[str], name: str) -> None:
    """H-A2."""
    error = refused(*argv)
    assert (error.way, error.name) == ("argument", name)
    assert error.looks_like == "an Atlassian API token"


@pytest.mark.parametrize(
    ("argv", "looks_like"),
    [
        (["login", "--token", TOKEN], "an Atlassian API token"),
        (["login", f"--token={TOKEN}"], "an Atlassian API token"),
        (["login", f"-t{TOKEN}"], "an Atlassian API token"),
        (["login", "--password", "opaque"], None),
        (["login", LOGIN], "an e-mail address and its token in base64"),
        (["-H", "Basic", LOGIN], "an e-mail address and its token in base64"),
        (["Authorization:", "Basic", "YWxpY2U6aHVudGVyMg=="], "a login for HTTP Basic "),
        (["login", "https://a:b@example.com"], "credentials in a URL"),
        (["login", "://:x@"], "credentials in a URL"),
        (["login", JWT], "a JSON web token"),
    ],
)
def test_it_says_what_the_value_looks_like(argv: list[str], looks_like: str | None) -> None:
    found = refused(*argv).looks_like
    assert (found or "").startswith(looks_like or "")
    assert bool(found) == bool(looks_like)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--version"],
        ["login", "--profile", "work", "--no-browser", "-v"],
        ["login", "--site", "one.atlassian.net", "-o", "json"],
        ["provider", "add", "acme", "--issuer", "https://auth.example.com", "--confidential"],
        ["provider", "add", "acme", "--client-id", "0oa1bcdEFGHijkLMN2p3", "--scope", "read:me"],
        ["provider", "add", "acme", "--endpoint", "token=https://auth.example.com/oauth/token"],
        ["provider", "add", "acme", "--endpoint=token=https://auth.example.com/oauth/token"],
        ["provider", "add", "acme", "--endpoint=revocation=https://auth.example.com/revoke"],
        ["provider", "add", "acme", "--redirect-uri", "http://127.0.0.1:8123/callback"],
        ["admin", "auth", "login", "--email", "alice@example.com", "--org", UUID],
        ["setup", "bitbucket", "--force", "--no-bitbucket", "--sandbox"],
        ["auth", "storage", "keyring"],
        ["policy", "grant", "write", "--for", "1h", "--project", "HAR", "--max", "5"],
        ["api", "jira", "/rest/api/3/myself?fields=summary,status", "-X", "GET", "-oJSON"],
        ["api", "jira", "/rest/api/3/search", "-F", "jql=project = HAR", "-f", "k=v", "--paginate"],
        ["api", "jira", "/rest/api/3/search?nextPageToken=CAEaAggDIgQIARAC&startAt=50"],
        ["api", "jira", "/", "-F", "nextPageToken=CAEaAggDIgQIARAC", "-FpageToken=abc"],
        ["api", "confluence", "/wiki/api/v2/pages?cursor=eyJpZCI6IjEyMzQ1IiwiYSI6ImlkIn0="],
        ["api", "jira", "/", "-H", "Accept: application/json", "-HX-Atlassian-Token: no-check"],
        ["api", "jira", "/", "-H", "X-Atlassian-Token: no-check", "--include"],
        ["api", "jira", "/", "-F", "key=HAR-1", "-F", "projectKey=HAR", "-f", "body=@page.json"],
        ["api", "jira", "/", "--input", "-", "--query", "issues[].key"],
        ["api", "jira", f"/rest/api/3/user?accountId=712020:{UUID}", "--user", f"712020:{UUID}"],
        ["api", "graphql", "query { me { user { accountId } } }", "-f", "password_hint="],
        ["api", "jira", "/", "-fpassword_hint=none", "-f", "summary=Password:", "reset2024"],
        ["search", "password", "token", "secret"],
        ["feedback", "token: it is not asked for"],
        ["feedback", "see https://alice-and-bob-2024@bitbucket.org/w/r, git@bitbucket.org:w/r.git"],
        ["feedback", "alice:bobby@example.com wrote at 12:30@home.example.com"],
        ["api", "jira", "/", "--issue-key", "HAR-1", "--project-key=HAR", "--public-key", "x"],
        ["api", "jira", "/", "-H", "Idempotency-Key: 7", "-H", "X-Author: alice"],
        ["api", "jira", "/", "-H=Accept: text/html", "--turkey", "--authors", "--basic"],
        ["api", "jira", "/", "-F", "code=200", "-F", "session=spring", "keyring", "file"],
        ["feedback", "the token prompt: 3 of 5 people do not see it"],
        ["login", "--", "@words.txt"],
        ["guard", "scan", "@types/node", "/home/alice/.bash_history"],
        ["sandbox", "start", "--port", "8080", "--ttl", "60", "--fault", "slow"],
        ["-", "--", "---", "", " ", "-o"],
    ],
)
def test_ordinary_words_pass(argv: list[str]) -> None:
    refuse_arguments(argv)


def test_a_file_of_arguments_is_a_word_and_not_opened(tmp_path: Path) -> None:
    """H-A5: opening the pipe that stands there would wait for ever."""
    os.mkfifo(tmp_path / "words")
    refuse_arguments(["login", f"@{tmp_path}/words"])


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["login", f"--token-{PLAIN}"], "argument 2"),
        (["login", f"--{PLAIN}-token1"], "argument 2"),
        (["login", f"\u2013token={PLAIN}"], "argument 2"),
        (["login", "--token-" + "x" * 400], "argument 2"),
        (["login", "--password-stdin"], "argument 2"),
        (["api", f"{PLAIN}.token=x"], "argument 2"),
        (["api", "jira", "-H", "X-Token-Hunter: x"], "argument 4"),
        (["login", "--ATATTabcdefghijklmnopqrst-token"], "argument 2"),
    ],
)
def test_a_name_that_could_hold_a_secret_is_not_shown(argv: list[str], name: str) -> None:
    """H-A1."""
    assert refused(*argv).name == name


@pytest.mark.parametrize(
    "argv",
    [
        ["login", "--token", PLAIN],
        ["login", f"--token={PLAIN}"],
        ["login", f"-p{PLAIN}"],
        ["login", f"--profile={TOKEN}"],
        ["login", TOKEN],
        ["-u", f"alice:{PLAIN}"],
        ["-H", f"Authorization: {PLAIN}"],
        ["login", TOKEN[:9], TOKEN[9:]],
    ],
)
def test_no_value_is_in_the_error_or_in_its_traceback(argv: list[str]) -> None:
    """H-A1, H-A2: the guard's own frames hold nothing either."""
    error = refused(*argv)
    assert error.__cause__ is None
    assert error.__context__ is None
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    frames = [frame for frame in stack if Path(frame.filename).parent.name == "guard"]
    shown = [str(error), repr(error), repr(error.args), repr(vars(error)), error.remedy]
    shown += [str(frame.locals) for frame in frames if "tests" not in frame.filename]
    assert frames
    for secret in (PLAIN, TOKEN, TOKEN[:9], TOKEN[9:]):
        assert not any(secret in text for text in shown)


EXPOSED: list[tuple[list[str], list[str]]] = [
    (["login", "--token", PLAIN], [PLAIN]),
    (["login", f"--token={PLAIN}"], [PLAIN, f"--token={PLAIN}"]),
    (["login", f"-p{PLAIN}"], [PLAIN, f"-p{PLAIN}"]),
    (["--token", "-" + PLAIN], ["-" + PLAIN]),
    (["login", f"--token-{PLAIN}"], [f"--token-{PLAIN}"]),
    (["login", f"--profile={TOKEN}"], [TOKEN, f"--profile={TOKEN}"]),
    (["-u", f"alice:{PLAIN}"], [PLAIN, f"alice:{PLAIN}"]),
    (["login", f"alice:{PLAIN}@example.com"], [PLAIN, f"alice:{PLAIN}@example.com"]),
    (["login", "--key", PLAIN], [PLAIN]),
    (["-H", f"Authorization: Bearer {PLAIN}"], [PLAIN, f"Bearer {PLAIN}"]),
    (["-H", f"X-Api-Key: {PLAIN}"], [PLAIN]),
    (["api", "jira", f"/me?a=b&token={PLAIN}&x=1"], [PLAIN, f"/me?a=b&token={PLAIN}&x=1"]),
    (["api", "jira", "/", "-F", f"token={PLAIN}"], [PLAIN, f"token={PLAIN}"]),
    (["api", "jira", f"https://x:{PLAIN}@h/"], [PLAIN, f"https://x:{PLAIN}@h/"]),
    (["login", LOGIN], [LOGIN]),
    (["api", TOKEN[:9], TOKEN[9:], "jira"], [f"{TOKEN[:9]} {TOKEN[9:]}", TOKEN[:9], TOKEN[9:]]),
    (["Authorization:", "Bearer", PLAIN, "jira"], [PLAIN]),
    (["-H", "cookie:", PLAIN, "jira"], [PLAIN]),
    (["login", "--token", PLAIN, "--password", "a-second-one"], [PLAIN, "a-second-one"]),
    # What stands behind the name is another option, or nothing, or too short to be looked for.
    (["login", "--with-token", "--profile", "work"], []),
    (["login", "--password-stdin"], []),
    (["login", "--token"], []),
    (["login", "-p", "x"], []),
]


@pytest.mark.parametrize(("argv", "exposed"), EXPOSED)
def test_a_refusal_holds_what_is_to_be_cleaned_up_after(
    argv: list[str], exposed: list[str]
) -> None:
    """H-A7: the secret as far as it can be told, and the words that hold one; no bystander."""
    found = [value.reveal("compare in a test") for value in refused(*argv).values]
    assert [each for each in exposed if each not in found] == []
    assert len(found) == len(set(found))
    bystanders = {"login", "jira", "api", "work", "Bearer", "--token", "--profile", "alice"}
    assert not bystanders & set(found)
    assert exposed or not found


def test_a_refused_environment_is_held_too() -> None:
    with pytest.raises(SecretRefused) as caught:
        refuse_environment({"TWG_TOKEN": PLAIN, "NOTE": f"Bearer {JWT}"}, families=FAMILIES)
    found = {value.reveal("compare in a test") for value in caught.value.values}
    assert found == {PLAIN, JWT, f"Bearer {JWT}"}


def test_nothing_written_of_a_refusal_has_its_values() -> None:
    """H-A1: no words, no pickle, no copy; JSON is refused."""
    error = refused("login", f"--token={TOKEN}")
    assert error.values
    kinds = {value.kind for value in error.values}
    assert kinds == {"atlassian-api-token"}
    written = [str(error), repr(error), repr(error.args), f"{vars(error)}", repr(error.values)]
    again = [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]  # noqa: S301 - its own
    assert all(str(one) == str(error) and one.values == () for one in again)
    assert not any(TOKEN in text for text in written)
    with pytest.raises(TypeError):
        json.dumps(vars(error))


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.text(st.characters(codec=None), max_size=30), max_size=4))
def test_any_words_are_looked_at_without_a_fault(argv: list[str]) -> None:
    """NUL and what cannot be decoded included."""
    with contextlib.suppress(SecretRefused):
        refuse_arguments(argv)


TOKENS = st.text("ABCDEFGHJKabcdefghjk0123456789_-", min_size=40, max_size=120).map(
    lambda rest: f"ATATT3xFfGF0{rest}"
)
WORDS = st.sampled_from(["api", "jira", "/rest/api/3/myself", "--site", "-o", "json", "--", "a=b"])
WRAPPED: dict[str, Callable[[str], str]] = {
    "plain": str,
    "option": "--site={}".format,
    "short option": "-X{}".format,
    "field": "k={}".format,
    "query": "/me?a=b&q={}&c=d".format,
    "path": "/rest/{}/x".format,
    "url": "https://x-token-auth:{}@bitbucket.org/w/r".format,
    "json": '{{"a": ["{}"]}}'.format,
    "file": "@{}".format,
    "percent": lambda token: "".join(f"%{ord(each):02x}" for each in token),
    "escapes": lambda token: "".join(f"\\u{ord(each):04x}" for each in token),
    "entities": lambda token: "".join(f"&#{ord(each)};" for each in token),
    "base64": encoded,
    "base64 of a login": lambda token: encoded(f"alice@example.com:{token}"),
    "hex": lambda token: token.encode().hex(),
    "quotes": lambda token: f"{token[:7]}''{token[7:]}",
    "no width": "\u200b".join,
}


@settings(deadline=None)  # a busy machine is no fault
@given(
    TOKENS, st.sampled_from([*WRAPPED]), st.lists(WORDS, max_size=4), st.lists(WORDS, max_size=4)
)
def test_a_token_is_refused_in_any_wrapping_among_any_words(
    token: str, how: str, before: list[str], behind: list[str]
) -> None:
    """H-A2: the word is held, and nothing of it is told."""
    word = WRAPPED[how](token)
    error = refused(*before, word, *behind)
    held = [value.reveal("compare in a test") for value in error.values]
    assert any(each in word and len(each) >= len(token) for each in held)
    told = f"{error} {error!r} {error.remedy}"
    assert not any(token[start : start + 8] in told for start in range(len(token) - 8))


def test_words_that_cannot_be_decoded_hide_nothing() -> None:
    """H-A2."""
    undecodable = os.fsdecode(b"\xff\xfe")
    refuse_arguments([undecodable, "a\0b"])
    assert refused(f"{undecodable}{TOKEN}").name == "argument 1"
    assert refused(f"--token{undecodable}").name == "--token"


def found(environ: dict[str, str]) -> list[str]:
    return [finding.name for finding in secrets_in_environment(environ, families=FAMILIES)]


@pytest.mark.parametrize(
    "name",
    [
        "TWG_TOKEN",
        "TWG_BBC_TOKEN",
        "TWG_OAUTH_ACCESS_TOKEN",
        "TWG_AUTH_STORAGE_KEY",
        "ATLASSIAN_API_TOKEN",
        "ATLASSIAN_ADMIN_API_KEY",
        "ATLASSIAN_CLIENT_SECRET",
        "JIRA_API_TOKEN",
        "JIRA_PAT",
        "JIRA_TOKEN_PROD",
        "CONFLUENCE_API_TOKEN",
        "BITBUCKET_TOKEN",
        "BITBUCKET_APP_PASSWORD",
        "MY_JIRA_PASSWORD",
        "twg_token",
        "Twg_Token",
        "tWg_ToKeN",
        "TWGTOKEN",
        "jiraApiToken",
    ],
)
def test_a_variable_named_like_one_of_our_secrets_is_found(name: str) -> None:
    """H-A4."""
    assert secrets_in_environment({name: "x"}, families=FAMILIES) == (Finding(name),)
    assert found({name: ""}) == []
    assert found({name: " "}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTE", TOKEN),
        ("GITHUB_TOKEN", TOKEN),
        ("TWG_PROFILE", TOKEN),
        ("ORIGIN", f"https://x-token-auth:{TOKEN}@bitbucket.org/w/r"),
        ("ORIGIN", "https://x-token-auth:opaque@bitbucket.org/w/r"),
        ("NOTE", f"'{TOKEN[:7]}' '{TOKEN[7:]}'"),
        ("NOTE", "".join(f"%{ord(c):02x}" for c in TOKEN)),
        ("NOTE", JWT),
        ("NOTE", f"Bearer {PLAIN}-{PLAIN}"),
        ("NOTE", LOGIN),
        ("NOTE", f"Basic {LOGIN}"),
        ("GITHUB_TOKEN", OWN_JWT),
        ("TWG_SETTINGS", f'{{"token": "{PLAIN}"}}'),
        ("JIRA_JAVA_OPTS", f"-Dpassword={PLAIN}"),
    ],
)
def test_a_value_like_one_of_our_secrets_is_found_under_any_name(name: str, value: str) -> None:
    """H-A4."""
    (finding,) = secrets_in_environment({name: value}, families=FAMILIES)
    assert finding.name == name
    assert finding.looks_like


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_TOKEN", "ghp_" + "a1B2c3D4e5" * 4),
        ("HOMEBREW_GITHUB_API_TOKEN", "ghp_" + "a1B2c3D4e5" * 4),
        ("NOTE", "ghp_" + "a1B2c3D4e5" * 4),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCY"),
        ("NPM_TOKEN", "npm_" + "a1B2c3D4e5" * 4),
        ("OPENAI_API_KEY", "sk-proj-" + "a1B2c3D4e5" * 4),
        ("ANTHROPIC_API_KEY", "sk-ant-api03-" + "a1B2c3D4e5" * 4),
        ("SSH_AUTH_SOCK", "/run/user/1000/agent.1"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus"),
        ("PASSWORD_STORE_DIR", "/home/alice/.password-store"),
        ("CI_JOB_JWT", JWT),
        ("CI_JOB", JWT),
        ("KUBERNETES_SERVICE_HOST", JWT),
        ("SUPABASE_ANON_KEY", JWT),
        ("SUPABASE_TOKEN", JWT),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", JWT),
        ("DATABASE_URL", "postgres://app:s3cr3t@db.example/app"),
        ("JAVA_OPTS", "-Dpassword=opaque1"),
        ("MY_TOKEN", PLAIN),
        ("PATH", "/usr/local/bin:/usr/bin"),
        ("PWD", "/home/alice/twg"),
        ("TWG_CONFIG_DIR", "/home/alice/.config/twg"),
        ("TWG_AGENT", "1"),
        ("JIRA_URL", "https://one.atlassian.net"),
        ("JIRA_API_TOKEN_FILE", "/run/secrets/jira"),
        ("ATLASSIAN_CLIENT_ID", "0oa1bcdEFGHijkLMN2p3"),
        ("LS_COLORS", "rs=0:di=01;34:ln=01;36:*.tar=01;31:*.key=00;33"),
    ],
)
def test_what_is_other_programs_business_is_left_alone(name: str, value: str) -> None:
    assert found({name: value}) == []


def test_without_families_only_what_could_be_anybodys_counts() -> None:
    environ = {"TWG_TOKEN": PLAIN, "JIRA": TOKEN, "NOTE": JWT}
    assert [finding.name for finding in secrets_in_environment(environ)] == ["NOTE"]


def test_a_variable_whose_name_is_a_secret_is_not_named() -> None:
    """H-A4."""
    with pytest.raises(SecretRefused) as caught:
        refuse_environment({TOKEN[:40]: TOKEN}, families=FAMILIES)
    assert TOKEN[:20] not in f"{caught.value} {caught.value.remedy}"
    assert "unset" not in caught.value.remedy


def test_an_environment_with_a_secret_is_refused_by_the_variables_name() -> None:
    """H-A4."""
    with pytest.raises(SecretRefused) as caught:
        refuse_environment({"HOME": "/", "TWG_TOKEN": TOKEN}, families=FAMILIES)
    error = caught.value
    assert (error.way, error.name) == ("environment", "TWG_TOKEN")
    assert error.looks_like == "an Atlassian API token"
    assert "`unset TWG_TOKEN`" in error.remedy
    stack = traceback.TracebackException.from_exception(error, capture_locals=True).stack
    assert TOKEN not in f"{error} {error.remedy} {error.args} {stack[-1].locals}"


def test_an_environment_without_one_passes() -> None:
    refuse_environment({"HOME": "/", "GITHUB_TOKEN": "x"}, families=FAMILIES)


def test_a_pipe_is_refused_and_nothing_of_it_read() -> None:
    """H-A3."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb") as end:
        end.write(PLAIN.encode())
        end.flush()
        with pytest.raises(SecretRefused) as caught:
            refuse_stdin(pipe.fileno())
        assert caught.value.way == "stdin"
        assert os.read(pipe.fileno(), 100) == PLAIN.encode()


def test_a_file_is_refused_and_nothing_of_it_read(tmp_path: Path) -> None:
    """H-A3."""
    (tmp_path / "token").write_text(PLAIN)
    with (tmp_path / "token").open("rb") as file:
        with pytest.raises(SecretRefused):
            refuse_stdin(file.fileno())
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0


def test_a_socket_is_refused_and_nothing_of_it_read() -> None:
    """H-A3."""
    near, far = socket.socketpair()
    with near, far:
        far.send(PLAIN.encode())
        with pytest.raises(SecretRefused):
            refuse_stdin(near.fileno())
        assert near.recv(100) == PLAIN.encode()


def test_another_device_is_refused() -> None:
    """H-A3."""
    with Path("/dev/zero").open("rb") as device, pytest.raises(SecretRefused):
        refuse_stdin(device.fileno())


def test_the_null_device_by_another_name_passes(tmp_path: Path) -> None:
    """H-A3: what counts is the device, not the path it was opened by."""
    (tmp_path / "link").symlink_to(os.devnull)
    with (tmp_path / "link").open("rb") as null:
        refuse_stdin(null.fileno())


def test_a_terminal_passes() -> None:
    """H-A3."""
    master, slave = os.openpty()
    refuse_stdin(slave)
    os.close(master)
    os.close(slave)


def test_a_closed_descriptor_passes() -> None:
    """H-A3."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    refuse_stdin(reading)


PROGRAM = """
import os, sys
from guard.errors import SecretRefused
from guard.intake import refuse_stdin
if sys.argv[1:]:
    os.open(sys.argv[1], os.O_RDONLY)
try:
    refuse_stdin()
except SecretRefused as error:
    print(error.name)
else:
    print("passed")
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("{} <<END\nhunter2\nEND\n", "standard input"),
        ("{} </dev/zero", "standard input"),
        ("echo hunter2 | {}", "standard input"),
        ("{} </dev/null", "passed"),
        ("{} <&-", "passed"),
        # A file of the program's own has got the free number.
        ("{} /etc/passwd <&-", "passed"),
    ],
)
def test_standard_input_as_shells_give_it(words: str, expected: str) -> None:
    """H-A3."""
    command = words.format('"$python" -c "$program"')
    environ = {"python": sys.executable, "program": PROGRAM, "PATH": os.defpath}
    run = subprocess.run(
        ["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"{expected}\n"


HEAVY = {"ctypes", "subprocess", "pathlib", "urllib.parse", "asyncio", "base64", "tempfile"}


def test_the_door_is_light_to_import() -> None:
    """Every command pays for it before anything else."""
    program = "import sys, guard.intake, guard.process; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = ['.']; {program}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "guard.intake" in run.stdout.split()
    assert not HEAVY & set(run.stdout.split())
