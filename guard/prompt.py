"""Asks a person at the controlling terminal: for secrets hidden, for other things in sight.

For a secret prompt_toolkit only tells the keys. Its editor would keep what was typed in an undo
stack and unread keys in a store of its own, and would draw once a key, which tells the length; so
what was typed is kept here, in one place that is emptied, and drawn as nothing or a fixed mask.
"""

from __future__ import annotations

import codecs
import contextlib
from typing import TYPE_CHECKING, Final

import anyio

from guard.errors import HumanRequired, PromptInterrupted, PromptTimedOut, SecretRejected
from guard.process import hide_memory
from guard.terminal import controlling_terminal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding.key_processor import KeyPress, KeyPressEvent

    from guard.agents import Agent
    from guard.custody import Custody
    from guard.secret import Secret
    from guard.terminal import ControllingTerminal

SECONDS: Final = 300.0
LIMIT: Final = 16384
SHORTEST: Final = 8
_TRIES: Final = 3
_MASK: Final = "*" * 6
# How long nothing may follow Return before it counts: a paste that the terminal does not mark
# comes in pieces, and what follows its first line must not end up as a command in the shell. The
# more lines, the surer it is a paste, and the longer it is waited for.
_PASTE_SECONDS: Final = 0.05
_LONG_PASTE_SECONDS: Final = 1.0
_HARMLESS_AROUND: Final = " \t\r\n\u00a0"

_PASTE: Final = "<bracketed-paste>"
_CTRL_C: Final = b"\x03"
_RETURNS: Final = (b"\n", b"\r")
_USUAL_COLUMNS: Final = 80
_FRAME: Final = 10  # columns that a list of choices takes beside the longest


class HiddenPrompt:
    """Asks a person for a secret; the only way by which secrets enter.

    Args:
        custody: Takes in what is entered.
        agent: The AI agent that runs this process; it is refused.
        command: The command that a person should run instead, for the refusal.
    """

    def __init__(self, *, custody: Custody, agent: Agent | None, command: str) -> None:
        self._custody = custody
        self._agent = agent
        self._command = command

    async def ask(
        self,
        kind: str,
        *,
        what: str,
        notes: Sequence[str] = (),
        accepts: Collection[str] | None = None,
        check: Callable[[str], str | None] | None = None,
        seconds: float = SECONDS,
        limit: int = LIMIT,
    ) -> Secret:
        """Ask for a secret, three times at most.

        Args:
            kind: The secret's kind, such as ``client-secret``.
            what: The same for the person, such as ``client secret of acme``.
            notes: Lines to show before: what for, where it goes, how it is kept, where to make it.
            accepts: The kinds in the table of shapes that it may look like, beside none at all;
                None for any.
            check: Returns why a value is not such a secret, in words that do not quote it, or
                None if it is.
            seconds: How long nothing may be typed.
            limit: The most characters it may have.

        Raises:
            HumanRequired: An agent runs this process; nothing is shown.
            TerminalRequired: There is no terminal to ask at.
            SecretRejected: Nothing that was entered can be that secret.
            PromptTimedOut: Nothing was typed for `seconds`.
            PromptInterrupted: The person pressed Ctrl-C, or Ctrl-D, or closed the terminal.
        """

        def fault(value: str) -> str | None:
            return (
                _fault(value, limit)
                or (_other_kind(value, accepts) if accepts is not None else None)
                or (check(value) if check else None)
            )

        value = await self._answer(what, notes, fault, seconds=seconds, limit=limit)
        return self._custody.enter(value, kind)

    async def ask_or_skip(
        self,
        kind: str,
        *,
        what: str,
        notes: Sequence[str] = (),
        check: Callable[[str], str | None] | None = None,
        seconds: float = SECONDS,
    ) -> Secret | None:
        """Ask for a secret that one may go on without, by Return alone; None if they do.

        Args, Raises:
            As `ask`.
        """

        def fault(value: str) -> str | None:
            return (_fault(value, LIMIT) or (check(value) if check else None)) if value else None

        value = await self._answer(what, notes, fault, seconds=seconds, limit=LIMIT, skippable=True)
        return self._custody.enter(value, kind) if value else None

    async def _answer(
        self,
        what: str,
        notes: Sequence[str],
        fault: Callable[[str], str | None],
        *,
        seconds: float,
        limit: int,
        skippable: bool = False,
    ) -> str:
        """Return the first answer in which `fault` finds nothing."""
        _refuse_agent(self._agent, self._command)
        hide_memory()  # before there is anything in it
        with controlling_terminal() as terminal:
            line = _HiddenLine(terminal, what, seconds=seconds, limit=limit, skippable=skippable)
            # Hidden first: whoever types at the sight of the question is hidden already.
            with terminal.hidden(line.draw):
                for note in notes:
                    _say(terminal, note)
                return await _first_sound(terminal, what, line.ask, fault, seen=False)


