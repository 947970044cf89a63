"""What secrets look like: one table of shapes, and what finds them in a text however disguised.

Built for few false alarms: commit hashes, UUIDs, account ids, cursors, addresses and code are none.
What this does not know: a secret without a prefix, a name or a login around it looks like a word.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_LARGE: Final = 1 << 13
_LARGE_ENOUGH: Final = 1 << 8


class Shape(NamedTuple):
    """What one kind of secret looks like.

    Attributes:
        name: What it is, in words that fit behind "it looks like".
        kind: The same in words joined by dashes, for marks and records.
        pattern: Matches it; a group ``secret`` is its secret part, else all of it is.
        example: A made-up one.
        source: Where the shape is described.
        issuer: Whose it is, in one lower-case word; ``""`` where anybody's look so.
        hints: Lower-case texts, one of which is in every text that holds it; none if nothing is.
        proof: What a match must pass besides.
        bare: It needs no blank and no quote, so it is known where those were taken out.
        begins: It begins with one of its hints.
        sketch: What is in every text that holds it, as RE2 has it, where the hints are in too many.
    """

    name: str
    kind: str
    pattern: str
    example: str
    source: str
    issuer: str = ""
    hints: tuple[str, ...] = ()
    proof: Callable[[re.Match[str]], bool] | None = None
    bare: bool = True
    begins: bool = True
    sketch: str = ""

    def matches(self, text: str, lower: str) -> Iterator[re.Match[str]]:
        """Yield its matches in `text`, which is `lower` in lower case."""
        pattern = _compiled(self.pattern)
        if self.hints and self.begins and len(lower) == len(text):
            found = _matches_at(pattern, text, _places(lower, self.hints))
        else:
            found = pattern.finditer(text)
        for match in found:
            if self.proof is None or self.proof(match):
                yield match


def looks_like(text: str) -> Shape | None:
    """Return the shape of a secret that `text` holds, as it stands or in disguise; else None.

    Disguises that are undone: percent-encoding and numeric escapes (up to three times), quotes,
    backslashes, invisible characters or blanks in between, and base64 or hexadecimal around it.
    """
    return next(shapes_in(text), None)


def shapes_in(text: str) -> Iterator[Shape]:
    """Yield every shape that `text` holds, as it stands or in disguise; some more than once."""
    # What is an escape in one language splits a secret in another, so both are tried.
    for plain in dict.fromkeys((text, _unescaped(text))):
        unquoted = _without_noise(plain)
        for reading in dict.fromkeys((plain, unquoted)):
            yield from (shape for shape, _ in _found(reading))
        yield from _shapes_in_joined("".join(unquoted.split()))


def find(text: str) -> Iterator[tuple[int, int, Shape]]:
    """Yield start, end and shape of each secret in `text` as it stands, in order, none overlapping.

    Only the secret itself is spanned: of ``name=value`` the value, of ``Bearer x`` the ``x``, of
    credentials in a URL the password.
    """
    spans = [(*_secret_span(match), shape) for shape, match in _found(text)]
    done = 0
    for start, end, shape in sorted(spans, key=lambda span: (span[0], -span[1])):
        if end > done:
            yield max(start, done), end, shape
            done = end


def is_large(text: str) -> bool:
    """Tell whether a text is worth to be asked first, of RE2, for what it may hold at all."""
    # To import that takes longer than to look closely at a few small ones.
    return len(text) >= (_LARGE_ENOUGH if "re2" in sys.modules else _LARGE)


def names_secret(name: str) -> bool:
    """Tell whether what is called `name` is a secret: ``client_secret``, ``apiKey2``, ``--token``.

    What only has to do with one is not (``token_type``, ``max_tokens``), nor is a page's cursor
    (``nextPageToken``): it opens nothing without a credential.
    """
    return _is_named(name, _NAME_ENDS, _CURSOR)


def mentions_secret(name: str) -> bool:
    """Tell the same of `name` less strictly: words may follow (``TOKEN_OLD``, ``password-stdin``).

    Not so if they say that it is something about the secret (``token-endpoint``, ``TOKEN_FILE``).
    """
    return _is_named(name, _NAME_HAS, f"{_CURSOR}|{_ABOUT}")


def decodings(text: str) -> Iterator[str]:
    """Yield what the base64 and hexadecimal runs in `text` hold; most of it is noise.

    A run of base64 is read from each of its first four characters on: a path or a word may be glued
    to its front, for ``/`` and letters are base64 as well.
    """
    if len(text) < _SHORTEST_RUN:
        return
    runs = _compiled(_BASE64_RUN).findall(text)
    for start in range(4):
        yield "\n".join(_unbase64(run[start:]) for run in runs)
    yield "\n".join(
        bytes.fromhex(run).decode("latin-1") for run in _compiled(_HEX_RUN).findall(text)
    )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@cache
def _hints() -> tuple[tuple[str, int], ...]:
    return tuple((hint, nth) for nth, shape in enumerate(SHAPES) for hint in shape.hints)


@cache
def _hintless() -> tuple[int, ...]:
    return tuple(nth for nth, shape in enumerate(SHAPES) if not shape.hints)


def _found(text: str, *, bare: bool = False) -> Iterator[tuple[Shape, re.Match[str]]]:
    # Looking for the hints is a hundred times faster than the pattern, and most texts have none.
    lower = text.lower()
    hinted = _hinted(text, lower)
    for nth, shape in enumerate(SHAPES):
        if nth in hinted and (shape.bare or not bare):
            for match in shape.matches(text, lower):
                yield shape, match


def _hinted(text: str, lower: str) -> set[int]:
    """Return which shapes a text may hold, which is `lower` in lower case."""
    if is_large(text):
        from guard.sieve import among, may_hold  # noqa: PLC0415 - only for large texts

        words, shapes = zip(*_hints(), strict=True)
        found = among(words, text)
        if found is not None:
            hintless = _hintless() if may_hold(text, _TEXT_IN_BASE64) else ()
            return {*hintless, *(shapes[each] for each in found)}
    hintless = _hintless() if len(text) >= _SHORTEST_RUN else ()
    return {*hintless, *(nth for hint, nth in _hints() if hint in lower)}


def _places(text: str, words: tuple[str, ...]) -> list[int]:
    places = []
    for word in words:
        at = text.find(word)
        while at >= 0:
            places.append(at)
            at = text.find(word, at + 1)
    return sorted(places)


def _matches_at(pattern: re.Pattern[str], text: str, places: list[int]) -> Iterator[re.Match[str]]:
    """Yield the matches that begin at `places`, none overlapping: as `finditer`, but faster."""
    done = 0
    for at in places:
        if at >= done and (match := pattern.match(text, at)):
            done = match.end()
            yield match


def _shapes_in_joined(text: str) -> Iterator[Shape]:
    # Prose without its blanks is one long word, so only what is mixed as no words are is believed.
    yield from (shape for shape, match in _found(text, bare=True) if _is_mixed(match.group()))
    for decoded in decodings(text):
        yield from (shape for shape, _ in _found(decoded))


def _secret_span(match: re.Match[str]) -> tuple[int, int]:
    return match.span("secret" if "secret" in match.re.groupindex else 0)


# Names

_TELLING: Final = (
    r"(?:token|secret|passw(?:or)?d|pass-?phrase|pass-?code|credentials?|jsessionid"
    r"|(?:api|access|private|secret|signing|encryption|storage|auth|master|sealing|shared|account)"
    r"-?key|device-?code|code-?verifier|client-?assertion|(?<![a-z])(?:pat|pass|pwd|jwt))"
)
# One of these is in all that the pattern finds; to compile it takes longer than to look for them.
_TELLING_WORDS: Final = (
    *("token", "secret", "pass", "credential", "session", "key", "code", "assertion"),
    *("pat", "pwd", "jwt"),
)
_NAME_HAS: Final = rf"{_TELLING}(?=-|$)"
_NAME_ENDS: Final = (
    rf"{_TELLING}(?:-(?:\d+|[a-z]|base|value|plain|text|prod|production|dev|development|test"
    r"|testing|staging|live|old|new|current|primary|secondary|default))*$"
)
_CURSOR: Final = (
    r"(?:page|next|continuation|continue|resume|cursor|pagination|sync|cancell?(?:ation)?|csrf"
    r"|xsrf|forgery|atl|x-atlassian|bos|eos|pad|unk|stop)-?token$"
)
_ABOUT: Final = (
    r"-(?:url|uri|endpoint|host|type|ttl|lifetime|expiry|expires|expiration|in|at|count|limit"
    r"|length|method|scopes?|ids?|names?|file|path|dir|directory|policy)$"
)


def _is_named(name: str, telling: str, but: str) -> bool:
    if name == "PWD":  # every shell's working directory
        return False
    if not any(word in name.lower() for word in _TELLING_WORDS):
        return False
    spellings = _spellings(name)
    return any(_compiled(telling).search(each) for each in spellings) and not any(
        _compiled(but).search(each) for each in spellings
    )


def _spellings(name: str) -> tuple[str, str]:
    """Return a name as lower-case words joined by dashes: with camel humps split, and without."""
    humps = _compiled(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+").findall(name)
    flat = _compiled(r"[a-z]+|[0-9]+").findall(name.lower())
    return "-".join(humps).lower(), "-".join(flat)


# Disguises

# Quotes that are joined by a plus, as in program text; quotes, escapes and what is not seen.
_NOISE: Final = (
    "[\"']\\s{0,8}\\+\\s{0,8}[\"']|[\"'`\\\\]|[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
    "|\x1b\\[[0-9;]{0,16}[A-Za-z]"
)
_ASCII_NOISE: Final = "\"'`\\\x1b"
_ESCAPE: Final = (
    r"(?:%|\\x)([0-9A-Fa-f]{2})|\\[uU]\{?(?:0000)?([0-9A-Fa-f]{4})\}?"
    r"|&#[xX]0{0,4}([0-9A-Fa-f]{1,4});|&#0{0,4}([0-9]{1,4});"
)
_BASE64_RUN: Final = r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,}+"
_SHORTEST_RUN: Final = 16
_HEX_RUN: Final = r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{2}){16,}+"
_MOST_LAYERS: Final = 3


def _without_noise(text: str) -> str:
    # What most words are; to compile the pattern takes longer than all else that is done to them.
    if text.isascii() and not any(mark in text for mark in _ASCII_NOISE):
        return text
    return _compiled(_NOISE).sub("", text)


def _unescaped(text: str) -> str:
    for _ in range(_MOST_LAYERS):
        if not any(mark in text for mark in ("%", "\\", "&#")):
            break
        text = _compiled(_ESCAPE).sub(_character, text)
    return text


def _character(escape: re.Match[str]) -> str:
    group = escape.lastindex or 0
    decimal = group == _compiled(_ESCAPE).groups
    return chr(int(escape[group], 10 if decimal else 16))


def _unbase64(run: str) -> str:
    from binascii import a2b_base64  # noqa: PLC0415 - light, but rarely needed

    run = run.replace("-", "+").replace("_", "/")
    run = run[: len(run) - (len(run) % 4 == 1)]
    data = a2b_base64(run + "=" * (-len(run) % 4))
    # UTF-16, as some shells encode it, is ASCII with zeros between.
    return data.decode("latin-1").replace("\0", "")


# Proofs


def _is_mixed(value: str) -> bool:
    """Tell whether `value` is no run of words: two digits at least, and letters of both cases."""
    digits = sum(character.isdigit() for character in value)
    return digits >= 2 and value.lower() != value != value.upper()  # noqa: PLR2004 - as said


_SHORTEST: Final = 6
_PLACEHOLDER: Final = (
    # A reference, a mark or a call in some language; a path or an address; one character repeated.
    r"\$[\w{(]|%\w+%|@\w|[‹«<{\[(]|\\u2039|\.\.|(?:~|\.\.?)?/[\w.-]+/|[a-z][a-z0-9+.-]{1,20}://"
    r"|(.)\1*$|#[0-9A-Fa-f]{3,8}$|[0-9]{1,7}$"
    r"|[A-Za-z_][\w.]{0,80}[(\[]|[A-Za-z_]{1,40}(?:\.[A-Za-z_]{1,40})+$"
    # A name of the thing instead of the thing.
    r"|(?i:[a-z_-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|key|credentials?)"
    r"(?:[_-][a-z_-]{1,40})?$"
    r"|(?:none|null|true|false|undefined|string|required|optional|redacted|hidden|masked|changeme"
    r"|no-?check|placeholder|example|default|disabled|enabled|include|omit|same-origin|prompt"
    r"|bearer|basic"
    r"|geheim\$parole)$)"  # Python's own example, in urllib
)


def _is_placeholder(value: str) -> bool:
    return bool(_compiled(_PLACEHOLDER).match(value))


def _is_bearer(match: re.Match[str]) -> bool:
    value = match["secret"]
    words = value.islower() or value.isupper() or value.istitle()
    return (_has_digit(value) or not words) and not _is_placeholder(value)


def _is_login(match: re.Match[str]) -> bool:
    try:
        decoded = _unbase64(match["secret"].rstrip("=")).encode("latin-1").decode()
    except UnicodeDecodeError:
        return False
    return decoded.isprintable() and ":" in decoded[:-1]


# Twelve printable characters; hardly anything that is not base64 of a text looks so.
_TEXT_IN_BASE64: Final = (
    "(?:[I-Za-f][C-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){4}"
)


def _is_email_login(match: re.Match[str]) -> bool:
    pattern = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}:[!-~]{6}"
    run = match["secret"].rstrip("=")
    if not _compiled(_TEXT_IN_BASE64).search(run):
        return False
    starts = range(4 if "/" in run else 1)  # a path may be glued to its front
    decoded = (_unbase64(run[start:]) for start in starts)
    return any("@" in text and _compiled(pattern).search(text) for text in decoded)


def _is_password(match: re.Match[str]) -> bool:
    return not _compiled(r"\$[\w{(]|[<{]|\*+$|%s$").match(match["secret"])


def _is_pair(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 64) : match.start()]
    begun = _compiled(r"[A-Za-z0-9_.-]*$").search(before)
    name = (begun.group() if begun else "") + match["name"]
    value = match["secret"].rstrip(").:;,!]}")
    # A word of the name itself tells nothing that the name does not.
    named = value.lower() not in name.lower() and names_secret(name)
    if len(value) < _SHORTEST or not named or _is_placeholder(value):
        return False
    # Prose and code put blanks or a colon there too; then only a value with a digit is believed.
    tight = match["open"] or match["between"] == "="
    return bool(tight) or _has_digit(value)


def _has_digit(value: str) -> bool:
    return any(character.isdigit() for character in value)


# With a digit or without a dash, so that a word that only begins so ("ATATT-prefixed") is none; and
# no DNA. The length is documented to vary.
_ATLASSIAN_REST: Final = (
    r"(?![ACGTN]{8})(?=[A-Za-z_+/-]{0,40}[0-9]|[A-Za-z_+/]{20})[A-Za-z0-9_=+/-]{10,}"
)
_ATLASSIAN: Final = "Atlassian staff on the community, 2025-08-26; lengths as observed"

# What may stand between the words of a name.
_PARTED: Final = r"[^A-Za-z]{0,64}"

SHAPES: Final[tuple[Shape, ...]] = (
    Shape(
        name="an Atlassian API token",
        kind="atlassian-api-token",
        issuer="atlassian",
        hints=("atatt",),
        pattern="ATATT" + _ATLASSIAN_REST,
        sketch="ATATT[A-Za-z0-9_=+/-]{10}",
        example="ATATT3xFfGF0" + "Example1" * 8 + "=0123ABCD",
        source=_ATLASSIAN,
    ),
    Shape(
        name="an Atlassian access token or Admin API key",
        kind="atlassian-access-token",
        issuer="atlassian",
        hints=("atctt",),
        pattern="ATCTT" + _ATLASSIAN_REST,
        sketch="ATCTT[A-Za-z0-9_=+/-]{10}",
        example="ATCTT3xFfGN0" + "Example1" * 8 + "=0123ABCD",
        source=_ATLASSIAN,
    ),
    Shape(
        name="an API key of an Atlassian service account",
        kind="atlassian-service-key",
        issuer="atlassian",
        hints=("atstt",),
        pattern="ATSTT" + _ATLASSIAN_REST,
        sketch="ATSTT[A-Za-z0-9_=+/-]{10}",
        example="ATSTT3xFfGF0" + "Example1" * 8 + "=0123ABCD",
        source="support.atlassian.com, service accounts; as observed",
    ),
    Shape(
        name="a Bitbucket app password",
        kind="bitbucket-app-password",
        issuer="atlassian",
        hints=("atbb",),
        pattern=r"(?<![A-Za-z0-9])ATBB[A-Za-z0-9]{24,}",
        example="ATBB" + "Example1" * 4,
        source=_ATLASSIAN,
        sketch="ATBB[A-Za-z0-9]{16}",
    ),
    Shape(
        name="an Atlassian OAuth client secret",
        kind="atlassian-client-secret",
        issuer="atlassian",
        hints=("atoa",),
        pattern=r"(?<![A-Za-z0-9])ATOA[A-Za-z0-9_-]{40,}",
        example="ATOA" + "Example1" * 8,
        source="as the developer console shows them; not documented",
        sketch="ATOA[A-Za-z0-9_-]{16}",
    ),
    Shape(
        name="a JSON web token",
        kind="jwt",
        hints=("eyj",),
        # The second run may be empty (RFC 7516 section 5.1), the third too (RFC 7519 section 6).
        pattern=r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))eyJ[A-Za-z0-9_-]{6,}+\."
        r"(?:eyJ[A-Za-z0-9_-]{6,}+\.[A-Za-z0-9_-]*|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,})"
        r"(?:\.[A-Za-z0-9_-]+){0,2}",
        example="eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl",
        source="RFC 7519 section 3, RFC 7516 section 3.1",
        sketch=r"(?:[^A-Za-z0-9_-]|\\[nrt])eyJ[A-Za-z0-9_-]{6}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.",
    ),
    Shape(
        name="a private key",
        kind="private-key",
        hints=("private key",),
        pattern=r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[^-]|-(?!----)){0,16384}+(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?",
        example="-----BEGIN " + "PRIVATE KEY-----\nExample1\n-----END PRIVATE KEY-----",
        source="RFC 7468 section 10",
        bare=False,
        begins=False,
    ),
    Shape(
        name="credentials in a URL",
        kind="url-credentials",
        hints=("://",),
        pattern=r"""://[^\s/?#@:"'<>]{0,256}:(?P<secret>[^\s/?#@"'<>]{1,1024})@""",
        proof=_is_password,
        example="https://x-token-auth:" + "example1" + "@bitbucket.example/w/r.git",
        source="RFC 3986 section 3.2.1",
        bare=False,
        sketch=r"""://[^\s/?#@:"'<>]*:[^\s/?#@"'<>]+@""",
    ),
    Shape(
        name="a login for HTTP Basic authentication",
        kind="basic-login",
        hints=("basic",),
        pattern=r"(?<![A-Za-z0-9])[Bb][Aa][Ss][Ii][Cc]\s{1,4}(?P<secret>[A-Za-z0-9+/_-]{4,}={0,2})",
        proof=_is_login,
        example="Basic " + "YWxpY2U6ZXhhbXBsZS0x",
        source="RFC 7617 section 2",
        bare=False,
        sketch=r"(?i:basic)\s{1,4}[A-Za-z0-9+/_-]{4}",
    ),
    Shape(
        name="a bearer token",
        kind="bearer-token",
        hints=("bearer",),
        pattern=r"(?<![A-Za-z0-9])[Bb][Ee][Aa][Rr][Ee][Rr]\s{1,4}"
        r"(?P<secret>[A-Za-z0-9._~+/-]{16,}={0,2})",
        proof=_is_bearer,
        example="Bearer " + "example1" * 4,
        source="RFC 6750 section 2.1",
        bare=False,
        sketch=r"(?i:bearer)\s{1,4}[A-Za-z0-9._~+/-]{16}",
    ),
    Shape(
        name="a GitHub token",
        kind="github-token",
        issuer="github",
        hints=("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        pattern=r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{24,}|github_pat_[A-Za-z0-9_]{24,})",
        example="ghp_" + "Example1" * 5,
        source="docs.github.com, About authentication to GitHub",
        sketch="gh[pousr]_[A-Za-z0-9]{16}|github_pat_",
    ),
    Shape(
        name="an AWS access key id",
        kind="aws-access-key-id",
        issuer="aws",
        hints=("akia", "asia", "abia", "acca"),
        pattern=r"(?<![A-Za-z0-9+/])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9+/])",
        example="AKIA" + "EXAMPLE2" * 2,
        source="docs.aws.amazon.com, IAM identifiers",
        sketch="(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{8}",
    ),
    Shape(
        name="a GitLab token",
        kind="gitlab-token",
        issuer="gitlab",
        hints=("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "gloas-", "glsoat-", "glagent-"),
        pattern=r"(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|oas|soat|agent)-[A-Za-z0-9_.-]{20,}",
        example="glpat-" + "Example1" * 3,
        source="docs.gitlab.com, token overview",
    ),
    Shape(
        name="a Slack token",
        kind="slack-token",
        issuer="slack",
        hints=("xox", "xapp-", "hooks.slack.com/services/"),
        pattern=r"(?<![A-Za-z0-9])(?:(?:xox[a-z]|xapp)-(?=[A-Za-z-]{0,24}[0-9])[A-Za-z0-9-]{16,}"
        r"|hooks\.slack\.com/services/[A-Z0-9]{8,}/[A-Z0-9]{8,}/[A-Za-z0-9]{16,})",
        example="xoxb-" + "1-Example" * 3,
        source="api.slack.com, token types",
        sketch=r"xox[a-z]-|xapp-|hooks\.slack",
    ),
    Shape(
        name="a Google API key or token",
        kind="google-token",
        issuer="google",
        hints=("aiza", "ya29.", "gocspx-"),
        pattern=r"(?<![A-Za-z0-9+/_-])(?:AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"
        r"|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,})",
        example="AIza" + "Example1" * 4 + "abc",
        source="cloud.google.com, API keys; observed",
        sketch=r"AIza[A-Za-z0-9_-]{16}|ya29\.|GOCSPX-",
    ),
    Shape(
        name="an Anthropic API key",
        kind="anthropic-key",
        issuer="anthropic",
        hints=("sk-ant-",),
        pattern=r"(?<![A-Za-z0-9])sk-ant-[A-Za-z0-9_-]{20,}",
        example="sk-ant-" + "api03-" + "Example1" * 4,
        source="docs.anthropic.com, API keys",
    ),
    Shape(
        name="an OpenAI API key",
        kind="openai-key",
        issuer="openai",
        hints=("sk-",),
        pattern=r"(?<![A-Za-z0-9_-])sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}"
        r"|(?=[A-Za-z]{0,40}[0-9])[A-Za-z0-9]{32,})",
        example="sk-proj-" + "Example1" * 4,
        source="platform.openai.com, API keys; observed",
        sketch="sk-[A-Za-z0-9-]{16}",
    ),
    Shape(
        name="an npm token",
        kind="npm-token",
        issuer="npm",
        hints=("npm_",),
        pattern=r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,}",
        example="npm_" + "Example1" * 4 + "abcd",
        source="npm Docs, about access tokens",
        sketch="npm_[A-Za-z0-9]{16}",
    ),
    Shape(
        name="a PyPI token",
        kind="pypi-token",
        issuer="pypi",
        hints=("pypi-ag",),
        pattern=r"(?<![A-Za-z0-9])pypi-Ag[A-Za-z0-9_-]{30,}",
        example="pypi-Ag" + "Example1" * 5,
        source="docs of the package index, API tokens",
    ),
    Shape(
        name="a Stripe key",
        kind="stripe-key",
        issuer="stripe",
        hints=("sk_live_", "rk_live_", "sk_test_", "rk_test_"),
        pattern=r"(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
        example="sk_live_" + "Example1" * 3,
        source="docs.stripe.com, API keys",
    ),
    Shape(
        name="a SendGrid API key",
        kind="sendgrid-key",
        issuer="sendgrid",
        hints=("sg.",),
        pattern=r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])",
        example="SG." + "Example1" * 2 + "abcdef." + "Example1" * 5 + "abc",
        source="docs.sendgrid.com, API keys; lengths as observed",
        sketch=r"SG\.[A-Za-z0-9_-]{16}",
    ),
    Shape(
        name="a Twilio API key",
        kind="twilio-key",
        issuer="twilio",
        hints=("sk",),
        pattern=r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])",
        example="SK" + "01234567" * 4,
        source="www.twilio.com/docs, API keys",
        sketch="SK[0-9a-f]{16}",
    ),
    Shape(
        name="a Hugging Face token",
        kind="hugging-face-token",
        issuer="huggingface",
        hints=("hf_",),
        pattern=r"(?<![A-Za-z0-9_])hf_(?=[a-z]{0,40}[A-Z0-9])[A-Za-z0-9]{30,}",
        example="hf_" + "Example1" * 4 + "ab",
        source="huggingface.co/docs, user access tokens; length as observed",
        sketch="hf_[A-Za-z0-9]{16}",
    ),
    Shape(
        name="a DigitalOcean token",
        kind="digitalocean-token",
        issuer="digitalocean",
        hints=("dop_v1_", "doo_v1_", "dor_v1_"),
        pattern=r"(?<![A-Za-z0-9])do[opr]_v1_[0-9a-f]{64}",
        example="dop_v1_" + "01234567" * 8,
        source="docs.digitalocean.com, API tokens",
    ),
    Shape(
        name="an Azure secret or key",
        kind="azure-secret",
        issuer="azure",
        hints=("q~", "jqqj9"),
        pattern=r"(?<![A-Za-z0-9_.~-])(?:[A-Za-z0-9_.~-]{3}[0-9]Q~[A-Za-z0-9_.~-]{31,34}"
        r"(?![A-Za-z0-9_.~-])|[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9]{20,})",
        example="abc8Q~" + "Example1" * 4 + "ab",
        source="learn.microsoft.com, credential scanning: client secrets, annotated keys",
        begins=False,
        sketch=r"[0-9]Q~[A-Za-z0-9_.~-]{16}|JQQJ9",
    ),
    Shape(
        name="a Vault token",
        kind="vault-token",
        issuer="vault",
        hints=("hvs.", "hvb.", "hvr."),
        pattern=r"(?<![A-Za-z0-9])hv[sbr]\.[A-Za-z0-9_-]{24,}",
        example="hvs." + "Example1" * 4,
        source="developer.hashicorp.com/vault, tokens",
        sketch=r"hv[sbr]\.[A-Za-z0-9_-]{16}",
    ),
    Shape(
        name="a Docker Hub token",
        kind="docker-token",
        issuer="docker",
        hints=("dckr_",),
        pattern=r"(?<![A-Za-z0-9])dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
        example="dckr_pat_" + "Example1" * 3,
        source="docs.docker.com, access tokens",
    ),
    Shape(
        name="an age secret key",
        kind="age-secret-key",
        issuer="age",
        hints=("age-secret-key-1",),
        pattern=r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{40,}",
        example="AGE-SECRET-" + "KEY-1" + "QPZRY9X8GF2TVDW0" * 3 + "QPZRY9X8GF",
        source="age-encryption.org/v1, X25519 identities",
    ),
    Shape(
        name="a value with a secret's name",
        kind="named-secret",
        hints=(
            "token",
            "secret",
            "pass",
            "key",
            "pwd",
            "jwt",
            "code",
            "assertion",
            "credential",
            "jsessionid",
        ),
        # It begins at the word that tells; what stands before that is looked at in the proof, so
        # that a long run of letters is walked once.
        pattern=r"(?P<name>(?i:token|secret|pass|key|pwd|jwt|code|assertion|credential"
        r"|jsessionid)[A-Za-z0-9_-]{0,32})"
        r"""(?P<between>\\?["']?\s{0,4}(?:=>?|:=?)\s{0,4})(?P<open>\\?["'])?"""
        r"""(?P<secret>(?(open)(?![\s,;:.)\]}])[^"'\\\n]{6,512}|[^\s"'\\&,;<>`]{6,}))""",
        proof=_is_pair,
        example="client_secret=" + "example1",
        source="RFC 6749, RFC 7628 and common usage",
        # `key` and `code` alone stand in every other document, and are no secret's name.
        sketch=r"(?i:token|secret|pass|pwd|jwt|assertion|credential|jsessionid"
        r"|(?:api|access|private|secret|signing|encryption|storage|auth|master|sealing|shared"
        rf"|account){_PARTED}key|device{_PARTED}code|code{_PARTED}verifier)"
        r"""[A-Za-z0-9_-]*\\?["']?\s{0,4}[=:][>=]?\s{0,4}\\?["']?[^\s"'\\,;<>`]{6}""",
        bare=False,
    ),
    Shape(
        name="an e-mail address and its token in base64",
        kind="basic-login",
        pattern=r"(?<![A-Za-z0-9+/_-])(?P<secret>[A-Za-z0-9+/_-]{16,}+={0,2})",
        proof=_is_email_login,
        example="YWxpY2VAZXhhbXBsZS5jb206" + "ZXhhbXBsZS0x",
        source="RFC 7617 section 2, as Atlassian's interfaces take it",
    ),
)
