"""A `Secret` goes everywhere and is seen nowhere, however it is looked at (H-F1)."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import inspect
import io
import json
import logging
import pickle
import pprint
import reprlib
import string
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

VALUE = "hunter2-Zr9qW3-hunter2"
MARK = "‹redacted:api-token›"


def a_secret(value: str = VALUE) -> Secret:
    return Secret(value, "api-token")


@dataclasses.dataclass
class Holder:
    secret: Secret


def printed(secret: Secret) -> str:
    out = io.StringIO()
    print(secret, [secret], file=out)
    return out.getvalue()


def traceback_of(secret: Secret) -> str:
    """Return a traceback that shows the variables, with the secret among them."""
    try:
        kept = [secret]
        raise RuntimeError(secret, kept)  # noqa: TRY301 - the way under test
    except RuntimeError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        text = "".join(shown.format())
    assert "kept = [‹redacted:api-token›]" in text
    return text


SHOWN: dict[str, Callable[[Secret], object]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "f-string": lambda secret: f"{secret}",
    "f-string repr": lambda secret: f"{secret!r:>40}",
    "f-string spec": lambda secret: f"{secret:>100.3}",
    "f-string bad spec": lambda secret: f"{secret:%Y-no such}",
    "f-string debug": lambda secret: f"{secret=}",
    "percent s": lambda secret: "%s" % secret,  # noqa: UP031 - the way under test
    "percent r": lambda secret: "%r" % (secret,),  # noqa: UP031 - likewise
    "format method": lambda secret: "{0} {0!r} {x:<9}".format(secret, x=secret),  # noqa: UP032 - likewise
    "template": lambda secret: string.Template("$x").substitute(x=secret),
    "list": lambda secret: str([secret]),
    "dict": lambda secret: str({secret: secret}),
    "set": lambda secret: str({secret}),
    "pprint": lambda secret: pprint.pformat({"x": [secret]}),
    "reprlib": lambda secret: reprlib.repr([secret]),
    "json by default": lambda secret: json.dumps({"x": secret}, default=str),
    "exception": lambda secret: repr(ValueError(secret)) + str(ValueError(secret)),
    "dataclass": lambda secret: repr(Holder(secret)),
    "dir": dir,
    "members": inspect.getmembers,
    "hash": hash,
    "bool": bool,
    "print": printed,
    "traceback": traceback_of,
}


@pytest.mark.parametrize("way", SHOWN)
def test_it_is_shown_as_its_kind(way: str) -> None:
    """H-F1."""
    shown = str(SHOWN[way](a_secret()))
    assert VALUE not in shown
    assert "hunter2" not in shown
    if way not in {"dir", "hash", "bool", "ascii"}:
        assert MARK in shown or "\\u2039redacted:api-token\\u203a" in shown


REFUSED: dict[str, Callable[[Any], object]] = {
    "json": json.dumps,
    "json value": lambda secret: json.dumps({"x": [secret]}),
    "json key": lambda secret: json.dumps({secret: 1}),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy inside": lambda secret: copy.deepcopy({"x": [secret]}),
    "asdict": lambda secret: dataclasses.asdict(Holder(secret)),
    "astuple": lambda secret: dataclasses.astuple(Holder(secret)),
    "vars": vars,
    "iter": list,
    "len": len,
    "bytes": bytes,
    "int": int,
    "float": float,
    "join": lambda secret: "".join(iter([secret])),
    "plus": lambda secret: "x" + secret,
    "plus behind": lambda secret: secret + "x",
    "times": lambda secret: secret * 2,
    "index": lambda secret: secret[0],
    "slice": lambda secret: secret[:4],
    "in": lambda secret: "h" in secret,
    "less": lambda secret: secret < "x",
    "percent d": lambda secret: "%d" % secret,  # noqa: UP031 - the way under test
    "encode": lambda secret: secret.encode(),
    "open": open,
    "unpack": lambda secret: [*secret],
    "unpack names": lambda secret: dict(**secret),
    "call": lambda secret: secret(),
    "await": lambda secret: secret.__await__(),
    "enter": lambda secret: secret.__enter__(),
    "weak reference": weakref.ref,
    "set attribute": lambda secret: setattr(secret, "kind", "x"),
    "new attribute": lambda secret: setattr(secret, "note", "x"),
    "reduce": lambda secret: secret.__reduce__(),
    "reduce ex": lambda secret: secret.__reduce_ex__(4),
    "getstate": lambda secret: secret.__getstate__(),
    **{
        f"pickle {protocol}": functools.partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "pickle inside": lambda secret: pickle.dumps({"x": Holder(secret)}),
}


@pytest.mark.parametrize("way", REFUSED)
def test_it_is_not_to_be_had(way: str) -> None:
    """H-F1: the failure does not show it either."""
    with pytest.raises((TypeError, AttributeError)) as caught:
        REFUSED[way](a_secret())
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert VALUE not in f"{caught.value!r} {caught.value.__dict__} {''.join(shown.format())}"


def test_no_method_of_the_object_gives_it_away_uncalled() -> None:
    """All that Python itself could call on it, called."""
    secret = a_secret()
    given = []
    for name in object.__dir__(secret):
        if name in {"__class__", "__init__", "reveal"} or name.startswith("_Secret"):
            continue
        attribute = getattr(secret, name)
        for arguments in ((), (secret,), ("x",), ("x", "y")):
            with contextlib.suppress(TypeError, AttributeError):
                given.append(attribute(*arguments))
    assert given
    assert VALUE not in repr(given)


def test_logging_shows_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    secret = a_secret()
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").warning("%s %r %.3s", secret, secret, secret)
        logging.getLogger("test").warning("%(x)s", {"x": secret})
        logging.getLogger("test").warning(secret)
    assert VALUE not in caplog.text
    assert caplog.text.count(MARK) >= 4


def test_a_log_call_that_fails_shows_its_kind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logging module prints the arguments of a call that it cannot format."""
    monkeypatch.setattr(logging, "raiseExceptions", True)
    handler = logging.StreamHandler(io.StringIO())
    handler.handle(logging.LogRecord("n", 30, "p", 1, "%d", (a_secret(),), None))
    shown = capsys.readouterr().err
    assert "Logging error" in shown
    assert MARK in shown
    assert VALUE not in shown