class VisiblePrompt:
    """Asks a person for what is no secret, and refuses what looks like one.

    Args:
        agent: The AI agent that runs this process; it is refused.
        command: The command that a person should run instead, for the refusal.
    """

    def __init__(self, *, agent: Agent | None, command: str) -> None:
        self._agent = agent
        self._command = command

    async def ask(
        self,
        what: str,
        *,
        default: str | None = None,
        check: Callable[[str], str | None] | None = None,
        seconds: float = SECONDS,
    ) -> str:
        """Ask for a line of text, three times at most.

        Args:
            what: What is asked for, such as ``account e-mail``.
            default: The answer if the line is empty, even an empty one; None if there must be one.
            check: Returns why an answer is none, in words, or None if it is one.
            seconds: How long to wait for it.

        Raises:
            SecretRejected: An answer looked like a secret, or none was of use.
            HumanRequired, TerminalRequired, PromptTimedOut, PromptInterrupted: As `HiddenPrompt`.
        """
        _refuse_agent(self._agent, self._command)
        with controlling_terminal() as terminal:

            async def line() -> str:
                label = _shown(f"{what[:1].upper()}{what[1:]}")
                terminal.write(f"{label} [{_shown(default)}]: " if default else f"{label}: ")
                return await _visible_line(terminal, seconds) or default or ""

            def fault(value: str) -> str | None:
                if value == default:
                    return None
                return _visible_fault(value, what) or (check(value) if check else None)

            return await _first_sound(terminal, what, line, fault, seen=True)

    async def agrees(self, question: str, *, usually: bool = False) -> bool:
        """Ask what ``y`` or ``yes`` agrees to; any other answer does not.

        Args:
            question: The question, with what to answer.
            usually: Whether an empty line agrees, too.

        Raises:
            As `ask`.
        """
        default = "y" if usually else "n"
        return (await self.ask(question, default=default)).lower() in {"y", "yes"}

    async def choose(
        self, question: str, options: Sequence[str], *, seconds: float = SECONDS
    ) -> int:
        """Ask for one of several: by arrow keys or number, or number alone in a plain terminal.

        Args:
            question: What is to be chosen, as a line of text.
            options: What there is to choose from, a line each.
            seconds: How long to wait for it.

        Returns:
            The index of the option chosen.

        Raises:
            SecretRejected: No answer was one of the numbers.
            HumanRequired, TerminalRequired, PromptTimedOut, PromptInterrupted: As `HiddenPrompt`.
        """
        _refuse_agent(self._agent, self._command)
        shown = [_shown(option) for option in options]
        with controlling_terminal() as terminal:
            if _have_room(terminal, shown):
                with _limited(seconds):
                    chosen = await _choose_by_arrows(terminal, _shown(question), shown)
                if chosen is not None:
                    return chosen
            numbered = [f"{number}. {option}" for number, option in enumerate(shown, 1)]
            for line in (question, *numbered):
                _say(terminal, line)
        count = len(shown)

        def fault(value: str) -> str | None:
            known = value.isdecimal() and 1 <= int(value) <= count
            return None if known else f"it is not one of 1 to {count}"

        return int(await self.ask("number", default="1", check=fault, seconds=seconds)) - 1


