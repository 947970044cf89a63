"""The door: secrets that come by argument, environment or pipe are turned away, unread and unnamed.

An argument that names a file (``@words.txt``) is a word like any other: no file is opened for it,
so none brings a secret in.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.errors import SecretRefused
from guard.shapes import decodings, looks_like, mentions_secret, names_secret, shapes_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from guard.shapes import Shape

# From how many letters on the beginning of an option's name can only mean that option.
_ABBREVIATIONS: Final = {
    "token": 3,
    "secret": 4,
    "password": 3,
    "passphrase": 3,
    "credentials": 4,
    "api-key": 5,
    "api-token": 5,
    "apikey": 4,
    "access-token": 8,
    "auth-token": 6,
    "client-secret": 8,
    "private-key": 9,
    "refresh-token": 9,
}
# As curl and others have it: token, password, key; and a login.
_SHORT: Final = frozenset("tpk")
_LOGIN_OPTIONS: Final = frozenset({"-u", "--user", "--username", "--auth"})
_HEADER_OPTIONS: Final = frozenset({"-H", "--header", "--headers"})
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
# A hyphen, and what editors and web pages make of it.
_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_OPTION: Final = rf"([{_DASHES}]{{1,3}})([A-Za-z0-9_.-]+)[=:\s]?"
_SHOWABLE_NAME: Final = r"-{0,2}[A-Za-z][A-Za-z_-]{0,31}"
_ACCOUNT_ID: Final = r"[0-9]{1,10}:[0-9a-fA-F-]{36}"
_QUERY_PAIR: Final = r"[?&;#]([A-Za-z0-9_.-]{1,64})=[^&;#\s]"
# An address is no secret: `--endpoint token=https://…` tells where tokens are had.
_PAIR: Final = r"([A-Za-z0-9_.\[\]-]{1,64})=(?!https?://[^\s@]*$)\S"
_HEADER: Final = r"\s*([A-Za-z0-9-]{1,64}):\s*\S"

# Other programs' variables; every developer has some, and may sign in here all the same.
_FOREIGN: Final = (
    r"(?:ACTIONS|ANTHROPIC|ARM|AWS|AZURE|BUILDKITE|CARGO|CIRCLE|CI|CLAUDE|DOCKER|GCP|GEMINI|GH"
    r"|GITHUB|GITLAB|GOOGLE|GPG|HEROKU|HOMEBREW|NODE|NPM|OPENAI|PIP|SENTRY|SLACK|SSH|TF|TWINE|UV"
    r"|VAULT|VERCEL)_|KUBE|CODESPACE"
)
_TELLING: Final = r"(?i:key|auth|jwt|session|cookie|login|bearer)"
_ANYBODYS: Final = frozenset({"jwt", "bearer-token", "basic-login"})
_SHOWABLE_VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_NOT_SHOWN: Final = "(its name is not shown)"


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret where none belongs.

    Attributes:
        name: The option's or variable's name, or a position such as ``argument 3``; never a value.
        looks_like: What the value looks like, in words; None if the name alone decided.
    """

    name: str
    looks_like: str | None = None


def refuse_arguments(argv: Sequence[str]) -> None:
    """Refuse a command line that carries a secret, or an option that would.

    Options named like a secret are refused with a value or without, wherever they stand, behind
    ``--`` too; so is what looks like a secret, and what is given as ``token=…``, in a query or in
    a header. Cursors of paged answers (``nextPageToken=…``) and addresses (``token=https://…``)
    are let through.

    Args:
        argv: The arguments without the program's name.

    Raises:
        SecretRefused: As said; it holds no value.
    """
    found = next(_in_arguments(argv), None)
    del argv  # a traceback that shows variables must not show these
    if found is not None:
        raise SecretRefused("argument", found.name, found.looks_like)


