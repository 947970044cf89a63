"""The entry point: guard first, then parse and run, then one place where failures end."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final, NoReturn

from guard import hooks, intake, process
from guard.errors import GuardError, SecretRefused
from twg import __version__
from twg.cli import stages
from twg.cli.output import give_up
from twg.cli.wiring import Wiring
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from anyio import CancelScope
    from anyio.abc import TaskStatus

    from twg.cli.command import Command, Group
    from twg.cli.failure import Failure

COMMANDS: Final = {
    "login": ("twg.cli.login:login", "Sign in."),
    "logout": ("twg.cli.logout:logout", "Sign out: end the tokens at the provider, then here."),
    "setup": ("twg.cli.setup:setup", "Be led through all of it, or set up one thing."),
    "auth": ("twg.cli.auth:auth", "Look at, switch and renew sign-ins."),
    "api": ("twg.cli.api:api", "Call an API with the stored sign-in."),
    "policy": ("twg.cli.policy:policy", "See what agents may do, and grant them more."),
    "admin": ("twg.cli.admin:admin", "Keep organizations' Admin API keys."),
    "doctor": ("twg.cli.doctor:doctor", "Check this installation, a line a check."),
    "audit": ("twg.cli.audit:audit", "Read and prove the record of every handling of a secret."),
    "guard": ("twg.cli.guard:guard", "Find secrets where none belongs, and remove them."),
    "upkeep": ("twg.cli.upkeep:upkeep", "Have sign-ins renewed by a schedule."),
    "skills": ("twg.cli.skills:skills", "Teach coding agents to use twg safely."),
    "mcp": ("twg.cli.mcp:mcp", "Serve an agent's program by the Model Context Protocol."),
    "provider": ("twg.cli.provider:provider", "Add and remove OAuth servers to sign in at."),
    "sandbox": ("twg.cli.sandbox:sandbox", "Run a local Atlassian to try things on."),
    "uninstall": ("twg.cli.uninstall:uninstall", "Remove all that twg has made here."),
    "feedback": ("twg.cli.feedback:feedback", "Show a report to paste or send."),
    "completion": ("twg.cli.completion:completion", "Print what makes a shell complete twg."),
    "commands": (
        "twg.cli.commands:commands",
        "Describe every command to programs.",
    ),
    "changelog": ("twg.cli.changelog:changelog", "Show what changed."),
    "demo": ("twg.cli.demo:demo", "Watch the whole story on the sandbox, in a minute."),
}

_GARBAGE: Final = 20_000

_FROM_SHELLS: Final = frozenset({"bash_complete", "zsh_complete", "fish_complete"})
"""What shells put into `_TWG_COMPLETE` to ask what may stand next."""


def main() -> None:
    """Run `twg` on this process's arguments and exit with its status."""
    _collect_nothing_yet()
    environ = dict(os.environ)
    process.harden()
    process.forget_variables(os.environ)
    _open_closed_streams()
    if (instruction := environ.get("_TWG_COMPLETE", "")) in _FROM_SHELLS:
        _exit(_complete(instruction, environ))
    if isinstance(sys.stdout, TextIOWrapper):
        # What the terminal's encoding lacks is shown as an escape, as Python does on stderr.
        sys.stdout.reconfigure(errors="backslashreplace")
    _exit(_to_its_end(Wiring(sys.argv[1:], environ), root))


def git_remote() -> None:
    """Run `git-remote-twg`, which git calls for addresses that begin with ``twg::``."""
    _collect_nothing_yet()
    environ = dict(os.environ)
    umask = process.harden()
    process.forget_variables(os.environ)
    _open_closed_streams()
    wiring = Wiring(sys.argv[1:], environ, umask=umask)
    # Standard output speaks with git: whoever runs it, nothing of ours belongs there.
    wiring.options.output = "text"
    _exit(_to_its_end(wiring, _git_remote))


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `twg` with `argv`; return the exit status.

    The order matters: secrets among the arguments are refused before any module that could log
    them is imported and before anything is parsed.

    Args:
        argv: The command line without the program's name.
        environ: The environment as it was at the start, for what twg itself reads of it.
    """
    return _guarded(Wiring(argv, environ), root)


def _complete(instruction: str, environ: Mapping[str, str]) -> int:
    from twg.cli import completion  # noqa: PLC0415 - only where a shell asks

    return completion.answer(completion.Completing((), environ), instruction, root)


def _collect_nothing_yet() -> None:
    # What is imported stays; to look through all of it for garbage, again and again, is a sixth of
    # a short run. Where the work begins, it is looked for as ever.
    gc.disable()


def _collect_from_now_on() -> None:
    if not gc.isenabled():
        gc.freeze()
        # Ten thousands, for more is imported by most of the work.
        gc.set_threshold(_GARBAGE)
        gc.enable()


def _exit(status: int) -> NoReturn:
    # Or Python, as it ends, looks through all there is for what nothing refers to.
    gc.freeze()
    sys.exit(status)


def _open_closed_streams() -> None:
    """Give Python streams for what was closed at the start; what goes there goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123, SIM115 - for the whole run
            setattr(sys, name, stream)