class _HiddenLine:
    """A line that is typed or pasted, and not shown.

    Args:
        terminal: Where; it must not echo.
        what: What is asked for.
        seconds: How long nothing may be typed.
        limit: The most characters that are of use.
        skippable: Whether Return alone is an answer, too.
    """

    def __init__(
        self,
        terminal: ControllingTerminal,
        what: str,
        *,
        seconds: float,
        limit: int,
        skippable: bool = False,
    ) -> None:
        self._terminal = terminal
        self._what = what
        self._skippable = skippable
        self._seconds = seconds
        self._limit = limit
        self._patience = anyio.CancelScope()
        self._forget()

    async def ask(self) -> str:
        """Ask once, and return what was entered, without blanks around it."""
        _say(self._terminal, f"Paste the {self._what} and press Return; nothing of it is shown.")
        if self._skippable:
            _say(self._terminal, "Return alone goes on without it.")
        self.draw()
        try:
            # What is typed is in no variable here or above: a traceback keeps those.
            while not self._done:
                await self._take_in()
                if self._left:
                    raise PromptInterrupted
            return "".join(self._typed).strip(_HARMLESS_AROUND)
        finally:
            self._forget()
            self._terminal.write("\n")

    def draw(self) -> None:
        """Draw the line anew, and wait anew: the process may have been stopped for an hour."""
        self._terminal.write("\r> " + (_MASK if self._masked else ""))
        if not self._returns:
            self._patience.deadline = anyio.current_time() + self._seconds

    def _forget(self) -> None:
        from prompt_toolkit.input.vt100_parser import Vt100Parser  # noqa: PLC0415 - only to ask

        self._typed: list[str] = []
        self._masked = self._done = self._left = False
        self._returns = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._keys = Vt100Parser(self._press)

    async def _take_in(self) -> None:
        """Take in what is typed next; done once Return was pressed and nothing follows it."""
        pause = min(self._returns * _PASTE_SECONDS, _LONG_PASTE_SECONDS)
        with anyio.move_on_after(pause or self._seconds) as self._patience:
            data = await self._terminal.read()
            # A marked paste that never ends swallows keys; Ctrl-C gets out of it all the same.
            self._left = not data or _CTRL_C in data
            self._keys.feed(self._decoder.decode(data))
            self._draw_mask()
            return
        if not self._returns:
            raise PromptTimedOut(self._seconds)
        self._done = True

    def _press(self, press: KeyPress) -> None:
        match "" if press.key == _PASTE else press.data:
            case "\r" | "\n":
                self._returns += 1
                self._typed.append("\n")
            case "\x08" | "\x7f":  # Backspace
                self._typed[-1:] = []
            case "\x15" | "\x17":  # Ctrl-U and Ctrl-W: words cannot be told apart unseen
                self._typed.clear()
            case "\x04" if not self._typed:  # Ctrl-D
                self._left = True
            case "\x1a":  # Ctrl-Z
                self._terminal.stop_job()
            case _:
                # More than can be of use is not kept; what is harmless around it may be long.
                room = max(0, 2 * self._limit - len(self._typed))
                self._typed.extend(press.data[:room])

    def _draw_mask(self) -> None:
        if self._masked != any(character != "\n" for character in self._typed):
            self._terminal.write("\b \b" * len(_MASK) if self._masked else _MASK)
            self._masked = not self._masked


async def _first_sound(
    terminal: ControllingTerminal,
    what: str,
    ask: Callable[[], Awaitable[str]],
    fault: Callable[[str], str | None],
    *,
    seen: bool,
) -> str:
    """Return the first answer in which `fault` finds nothing; the last one's fault is raised."""
    for tries_left in reversed(range(_TRIES)):
        answer = await ask()
        reason = fault(answer)
        if reason is None:
            return answer
        del answer  # a traceback keeps this frame
        error = SecretRejected(what, reason, seen=seen)
        if not tries_left:
            raise error
        words = str(error)
        _say(terminal, f"{words[:1].upper()}{words[1:]}")
    raise AssertionError  # pragma: no cover - the last try returns or raises


async def _visible_line(terminal: ControllingTerminal, seconds: float) -> str:
    """Return a line that the terminal shows and lets edit as it does by itself."""
    data = b""
    try:
        with _limited(seconds):
            while not data.endswith(_RETURNS) and (piece := await terminal.read()):
                data += piece
    finally:
        terminal.discard_typed()
        if not data.endswith(_RETURNS):
            terminal.write("\n")
    if not data.endswith(_RETURNS):
        raise PromptInterrupted
    return data.decode("utf-8", "surrogateescape").strip()


async def _choose_by_arrows(
    terminal: ControllingTerminal, question: str, options: Sequence[str]
) -> int | None:
    """Return the index of the option chosen; None if this terminal cannot be waited for."""
    with _toolkit_session(terminal):
        try:
            # Its handling of SIGINT would undo the program's own, for good. Ctrl-C is a key here,
            # and for the signal the program cancels this task.
            return await _picker(question, options).run_async(handle_sigint=False)
        except EOFError:
            # Hung up, which the next reading tells, or macOS: see `ControllingTerminal`.
            return None


