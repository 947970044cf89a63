"""Every error ends as the code and exit status that the contract has for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import asyncclick as click
import pytest

from guard import errors as guarded
from twg import errors
from twg.cli.failure import failure_of
from twg.errors import EXIT_STATUS, Code
from twg.sandbox import errors as sandboxed

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path("/tmp/x/auth.conf")  # noqa: S108 - never opened
PERSON, ANYONE = True, False

ERRORS: list[tuple[BaseException, str, int, bool]] = [
    (errors.TwgError("x"), "INTERNAL", 1, ANYONE),
    (errors.UsageError("x"), "USAGE", 2, ANYONE),
    (errors.PartialFailure("x", {"a": "b"}), "PARTIAL", 3, ANYONE),
    (errors.HttpError(404, "api.example.com"), "HTTP_ERROR", 4, ANYONE),
    (guarded.SecretRefused("argument", "--token"), "SECRET_REFUSED", 64, PERSON),
    (guarded.SecretRefused("stdin", "standard input"), "SECRET_REFUSED", 64, PERSON),
    (guarded.SecretRefused("environment", "TWG_TOKEN"), "SECRET_REFUSED", 64, PERSON),
    (guarded.SecretRejected("client secret", "it is empty"), "SECRET_REJECTED", 65, PERSON),
    (errors.NetworkError("example.com", "refused"), "NETWORK", 69, ANYONE),
    (errors.Unavailable("example.com", "busy", status=503), "NETWORK", 69, ANYONE),
    (errors.StoreUnwritable("x"), "STORE_UNWRITABLE", 73, ANYONE),
    (guarded.FileUnwritable(PATH, "disk full"), "STORE_UNWRITABLE", 73, ANYONE),
    (errors.StoreCorrupt("x"), "STORE_CORRUPT", 74, ANYONE),
    (errors.KeyUnavailable("locked", "x"), "STORE_CORRUPT", 74, ANYONE),
    (guarded.AuditBroken(PATH, "line 3 was changed"), "STORE_CORRUPT", 74, ANYONE),
    (errors.Busy("the store", 7, 30), "BUSY", 75, ANYONE),
    (guarded.AuditBusy(PATH, 7, 30), "BUSY", 75, ANYONE),
    (guarded.AuditBusy(PATH, None, 30), "BUSY", 75, ANYONE),
    (errors.StoreConflict("x"), "BUSY", 75, ANYONE),
    (errors.ProtocolError("x"), "PROTOCOL", 76, ANYONE),
    (errors.GrantRefused("invalid_client", "", 401, "example.com"), "PROTOCOL", 76, ANYONE),
    (errors.AuthRequired("default", "x"), "AUTH_REQUIRED", 77, PERSON),
    (errors.SignInRefused("x"), "AUTH_REQUIRED", 77, PERSON),
    (errors.AdminKeyRequired("org"), "AUTH_REQUIRED", 77, PERSON),
    (errors.AdminKeyRefused("org", "x"), "SECRET_REJECTED", 65, PERSON),
    (errors.TokenRefused("h", "x", "y"), "SECRET_REJECTED", 65, PERSON),
    (errors.AdminKeyExpired("org", "x"), "AUTH_EXPIRED", 77, PERSON),
    (errors.AuthExpired("default", "x"), "AUTH_EXPIRED", 77, PERSON),
    (errors.AuthRevoked("default", "x"), "AUTH_REVOKED", 77, PERSON),
    (errors.ConfigError("x"), "CONFIG", 78, ANYONE),
    (guarded.UnsafeFile(PATH, "others have access", "Run `chmod`."), "CONFIG", 78, ANYONE),
    (sandboxed.SandboxPortTaken(80), "CONFIG", 78, ANYONE),
    (guarded.TerminalRequired("there is none"), "TTY_REQUIRED", 79, PERSON),
    (guarded.HumanRequired("cursor", "twg login"), "HUMAN_REQUIRED", 79, PERSON),
    (errors.PolicyDenied("x"), "POLICY_DENIED", 80, PERSON),
    (errors.OutputUnwritable(OSError(28, "x")), "INTERNAL", 1, ANYONE),
    (errors.Interrupted("x"), "INTERRUPTED", 130, ANYONE),
    (guarded.PromptTimedOut(300), "INTERRUPTED", 130, ANYONE),
    (guarded.PromptInterrupted(), "INTERRUPTED", 130, ANYONE),
    (KeyboardInterrupt(), "INTERRUPTED", 130, ANYONE),
    (click.Abort(), "INTERRUPTED", 130, ANYONE),
    (click.UsageError("x"), "USAGE", 2, ANYONE),
    (click.BadParameter("x"), "USAGE", 2, ANYONE),
    (click.NoSuchOption("--x"), "USAGE", 2, ANYONE),
    (ValueError("x"), "INTERNAL", 1, ANYONE),
    (OSError(5, "x"), "INTERNAL", 1, ANYONE),
]

ABSTRACT = frozenset(
    {errors.AuthError, errors.AdminKeyError, errors.StoreError, guarded.GuardError}
)
"""Roots of families; nobody raises them themselves."""


def kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    """Return the types of this package's tree, those that other tests derive left out."""
    if root.__module__ in {errors.__name__, guarded.__name__}:
        yield root
    for child in root.__subclasses__():
        yield from kinds(child)


