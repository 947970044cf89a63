"""A program that asks at its terminal as an order says, and notes in a file what came of it.

It ends on SIGTERM and SIGHUP the way `twg` does: by cancelling. Its exit status is 0 where it was
answered, else 1.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio

import guard
from guard.agents import Agent
from guard.custody import Custody
from guard.errors import GuardError
from guard.prompt import HiddenPrompt, VisiblePrompt

if TYPE_CHECKING:
    from types import TracebackType

GUARD = Path(guard.__file__).parent
PURPOSE = "compare in a test"
PR_GET_DUMPABLE = 3


class Ear:
    """Hears what a scrubber learns and what an audit record notes."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def learn(self, _value: str, kind: str) -> None:
        self.heard.append(f"learnt {kind}")

    def record(self, event: str, **_facts: object) -> None:
        self.heard.append(event)


class Program:
    """Carries out one order.

    Args:
        notes: The file that gets a line of JSON for each question.
        order: What to ask and how; see the tests.
    """

    def __init__(self, notes: Path, order: dict[str, Any]) -> None:
        self.notes = notes
        self.order = order
        self.ear = Ear()
        self.custody = Custody(cast("Any", self.ear), cast("Any", self.ear))
        name = order.get("agent")
        self.agent = Agent(name=name, sign="declared") if name else None

    def note(self, **facts: Any) -> None:
        with self.notes.open("a") as file:
            file.write(json.dumps(facts) + "\n")

    async def run(self) -> int:
        """Ask until cancelled; return the exit status."""
        status = 1
        async with anyio.create_task_group() as tasks:
            await tasks.start(self.cancel_on_signal, tasks.cancel_scope)
            if self.order.get("listener"):
                await tasks.start(self.listen, tasks.cancel_scope)
            status = await self.ask_all()
            tasks.cancel_scope.cancel()
        return status

    async def cancel_on_signal(self, scope: anyio.CancelScope, *, task_status: Any) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number != signal.SIGHUP or not self.order.get("nohup"):
                    self.note(signal=signal.Signals(number).name)
                    scope.cancel()

    async def listen(self, scope: anyio.CancelScope, *, task_status: Any) -> None:
        """Be what comes first sometimes: a listener that hears on SIGUSR1."""
        with anyio.open_signal_receiver(signal.SIGUSR1) as signals:
            task_status.started()
            async for _ in signals:
                scope.cancel()
                return

    async def ask_all(self) -> int:
        for number in range(self.order.get("times", 1)):
            try:
                answer = await self.ask(f"secret {number}")
                self.note(answer=answer, heard=self.ear.heard, mine=handled_signals())
            except GuardError as error:
                self.note(
                    error=type(error).__name__,
                    message=str(error),
                    remedy=error.remedy,
                    leaks=leaks(error.__traceback__, self.order.get("typed", "")),
                )
                return 1
        return 0

    def check_slowly(self, _value: str) -> None:
        """Hold up everything until SIGUSR1."""
        self.note(checking=True)
        signal.sigwait({signal.SIGUSR1})

    def check_memory(self, _value: str) -> None:
        """Note whether others of this user may read this process (Linux)."""
        import ctypes  # noqa: PLC0415 - only where it is asked

        self.note(open=ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)

    async def ask(self, what: str) -> str | int:
        given = ("seconds", "accepts")
        options = {name: self.order[name] for name in given if name in self.order}
        wanted = self.order.get("wanted")
        check = (lambda value: None if value == wanted else "it is another") if wanted else None
        check = self.check_slowly if self.order.get("slow") else check
        check = self.check_memory if self.order.get("memory") else check
        command = "twg login"
        match self.order.get("how"):
            case "visible":
                visible = VisiblePrompt(agent=self.agent, command=command)
                default = self.order.get("default")
                return await visible.ask("answer", default=default, check=check, **options)
            case "choose":
                visible = VisiblePrompt(agent=self.agent, command=command)
                return await visible.choose("Which one?", self.order["options"], **options)
        hidden = HiddenPrompt(custody=self.custody, agent=self.agent, command=command)
        notes = self.order.get("notes", ())
        if self.order.get("how") == "skippable":
            maybe = await hidden.ask_or_skip(
                "client-secret", what=what, notes=notes, check=check, **options
            )
            return "skipped" if maybe is None else maybe.reveal(PURPOSE)
        limit = self.order.get("limit", 16384)
        secret = await hidden.ask(
            "client-secret", what=what, notes=notes, check=check, limit=limit, **options
        )
        return secret.reveal(PURPOSE)


def leaks(traceback: TracebackType | None, typed: str) -> list[str]:
    """Return the functions in whose variables a traceback keeps what was typed."""
    found = []
    while traceback is not None:
        frame = traceback.tb_frame
        things = [*frame.f_locals.values()]
        things += [vars(thing) for thing in things if hasattr(thing, "__dict__")]
        ours = Path(frame.f_code.co_filename).parent == GUARD
        if ours and typed and typed in repr(things):
            found.append(frame.f_code.co_name)
        traceback = traceback.tb_next
    return found


def handled_signals() -> list[str]:
    """Return which of the signals to stop and go on have a handler."""
    numbers = (signal.SIGTSTP, signal.SIGCONT)
    return [number.name for number in numbers if signal.getsignal(number) != signal.SIG_DFL]


def steal() -> None:
    """Read the terminal in a child, as another program would."""
    if os.fork() == 0:
        with open("/dev/tty", "rb", buffering=0) as terminal:  # noqa: PTH123 - a device
            while terminal.read(1):
                pass
        os._exit(0)


def main() -> None:
    """Run the order: the notes' path, then JSON."""
    program = Program(Path(sys.argv[1]), json.loads(sys.argv[2]))
    if program.order.get("thief"):
        steal()
    if program.order.get("late") or program.order.get("slow"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    if program.order.get("late"):
        print("not yet", flush=True)  # noqa: T201 - what a person sees before
        signal.sigwait({signal.SIGUSR1})
    try:
        status = anyio.run(program.run)
    except KeyboardInterrupt:
        program.note(error="KeyboardInterrupt")
        status = 130
    print("the end", flush=True)  # noqa: T201 - what a person sees after
    sys.exit(status)


if __name__ == "__main__":
    main()