def _to_its_end(wiring: Wiring, command: Callable[[], Command | Group]) -> int:
    """Run a command in a process that is ours: what others print in it is scrubbed too."""
    _take_over(wiring)
    _end_as_by_ctrl_c()
    status = _guarded(wiring, command)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, hooks.ScrubbedStream):
            try:
                stream.finish()
            except OSError:
                give_up(stream)
    return status


def _end_as_by_ctrl_c() -> None:
    """Have what ends a process end it with an answer, too, before the event loop listens for it."""
    import signal  # noqa: PLC0415 - see root

    def interrupted(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, interrupted)


def _guarded(wiring: Wiring, command: Callable[[], Command | Group]) -> int:
    status = _run_guarded(wiring, command)
    try:
        wiring.finish(status)
    except (GuardError, TwgError) as unwritten:
        wiring.output.warn(f"the end of this could not be recorded: {unwritten}")
    return status


def _run_guarded(wiring: Wiring, command: Callable[[], Command | Group]) -> int:
    try:
        intake.refuse_arguments(wiring.argv)
        return stages.run(_run_command(wiring, command), partial(_work, wiring))
    except SecretRefused as error:
        process.hide_arguments(wiring.argv)
        return _refuse(wiring, error)
    except (KeyboardInterrupt, BaseExceptionGroup) as error:
        # In a group where Ctrl-C came while no signal was listened for, as ever on Windows.
        return _fail(wiring, error)


def _take_over(wiring: Wiring) -> None:
    hooks.install(
        lambda: wiring.scrubber,
        stream=wiring.stderr,
        tracebacks=lambda: wiring.options.verbose,
    )
    if wiring.agent is not None:
        sys.stdout = hooks.ScrubbedStream(wiring.stdout, lambda: wiring.scrubber)
        sys.stderr = hooks.ScrubbedStream(wiring.stderr, lambda: wiring.scrubber)


def root() -> Group:
    """Return the `twg` command."""
    import asyncclick as click  # noqa: PLC0415 - not before the arguments are known to be clean

    from twg.cli.command import Group  # noqa: PLC0415 - likewise

    async def nothing() -> None:
        """Do nothing: the group only leads to its commands."""

    group = Group(
        "twg",
        lazy=COMMANDS,
        callback=nothing,
        help="Sign in to Atlassian, and let AI agents use it without ever touching a token.",
        epilog="`twg COMMAND --help` tells more. Start with `twg login`, or `twg demo` to watch.",
    )
    group.params.append(
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_print_version,
            help="Print the version.",
        )
    )
    return group


def _git_remote() -> Command:
    from twg.cli.git_remote import git_remote  # noqa: PLC0415 - see root

    return git_remote


def _print_version(ctx: object, _param: object, value: object) -> None:
    import asyncclick as click  # noqa: PLC0415 - see root

    if value and isinstance(ctx, click.Context) and not ctx.resilient_parsing:
        wiring: Wiring = ctx.find_root().obj
        wiring.settle_output()
        wiring.output.result({"version": __version__}, [f"twg {__version__}"])
        raise click.exceptions.Exit(0)


def _work(wiring: Wiring, rest: Awaitable[int]) -> int:
    import anyio  # noqa: PLC0415 - only for commands that get so far: it costs as much as they do

    return anyio.run(_run_until_signal, wiring, rest)