def secrets_in_environment(
    environ: Mapping[str, str], *, families: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Find the variables that hold a secret which is this program's business.

    Two kinds are: what is named like a secret of one of the `families`, and what looks like a
    secret of theirs under any name. A token that could be anybody's (a JSON web token, a bearer
    token, a login) counts under a name that says nothing; under the name of another program's
    secret it does not, for every developer has some of those.

    Args:
        environ: The environment.
        families: In lower case, the words in variables' names that make them this program's, and
            the issuers of its secrets.
    """
    found = (_in_variable(name, value, families) for name, value in environ.items())
    return tuple(finding for finding in found if finding is not None)


def refuse_environment(environ: Mapping[str, str], *, families: Collection[str] = ()) -> None:
    """Refuse an environment that holds a secret.

    Args:
        environ: The environment.
        families: As for `secrets_in_environment`.

    Raises:
        SecretRefused: It names the first such variable.
    """
    found = secrets_in_environment(environ, families=families)
    del environ  # a traceback that shows variables must not show these
    if found:
        raise SecretRefused("environment", found[0].name, found[0].looks_like)


def refuse_stdin(descriptor: int = 0) -> None:
    """Refuse a standard input that could bring a secret, reading nothing of it.

    A terminal, the null device and a closed descriptor bring none.

    Raises:
        SecretRefused: It is a pipe, a file, a socket or another device.
    """
    if descriptor == 0 and sys.__stdin__ is None:
        # Closed when the program started; whatever has that number by now is the program's own.
        return
    try:
        status = os.fstat(descriptor)
    except OSError:
        return
    if not os.isatty(descriptor) and not _is_null_device(status):
        raise SecretRefused("stdin", "standard input")


def _is_null_device(status: os.stat_result) -> bool:
    null = os.stat(os.devnull)  # noqa: PTH116 - the import of pathlib is not free
    return (
        stat.S_ISCHR(status.st_mode)
        and stat.S_ISCHR(null.st_mode)
        and status.st_rdev == null.st_rdev
    )


# Arguments


def _in_arguments(argv: Sequence[str]) -> Iterator[Finding]:
    before = ""
    for position, word in enumerate(argv, start=1):
        place = f"argument {position}"
        after = argv[position] if position < len(argv) else ""
        yield from _in_option(word, after, place)
        yield from _in_login(word, before)
        yield from _in_header(word, before, place)
        yield from _in_pairs(word, place)
        yield from _in_value(word, place)
        before = word
    # A blank splits a secret into two arguments. Names do not count: what stands behind one may
    # belong to another option.
    for shape in shapes_in(" ".join(argv)):
        if shape.kind != "named-secret":
            yield Finding("the command line", shape.name)


def _in_option(word: str, after: str, place: str) -> Iterator[Finding]:
    option = re.match(_OPTION, word)
    if option is None:
        return
    dashes, name = option.groups()
    value = word[option.end() :] or after
    if names_secret(name) or _abbreviates(name):
        yield Finding(_shown(dashes + name, place), _looks(value))
    elif dashes == "-" and name[0] in _SHORT:
        yield Finding(f"-{name[0]}", _looks(word[2:] or after))
    elif len(dashes) > 1 and mentions_secret(name):
        # The words behind the telling one could be its value.
        yield Finding(place, _looks(value))


def _looks(value: str) -> str | None:
    shape = looks_like(value)
    return shape.name if shape else None


def _abbreviates(name: str) -> bool:
    begun = name.lower().replace("_", "-")
    return any(
        len(begun) >= least and whole.startswith(begun) for whole, least in _ABBREVIATIONS.items()
    )


def _in_login(word: str, before: str) -> Iterator[Finding]:
    option, value = before, word
    if word.startswith("--"):
        option, _, value = word.partition("=")
    elif word.startswith("-u"):
        option, value = word[:2], word[2:]
    user, _, password = value.partition(":")
    if option in _LOGIN_OPTIONS and user and password and not re.fullmatch(_ACCOUNT_ID, value):
        yield Finding(option)


def _in_header(word: str, before: str, place: str) -> Iterator[Finding]:
    given = before in _HEADER_OPTIONS
    if word.startswith("--header"):
        given, word = True, word.partition("=")[2]
    elif word.startswith("-H"):
        given, word = True, word[2:]
    header = re.match(_HEADER, word)
    if header is None:
        return
    name = header[1]
    if name.lower() in _SECRET_HEADERS:
        yield Finding(f"the {name} header")
    elif given and mentions_secret(name):
        yield Finding(_shown(name, place) if names_secret(name) else place)


def _in_pairs(word: str, place: str) -> Iterator[Finding]:
    given = word
    if word.startswith("--"):
        given = word.partition("=")[2]
    elif word.startswith("-"):
        given = word[2:]
    pair = re.match(_PAIR, given)
    names = re.findall(_QUERY_PAIR, word) + ([pair[1]] if pair else [])
    yield from (Finding(_shown(name, place)) for name in names if names_secret(name))


def _in_value(word: str, place: str) -> Iterator[Finding]:
    if shape := looks_like(word):
        option, given, _ = word.partition("=")
        named = given and option.startswith("--")
        yield Finding(_shown(option, place) if named else place, shape.name)


def _shown(name: str, place: str) -> str:
    """Return a name as typed if no part of a secret can be in it, else the place."""
    clean = re.fullmatch(_SHOWABLE_NAME, name) and looks_like(name) is None
    return name if clean else place


# Environment


def _in_variable(name: str, value: str, families: Collection[str]) -> Finding | None:
    if not value.strip():
        return None
    shape = next((s for s in shapes_in(value) if _concerns(s, name, value, families)), None)
    if shape is None and not (_is_of(name, families) and mentions_secret(name)):
        return None
    showable = re.fullmatch(_SHOWABLE_VARIABLE, name) and looks_like(name) is None
    return Finding(name if showable else _NOT_SHOWN, shape.name if shape else None)


def _concerns(shape: Shape, name: str, value: str, families: Collection[str]) -> bool:
    if shape.issuer:
        return shape.issuer in families
    if shape.kind == "url-credentials":
        return _is_of(value, families)
    if shape.kind not in _ANYBODYS:
        return False
    if any(_is_of(decoded, families) for decoded in decodings(value)):
        return True
    return not (
        mentions_secret(name) or re.search(_TELLING, name) or re.match(_FOREIGN, name.upper())
    )


def _is_of(text: str, families: Collection[str]) -> bool:
    return any(family in text.lower() for family in families)