def _picker(question: str, options: Sequence[str]) -> Application[int]:
    """Return a list to choose from: arrow keys or the option's number, then Return."""
    from prompt_toolkit.application import Application  # noqa: PLC0415 - only to ask
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415 - likewise
    from prompt_toolkit.layout import HSplit, Layout  # noqa: PLC0415 - likewise
    from prompt_toolkit.widgets import Label, RadioList  # noqa: PLC0415 - likewise

    choices = RadioList(
        list(enumerate(options)),
        select_on_focus=True,
        open_character=" ",
        select_character=">",
        close_character=" ",
        show_cursor=False,
        show_numbers=True,
        show_scrollbar=False,
    )
    keys = KeyBindings()

    @keys.add("enter", eager=True)
    def accept(event: KeyPressEvent) -> None:
        event.app.exit(result=choices.current_value)

    @keys.add("c-c")
    @keys.add("c-d")
    def interrupt(event: KeyPressEvent) -> None:
        event.app.exit(exception=PromptInterrupted())

    @keys.add("c-z")
    def suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    shown = HSplit([Label(question, dont_extend_height=True), choices])
    return Application(layout=Layout(shown, focused_element=choices), key_bindings=keys)


@contextlib.contextmanager
def _toolkit_session(terminal: ControllingTerminal) -> Iterator[None]:
    """Let prompt_toolkit use this terminal, and ask it nothing: not all of them answer."""
    from prompt_toolkit.application import create_app_session  # noqa: PLC0415 - only to ask
    from prompt_toolkit.data_structures import Size  # noqa: PLC0415 - likewise
    from prompt_toolkit.input.vt100 import Vt100Input  # noqa: PLC0415 - likewise
    from prompt_toolkit.output.vt100 import Vt100_Output  # noqa: PLC0415 - likewise

    def size() -> Size:
        columns, rows = terminal.size()
        return Size(rows=rows, columns=columns)

    with (
        open(terminal.source, closefd=False) as source,
        open(terminal.sink, "w", closefd=False) as sink,
        create_app_session(Vt100Input(source), Vt100_Output(sink, size, enable_cpr=False)),
    ):
        yield


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise PromptTimedOut(seconds)


def _have_room(terminal: ControllingTerminal, options: Sequence[str]) -> bool:
    """Tell whether a list of the options can be drawn whole."""
    columns, rows = terminal.size()
    longest = max(map(len, options))
    return not terminal.plain and len(options) + 2 < rows and longest + _FRAME < columns


def _refuse_agent(agent: Agent | None, command: str) -> None:
    if agent is not None:
        raise HumanRequired(agent.name, command)


def _fault(value: str, limit: int) -> str | None:
    """Return why no secret can be `value`, in words that do not quote it; None if one can."""
    faults = (
        (not value, "nothing was entered"),
        (len(value) > limit, f"it is longer than {limit} characters"),
        ("\n" in value or "\r" in value, "it is several lines"),
        (not value.isascii(), "it holds characters outside ASCII, which may be invisible"),
        (not value.isprintable(), "it holds control characters"),
        (len(value) < SHORTEST, f"it is shorter than {SHORTEST} characters"),
    )
    return next((reason for wrong, reason in faults if wrong), None)


def _other_kind(value: str, accepts: Collection[str]) -> str | None:
    """Return what `value` looks like, if that is none of the kinds in `accepts`."""
    from guard import shapes  # noqa: PLC0415 - only where something is asked

    shape = shapes.looks_like(value)
    return None if shape is None or shape.kind in accepts else f"it looks like {shape.name}"


def _visible_fault(value: str, what: str) -> str | None:
    """Return why `value` is no answer; None if it may be one.

    Raises:
        SecretRejected: It looks like a secret: to ask again would invite it again.
    """
    from guard import shapes  # noqa: PLC0415 - only where something is asked

    shape = shapes.looks_like(value)
    if shape is not None:
        raise SecretRejected(what, f"it looks like {shape.name}", seen=True, secret=True)
    if not value:
        return "nothing was entered"
    return None if value.isprintable() else "it holds control or invisible characters"


def _say(terminal: ControllingTerminal, text: str) -> None:
    """Write `text` and end the line, folded between words where the window is narrower."""
    import textwrap  # noqa: PLC0415 - only where something is asked

    columns = terminal.size().columns or _USUAL_COLUMNS
    folded = textwrap.fill(_shown(text), columns, break_long_words=False, break_on_hyphens=False)
    terminal.write(f"{folded}\n")


def _shown(text: str) -> str:
    """Return `text` without what a terminal would obey or not show."""
    return "".join(character for character in text if character.isprintable())
