"""The door: secrets that come by argument, environment or pipe are turned away, unread and unnamed.

An argument that names a file (``@words.txt``) is a word like any other: no file is opened for it,
so none brings a secret in.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from guard.errors import SecretRefused
from guard.shapes import decodings, find, looks_like, mentions_secret, names_secret, shapes_in

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from guard.secret import Secret
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
# What it is called elsewhere, as whole names.
_CALLED: Final = frozenset(
    {
        *("auth", "authorization", "auth-code", "authorization-code", "basic-auth"),
        *("bearer", "code", "cookie", "cookies", "cred", "creds", "oauth", "otp", "pin", "pw"),
        *("secrets", "session", "tokens", "totp", "userpass"),
    }
)
_KEY: Final = r"(?:.*-)?keys?|(?:admin|org|client)keys?"
_OPEN_KEY: Final = r"(?:issue|project|public|sort)-?keys?"
# As curl and others have it: token, password, key; and a login.
_SHORT: Final = frozenset("tpk")
_LOGIN_OPTIONS: Final = frozenset({"-u", "--user", "--username", "--auth"})
_HEADER_OPTIONS: Final = frozenset({"-H", "--header", "--headers"})
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_TELLING_IN_HEADER: Final = r"(?i)(?:.*-)?(?:auth|bearer|cookie|jwt|session(?:-id)?)"
_SCHEMES: Final = frozenset({"basic", "bearer"})
# A hyphen, and what editors and web pages make of it.
_DASHES: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_OPTION: Final = rf"([{_DASHES}]{{1,3}})([A-Za-z0-9_.-]+)[=:\s]?"
_SHOWABLE_NAME: Final = r"-{0,2}[A-Za-z][A-Za-z_-]{0,31}"
# A login before a host, and a word before one that is no person's name.
_USERINFO: Final = (
    r"(?:^|[\s=,])[\w.%+-]{1,64}:(?=[^\s/@:]*[0-9])([^\s/@:]{4,256})@[\w-]+(?:\.[\w-]+)+"
    r"|://(?=[^\s/?#@:]*[0-9])(?=[^\s/?#@:]*[a-z])(?=[^\s/?#@:]*[A-Z])([^\s/?#@:]{16,})@"
)
_ACCOUNT_ID: Final = r"[0-9]{1,10}:[0-9a-fA-F-]{36}"
_QUERY_PAIR: Final = r"[?&;#]([A-Za-z0-9_.-]{1,64})=(?=([^&;#\s]+))"
# An address is no secret: `--endpoint token=https://…` tells where tokens are had.
_PAIR: Final = r"([A-Za-z0-9_.\[\]-]{1,64})=(?!https?://[^\s@]*$)(\S.*)"
_HEADER: Final = r"\s*([A-Za-z0-9-]{1,64}):\s*(\S.*)"
# Shorter words stand in too many places where they are no secret.
_SHORTEST: Final = 4
_SMALLEST: Final = len("://") + len(":x@")
_SHORTEST_MIXED: Final = 8

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


class Finding(NamedTuple):
    """A secret where none belongs.

    Attributes:
        name: The option's or variable's name, or a position such as ``argument 3``; never a value.
        looks_like: What the value looks like, in words; None if the name alone decided.
        values: Each secret as far as it can be told, and each word that holds one.
    """

    name: str
    looks_like: str | None = None
    values: tuple[Secret, ...] = ()


def refuse_arguments(argv: Sequence[str]) -> None:
    """Refuse a command line that carries a secret, or an option that would.

    Options named like a secret are refused with a value or without, wherever they stand, behind
    ``--`` too; so is what looks like a secret, and what is given as ``token=…``, in a query or in
    a header. Cursors of paged answers (``nextPageToken=…``) and addresses (``token=https://…``)
    are let through.

    Args:
        argv: The arguments without the program's name.

    Raises:
        SecretRefused: As said, of the first; it holds the values of all.
    """
    found = tuple(_in_arguments(argv))
    del argv  # a traceback that shows variables must not show these
    _refuse("argument", found)


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
        SecretRefused: It names the first such variable, and holds the values of all.
    """
    found = secrets_in_environment(environ, families=families)
    del environ  # a traceback that shows variables must not show these
    _refuse("environment", found)


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


def _refuse(way: str, found: Sequence[Finding]) -> None:
    if not found:
        return
    values: list[Secret] = []
    for value in (value for finding in found for value in finding.values):
        if not any(value.same_as(known) for known in values):
            values.append(value)
    raise SecretRefused(way, found[0].name, found[0].looks_like, values=values)


def _finding(name: str, shape: Shape | None, *words: str) -> Finding:
    """Return a finding in `words`; its values are what can be told of them, and they themselves."""
    from guard.secret import Secret  # noqa: PLC0415 - only where there is one

    told = [word[start:end] for word in words for start, end, _ in find(word)]
    return Finding(
        name,
        shape.name if shape else None,
        tuple(
            Secret(value, shape.kind if shape else "secret")
            for value in dict.fromkeys([*told, *words])
            if _could_be_one(value)
        ),
    )


def _could_be_one(value: str) -> bool:
    """Tell whether to look for `value` elsewhere: no option and no crumb is worth it."""
    if value.startswith(tuple(_DASHES)):
        return _is_mixed(value)
    return len(value) >= _SHORTEST


def _is_mixed(word: str) -> bool:
    return len(word) >= _SHORTEST_MIXED and any(character.isdigit() for character in word)


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
        yield from _in_login(word, before, place)
        yield from _in_header(word, before, place)
        yield from _in_open_header(word, argv[position : position + 2])
        yield from _in_pairs(word, place)
        yield from _in_value(word, place)
        before = word
    if shape := _split_over(argv):
        words = _narrowest(argv)
        yield _finding("the command line", shape, " ".join(words), *filter(_is_mixed, words))


def _split_over(words: Sequence[str]) -> Shape | None:
    """Return the shape of a secret in `words`, which a blank may split into several.

    Names do not count: what stands behind one may belong to another option.
    """
    shapes = shapes_in(" ".join(words))
    return next((shape for shape in shapes if shape.kind != "named-secret"), None)


def _narrowest(words: Sequence[str]) -> Sequence[str]:
    """Return the fewest neighbours of `words` that hold a secret between them."""
    words = words[_most(lambda cut: words[cut:], len(words)) :]
    return words[: len(words) - _most(lambda cut: words[: len(words) - cut], len(words))]


def _most(less: Callable[[int], Sequence[str]], words: int) -> int:
    """Return how many words can go so that `less` of them still hold a secret."""
    from bisect import bisect_left  # noqa: PLC0415 - only after a find

    # By halves: whoever gives ten thousand names of files does not wait.
    return bisect_left(range(words + 1), True, key=lambda cut: not _split_over(less(cut))) - 1  # noqa: FBT003 - the first cut too many


def _in_option(word: str, after: str, place: str) -> Iterator[Finding]:
    option = re.match(_OPTION, word) if word.startswith(tuple(_DASHES)) else None
    if option is None:
        return
    dashes, name = option.groups()
    value = word[option.end() :] or after
    if _names_secret_option(name):
        yield _finding(_shown(dashes + name, place), looks_like(value), value, word)
    elif dashes == "-" and name[0] in _SHORT:
        value = word[2:] or after
        yield _finding(f"-{name[0]}", looks_like(value), value, word)
    elif len(dashes) > 1 and mentions_secret(name):
        # The words behind the telling one could be its value.
        yield _finding(place, looks_like(value), value, word)


def _names_secret_option(name: str) -> bool:
    spelt = name.lower().replace("_", "-")
    is_key = "key" in spelt and re.fullmatch(_KEY, spelt) and not re.fullmatch(_OPEN_KEY, spelt)
    return names_secret(name) or spelt in _CALLED or bool(is_key) or _abbreviates(spelt)


def _abbreviates(begun: str) -> bool:
    return any(
        len(begun) >= least and whole.startswith(begun) for whole, least in _ABBREVIATIONS.items()
    )


def _in_login(word: str, before: str, place: str) -> Iterator[Finding]:
    option, value = before, word
    if word.startswith("--"):
        option, _, value = word.partition("=")
    elif word.startswith("-u"):
        option, value = word[:2], word[2:]
    user, _, password = value.partition(":")
    if option in _LOGIN_OPTIONS and user and password and not re.fullmatch(_ACCOUNT_ID, value):
        yield _finding(option, None, password, value)
    for userinfo in re.finditer(_USERINFO, word) if "@" in word else ():
        yield _finding(place, None, userinfo[1] or userinfo[2], word)


def _in_header(word: str, before: str, place: str) -> Iterator[Finding]:
    given = before in _HEADER_OPTIONS
    if word.startswith("--header"):
        given, word = True, word.partition("=")[2]
    elif word.startswith("-H"):
        given, word = True, word[2:].removeprefix("=")
    header = re.match(_HEADER, word) if ":" in word else None
    if header is None:
        return
    name, value = header.groups()
    if name.lower() in _SECRET_HEADERS:
        name = f"the {name} header"
    elif given and (mentions_secret(name) or re.fullmatch(_TELLING_IN_HEADER, name)):
        name = _shown(name, place) if names_secret(name) else place
    else:
        return
    yield _finding(name, None, value.split()[-1], value)


def _in_open_header(word: str, behind: Sequence[str]) -> Iterator[Finding]:
    """Look at a header that a blank ends, for nothing quotes it: ``Authorization: Bearer x``."""
    name = word.strip().removesuffix(":")
    if word.rstrip().endswith(":") and name.lower() in _SECRET_HEADERS:
        values = [each for each in behind if each.lower() not in _SCHEMES]
        yield _finding(f"the {name} header", looks_like(" ".join(behind)), *values[:1])


def _in_pairs(word: str, place: str) -> Iterator[Finding]:
    if "=" not in word:
        return
    given = word
    if word.startswith("--"):
        given = word.partition("=")[2]
    elif word.startswith("-"):
        given = word[2:]
    pair = re.match(_PAIR, given)
    pairs = re.findall(_QUERY_PAIR, word) + ([pair.groups()] if pair else [])
    for name, value in pairs:
        if names_secret(name):
            yield _finding(_shown(name, place), None, value)


def _in_value(word: str, place: str) -> Iterator[Finding]:
    # Shorter words hold no shape, and most words are short.
    if len(word) < _SMALLEST:
        return
    if shape := looks_like(word) or _looks_like_inside(word):
        option, _, given = word.partition("=")
        named = given and option.startswith("--")
        values = (given, word) if named else (word,)
        yield _finding(_shown(option, place) if named else place, shape, *values)


def _looks_like_inside(word: str) -> Shape | None:
    """Return the shape of a secret that was encoded twice over."""
    decoded = "\n".join(decodings(word)).strip()
    return looks_like(decoded) if decoded else None


def _shown(name: str, place: str) -> str:
    """Return a name as typed if no part of a secret can be in it, else the place."""
    clean = re.fullmatch(_SHOWABLE_NAME, name) and looks_like(name) is None
    return name if clean else place


# Environment


def _in_variable(name: str, value: str, families: Collection[str]) -> Finding | None:
    if not value.strip():
        return None
    shapes = shapes_in(value) if len(value) >= _SMALLEST else ()
    shape = next((s for s in shapes if _concerns(s, name, value, families)), None)
    if shape is None and not (_is_of(name, families) and mentions_secret(name)):
        return None
    showable = re.fullmatch(_SHOWABLE_VARIABLE, name) and looks_like(name) is None
    return _finding(name if showable else _NOT_SHOWN, shape, value)


def _concerns(shape: Shape, name: str, value: str, families: Collection[str]) -> bool:
    if shape.issuer:
        return shape.issuer in families
    if shape.kind == "url-credentials":
        return _is_of(value, families)
    if shape.kind == "named-secret":
        return _is_of(name, families)
    if shape.kind not in _ANYBODYS:
        return False
    if any(_is_of(decoded, families) for decoded in decodings(value)):
        return True
    return not (
        mentions_secret(name) or re.search(_TELLING, name) or re.match(_FOREIGN, name.upper())
    )


def _is_of(text: str, families: Collection[str]) -> bool:
    return any(family in text.lower() for family in families)