@pytest.mark.parametrize(
    ("error", "code", "status", "human"), ERRORS, ids=[type(row[0]).__name__ for row in ERRORS]
)
def test_an_error_has_the_code_and_the_status_of_the_contract(
    error: BaseException, code: str, status: int, *, human: bool
) -> None:
    failure = failure_of(error)

    assert (failure.code, failure.exit_status) == (code, status)
    assert failure.human_required is human
    assert failure.remediation, "what to do now"
    assert failure.as_dict() == {
        "code": code,
        "message": failure.message,
        "remediation": failure.remediation,
        "human_required": human,
        "exit_code": status,
        "docs": f"docs/errors.md#{code.lower()}",
    }


@pytest.mark.parametrize("root", [errors.TwgError, guarded.GuardError])
def test_every_type_of_either_tree_is_in_the_table(root: type[Exception]) -> None:
    assert set(kinds(root)) - ABSTRACT == {
        type(row[0]) for row in ERRORS if isinstance(row[0], root)
    }


def test_every_code_has_an_exit_status_and_appears_in_the_table() -> None:
    assert set(EXIT_STATUS) == set(Code) == {row[1] for row in ERRORS}


def test_of_a_group_the_error_that_we_know_is_told() -> None:
    inner = ExceptionGroup("tasks", [OSError("x"), errors.NetworkError("example.com", "refused")])

    failure = failure_of(ExceptionGroup("more tasks", [ValueError("x"), inner]))

    assert failure.code is Code.NETWORK


def test_a_group_of_strangers_is_told_as_its_first_one() -> None:
    failure = failure_of(BaseExceptionGroup("tasks", [KeyError("x"), asyncio.CancelledError()]))

    assert failure.code is Code.INTERNAL
    assert failure.message == "an unexpected error (KeyError)"


def test_a_group_with_a_ctrl_c_is_an_interruption() -> None:
    failure = failure_of(BaseExceptionGroup("tasks", [KeyboardInterrupt()]))

    assert failure.code is Code.INTERRUPTED


def test_a_strangers_message_is_not_quoted() -> None:
    """It may hold anything, a secret too."""
    failure = failure_of(ValueError("access-Zm9vYmFy-0123456789"))

    assert "Zm9vYmFy" not in f"{failure}{failure.as_dict()}"
    assert "ValueError" in failure.message


def test_a_usage_error_leads_to_the_help_of_its_command() -> None:
    context = click.Context(click.Command("site"), info_name="twg auth site")

    failure = failure_of(click.UsageError("Missing argument.", ctx=context))

    assert failure.message == "Missing argument"
    assert failure.remediation == "Run `twg auth site --help`."


def test_a_partial_failure_lists_each() -> None:
    failure = failure_of(errors.PartialFailure("2 of 3", {"one": "a", "two": "b"}))

    assert failure.failures == {"one": "a", "two": "b"}


def test_the_message_of_an_error_has_no_full_stop() -> None:
    assert failure_of(guarded.PromptInterrupted()).message.endswith("Nothing was saved")


def test_an_error_of_the_guard_that_was_derived_is_told_as_its_parent() -> None:
    class Odd(guarded.TerminalRequired):
        pass

    assert failure_of(Odd("it is odd")).code is Code.TTY_REQUIRED