@pytest.mark.parametrize(
    "renderer",
    [
        structlog.processors.JSONRenderer(),
        structlog.processors.KeyValueRenderer(),
        structlog.processors.LogfmtRenderer(),
        structlog.dev.ConsoleRenderer(colors=False),
    ],
    ids=lambda renderer: type(renderer).__name__,
)
def test_structured_logs_show_its_kind(renderer: Any) -> None:
    out = io.StringIO()
    logger = structlog.wrap_logger(structlog.PrintLogger(out), processors=[renderer])
    logger.warning("sent", secret=a_secret(), inside={"x": [a_secret()]})
    assert "api-token" in out.getvalue()
    assert VALUE not in out.getvalue()


def test_only_itself_is_equal_to_it() -> None:
    """Neither equality nor the hash tells whether a guess is right."""
    secret, twin = a_secret(), a_secret()
    same = secret
    assert secret == same
    assert secret != twin
    assert secret != VALUE
    assert hash(secret) != hash(twin)
    assert hash(secret) != hash(VALUE)
    assert len({secret, twin, same}) == 2


@pytest.mark.parametrize("value", [VALUE, "pässwört", "\udc80-undecodable", ""])
def test_same_as_compares_the_values(value: str) -> None:
    assert a_secret(value).same_as(a_secret(value))
    assert not a_secret(value).same_as(a_secret(value + "x"))


def test_it_is_true_exactly_if_there_is_one() -> None:
    assert a_secret()
    assert not a_secret("")


def test_its_kind_is_no_secret() -> None:
    assert a_secret().kind == "api-token"
    assert Secret("x").kind == "secret"


class Ear:
    """Hears of secrets, and remembers what it knew when."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.heard: list[tuple[str, str]] = []
        self._deaf = deaf

    def entered(self, secret: Secret, value: str) -> None:
        self.heard.append((secret.kind, value))

    def revealed(self, secret: Secret, purpose: str, _host: str | None) -> None:
        self.heard.append((secret.kind, purpose))
        if self._deaf:
            raise OSError("the record cannot be written")


def test_the_ledger_hears_of_it_at_once() -> None:
    ear = Ear()
    Secret(VALUE, "api-token", ear)
    assert ear.heard == [("api-token", VALUE)]


def test_the_ledger_hears_of_each_use_before_it() -> None:
    ear = Ear()
    secret = Secret(VALUE, "api-token", ear)
    assert secret.reveal("send to the token endpoint") == VALUE
    assert secret.reveal("save") == VALUE
    assert ear.heard[1:] == [("api-token", "send to the token endpoint"), ("api-token", "save")]


def test_a_use_that_cannot_be_recorded_does_not_happen() -> None:
    """H-G3."""
    secret = Secret(VALUE, "api-token", Ear(deaf=True))
    with pytest.raises(OSError, match="the record cannot be written"):
        secret.reveal("send to the token endpoint")


def test_without_a_ledger_it_can_be_used() -> None:
    assert a_secret().reveal("compare in a test") == VALUE
