"""Makes the manual pages out of the commands and the README's tables: ``make man`` writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import asyncclick as click

from tests.docs.markdown import ROOT, read
from twg import __version__
from twg.cli.command import Command, global_options
from twg.cli.main import root
from twg.cli.manual import commands_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DIRECTORY = ROOT / "docs" / "man"

_GLYPHS: Final = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
)
"""What roff would take for something else, or typeset as another character."""
_FOR_ALL = "Every command takes all of them but the last, wherever they stand."
_FOR_PERSONS = "For a person at a terminal alone: an agent is refused."


def pages() -> dict[str, str]:
    """Return every page by the name of its file: one of `twg`, one of each of its commands."""
    whole = root()
    context = click.Context(whole, info_name=whole.name)
    words = [(name, whole.get_command(context, name)) for name in whole.list_commands(context)]
    found = {name: command for name, command in words if command is not None}
    made = {f"twg-{name}.1": _of_command(name, command) for name, command in found.items()}
    return {"twg.1": _of_twg(whole, found)} | made


def roff(text: str) -> str:
    """Return text for roff, with what stands between backticks in bold."""
    pieces = [piece.translate(_GLYPHS) for piece in " ".join(text.split()).split("`")]
    marked = "".join(rf"\fB{piece}\fR" if at % 2 else piece for at, piece in enumerate(pieces))
    marked = re.sub(r"[^\x00-\x7f]", lambda found: rf"\[u{ord(found[0]):04X}]", marked)
    return rf"\&{marked}" if marked.startswith((".", r"\(aq")) else marked


def _of_twg(whole: click.Group, commands: Mapping[str, click.Command]) -> str:
    readme = read("README.md")
    rows = [
        (f"twg-{name}(1)", command.get_short_help_str(200)) for name, command in commands.items()
    ]
    options = _records([each for each in whole.params if isinstance(each, click.Option)])
    files = [(code, f"({mode}) {what}") for code, mode, what in readme.table("File")]
    failures = readme.table("Exit status")[1:]  # the first is that nothing failed
    statuses = [(status, f"{codes}: {when}.") for status, codes, when in failures]
    variables = [(names, f"{what}.") for names, what in readme.table("Read")]
    return _page(
        "twg",
        whole.help or "",
        [
            *_section("Synopsis", [f"{_bold('twg')} [OPTIONS] COMMAND [ARGS]..."]),
            *_section("Description", _paragraphs(f"{whole.help}\n\n{whole.epilog}")),
            *_section("Commands", _list(rows)),
            *_section("Options", [*_list(options), _FOR_ALL]),
            *_section("Exit status", _list([("0", "done."), *statuses])),
            *_section("Files", _list(files)),
            *_section("Environment", _list(variables)),
        ],
        [f"twg-{name}" for name in commands],
    )


def _of_command(name: str, command: click.Command) -> str:
    told = [*commands_below(command, f"twg {name}")]
    body = [*_section("Synopsis", _breaks(_usage(path, one) for path, one in told))]
    if isinstance(command, Command):
        body += _section("Description", _description(command))
        body += _section("Options", _list(_own(command)))
    else:
        body += _section("Description", _paragraphs(command.help or ""))
        body += [".SH COMMANDS"]
        for path, one in told:
            body += [f".SS {roff(path)}", *_description(one), *_list(_own(one))]
    body += _section("Global options", _list(_records(global_options())))
    return _page(f"twg-{name}", command.get_short_help_str(200), body, ["twg"])


def _page(name: str, summary: str, body: Iterable[str], others: Iterable[str]) -> str:
    lines = [
        r".\" Made from the commands by `make man`.",
        f'.TH {name.upper().translate(_GLYPHS)} 1 "" "twg {__version__}" "twg"',
        ".nh",  # what is broken by a hyphen cannot be copied
        ".ad l",
        ".SH NAME",
        rf"{roff(name)} \- {roff(summary).rstrip('.')}",
        *body,
        ".SH SEE ALSO",
        ",\n".join(f".BR {roff(other)} (1)" for other in others),
    ]
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    inside = [*lines]
    return [f".SH {title.upper()}", *inside] if inside else []


def _description(command: Command) -> list[str]:
    lines = _paragraphs(command.help or "")
    return [*lines, ".PP", _FOR_PERSONS] if command.human_only else lines


def _paragraphs(text: str) -> list[str]:
    found = [roff(each) for each in re.split(r"\n\s*\n", text.strip()) if each.strip()]
    return "\n.PP\n".join(found).split("\n") if found else []


def _breaks(lines: Iterable[str]) -> list[str]:
    return "\n.br\n".join(lines).split("\n")


def _list(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, what in rows:
        yield from (".TP", _bold(term.replace("`", "")), roff(what))
    yield ".PP"


def _bold(term: str) -> str:
    return rf"\fB{roff(term)}\fR"


def _usage(path: str, command: Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command, info_name=path))
    return " ".join([_bold(path), *map(roff, pieces)])


def _own(command: Command) -> list[tuple[str, str]]:
    everywhere = {name for each in global_options() for name in each.opts}
    options = [each for each in command.params if isinstance(each, click.Option)]
    return _records([each for each in options if not everywhere.intersection(each.opts)])


def _records(options: Iterable[click.Option]) -> list[tuple[str, str]]:
    context = click.Context(click.Command("twg"))
    return [record for each in options if (record := each.get_help_record(context)) is not None]


def main() -> None:
    """Write them all, and remove those of commands that are gone."""
    made = pages()
    DIRECTORY.mkdir(exist_ok=True)
    for old in DIRECTORY.glob("*.1"):
        if old.name not in made:
            old.unlink()
    for name, page in made.items():
        (DIRECTORY / name).write_text(page)


if __name__ == "__main__":
    main()