async def _run_until_signal(wiring: Wiring, rest: Awaitable[int]) -> int:
    """Run the command; Ctrl-C, SIGTERM and SIGHUP cancel it, which shielded sections outlast."""
    import anyio  # noqa: PLC0415 - see root

    _collect_from_now_on()
    done: list[int] = []
    async with anyio.create_task_group() as tasks:
        # A scope of the command's own: who listens for signals goes on when it is cancelled.
        command = anyio.CancelScope()
        if sys.platform != "win32":
            await tasks.start(_cancel_on_signal, command, wiring)
        with command:
            done.append(await rest)
        tasks.cancel_scope.cancel()
    return done[0] if done else _fail(wiring, KeyboardInterrupt())


async def _run_command(wiring: Wiring, wanted: Callable[[], Command | Group]) -> int:
    status = 0
    try:
        with _while_somebody_reads():
            status = await _invoke(wiring, wanted())
    except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 - the one place they end
        status = _fail(wiring, error)
    return status


@contextmanager
def _while_somebody_reads() -> Iterator[None]:
    """Let the block end quietly when whoever reads our output goes away."""
    try:
        yield
    except BrokenPipeError:
        # The rest of the output has nowhere to go, and Python would try to write it at its end.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                give_up(stream)


async def _invoke(wiring: Wiring, command: Command | Group) -> int:
    # Not click's own `main`: it exits by itself on a broken pipe.
    import asyncclick as click  # noqa: PLC0415 - see root

    try:
        async with await command.make_context(
            command.name, list(wiring.argv), obj=wiring
        ) as context:
            await command.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        if wiring.output.mode == "json":
            raise click.UsageError("a command is missing", ctx=error.ctx) from error
        wiring.output.raw(error.format_message())
    wiring.output.complete()
    return 0


async def _cancel_on_signal(
    scope: CancelScope, wiring: Wiring, *, task_status: TaskStatus[None]
) -> None:
    import signal  # noqa: PLC0415 - see root

    import anyio  # noqa: PLC0415 - see root

    # Held open after the first: otherwise a second Ctrl-C would be Python's own, which breaks into
    # the very sections that are shielded.
    # What is ignored from the start, as SIGHUP under nohup, stays so.
    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heard = [each for each in wanted if signal.getsignal(each) != signal.SIG_IGN]
    with anyio.open_signal_receiver(*heard) as signals:
        task_status.started()
        async for _ in signals:
            if scope.cancel_called:
                _tell_what_is_awaited(wiring)
            scope.cancel()


def _tell_what_is_awaited(wiring: Wiring) -> None:
    if wiring.awaited:
        what = " and ".join(wiring.awaited)
        wiring.output.say(f"twg: still waiting for {what}; cut short, the sign-in would be lost")


def _refuse(wiring: Wiring, error: SecretRefused) -> int:
    try:
        wiring.note_refusal(error)
    except (GuardError, TwgError) as unwritten:
        wiring.output.warn(f"this could not be recorded: {unwritten}")
    return _fail(wiring, error)


def _fail(wiring: Wiring, error: BaseException) -> int:
    from twg.cli.failure import failure_of  # noqa: PLC0415 - only where something failed

    failure = failure_of(error)
    wiring.settle_output()
    _keep(wiring, failure)
    with _while_somebody_reads():
        if wiring.options.verbose:
            _show_traceback(wiring, error)
        if not isinstance(error, SecretRefused):
            wiring.output.failure(failure, data=getattr(error, "data", None))
    if isinstance(error, SecretRefused):
        _report_refusal(wiring, error, failure)
    return failure.exit_status


def _keep(wiring: Wiring, failure: Failure) -> None:
    from twg.cli import last_error  # noqa: PLC0415 - only where something failed

    last_error.keep(wiring, failure)


def _report_refusal(wiring: Wiring, error: SecretRefused, failure: Failure) -> None:
    """Say that a secret was refused, and clean up after it."""
    from twg.cli.aftermath import clean_up  # noqa: PLC0415 - only where there was a secret

    if wiring.output.mode == "json":
        done = clean_up(wiring, error)
        with _while_somebody_reads():
            wiring.output.failure(failure, data=done and {"history": done.as_dict()})
        return
    # Said first, for histories may take a while.
    with _while_somebody_reads():
        wiring.output.failure(failure)
    done = clean_up(wiring, error)
    with _while_somebody_reads():
        for line in done.lines(wiring) if done else ():
            wiring.output.say(f"  {line}")


def _show_traceback(wiring: Wiring, error: BaseException) -> None:
    import traceback  # noqa: PLC0415 - rarely needed

    text = wiring.scrubber.text("".join(traceback.format_exception(error)))
    for line in text.splitlines():
        wiring.output.say(line)
