"""`twg api`: an authenticated call, its answer, and never the credential."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg.cli.again import signed_in_again
from twg.cli.command import command, stored
from twg.errors import AuthExpired, AuthRevoked, TwgError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from twg.cli.api_file import OutputFile
    from twg.cli.api_pages import Manner, Page, Shown, Sink
    from twg.cli.calling import Line
    from twg.cli.streamed import Streamed
    from twg.cli.wiring import Wiring
    from twg.errors import HttpError
    from twg.http import Response, Stream
    from twg.products.call import Call

_FIRST_ERROR: Final = 400
_FIRST_REDIRECT: Final = 300
_GRAPHQL: Final = "graphql"
_LARGEST_DOCUMENT: Final = 64 * 1024 * 1024
_SMALL: Final = 64 * 1024
_TEXTUAL: Final = ("text/", "application/json", "application/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for, by the names of the options.

    Attributes:
        service: What is called.
        path: Where; None where it follows from the service.
        site: On which site; None for the default one.
        method: How; None where it follows from the rest.
        raw_field: Fields that are texts.
        field: Fields of other types, and from files.
        header: Further headers.
        input: The file that is the body.
        paginate: Follow the pages.
        slurp: Show all pages as one list.
        include: Show status and headers, too.
        silent: Show no body.
        query: What to show of each answer.
        jsonl: Show one line for each item.
        output_file: Where to put the answer.
    """

    service: str
    path: str | None
    site: str | None
    method: str | None
    raw_field: tuple[str, ...]
    field: tuple[str, ...]
    header: tuple[str, ...]
    input: str | None
    paginate: bool
    slurp: bool
    include: bool
    silent: bool
    query: str | None
    jsonl: bool
    output_file: str | None


@command(
    "api",
    params=[
        click.Argument(["service"], metavar="SERVICE", shell_complete=stored("service")),
        click.Argument(["path"], metavar="[PATH]", required=False),
        click.Option(["-X", "--method"], metavar="METHOD", help="GET, or POST with fields."),
        click.Option(
            ["-f", "--raw-field"],
            metavar="K=V",
            multiple=True,
            help="Send a text as a field: in the query of a GET, else in a JSON body.",
        ),
        click.Option(
            ["-F", "--field"],
            metavar="K=V",
            multiple=True,
            help="Likewise; true, false, null and whole numbers are those, @FILE is its text.",
        ),
        click.Option(["-H", "--header"], metavar="K:V", multiple=True, help="Send a header, too."),
        click.Option(["--input"], metavar="FILE", help="Send this file as the body; - is stdin."),
        click.Option(["--paginate"], is_flag=True, help="Go on with the next pages to the end."),
        click.Option(["--slurp"], is_flag=True, help="With --paginate: show one list of pages."),
        click.Option(["-i", "--include"], is_flag=True, help="Show status and headers, too."),
        click.Option(["--silent"], is_flag=True, help="Show no body."),
        click.Option(["-q", "--query"], metavar="EXPR", help="Show what this JMESPath chooses."),
        click.Option(["--jsonl"], is_flag=True, help="Show one line of JSON for each item."),
        click.Option(["--output-file"], metavar="FILE", help="Put the answer there, 0600."),
        click.Option(
            ["--site"],
            metavar="HOST",
            shell_complete=stored("site"),
            help="Call this site, not the default one.",
        ),
    ],
)
async def api(wiring: Wiring, **words: Any) -> None:
    """Call PATH at SERVICE: jira, confluence, atlassian, graphql, bitbucket or admin.

    Base address, site and credential follow from the sign-in; for admin, from the organization
    that `twg admin auth switch` chose. For graphql the path follows, too. Fields are nested by
    a[b]=V and make lists by a[]=V. For example:

    twg api jira /rest/api/3/myself

    twg api jira /rest/api/3/search/jql -X GET -f jql='project=ORC' --paginate

    twg api graphql -f query='query { me { user { name } } }'
    """
    from twg.cli.api_call import call_of  # noqa: PLC0415 - httpx only where it is used
    from twg.cli.api_input import Brought  # noqa: PLC0415 - likewise

    options = Options(**words)
    _check(options, wiring.output.mode)
    brought = Brought(wiring.settings)
    call = await call_of(options, brought)
    try:
        await _run(wiring, options, call, brought.parts)
    except (AuthExpired, AuthRevoked) as ended:
        # What is half shown is not shown once more.
        if wiring.output.has_answered or not await signed_in_again(wiring, ended):
            raise
        await _run(wiring, options, call, brought.parts)


def _check(options: Options, mode: str) -> None:
    """Refuse options that exclude each other."""
    shown = {
        "--slurp": options.slurp,
        "--jsonl": options.jsonl,
        "--include": options.include,
        "--silent": options.silent,
        "--query": options.query is not None,
        "--output-file": options.output_file is not None,
        "--input": options.input is not None,
        "--paginate": options.paginate,
    }
    for one, other in _APART:
        if shown[one] and shown[other]:
            raise UsageError(f"{one} and {other} exclude each other", "Leave one of them out.")
    if options.slurp and not options.paginate:
        raise UsageError("--slurp makes one list of pages, so it goes with --paginate")
    if options.jsonl and mode == "json" and options.output_file is None:
        raise UsageError(
            "--jsonl makes many documents, and with json output there is exactly one",
            "Add --output-file FILE, or -o text.",
        )


_APART: Final = (
    ("--slurp", "--jsonl"),
    ("--slurp", "--query"),
    ("--jsonl", "--include"),
    ("--silent", "--jsonl"),
    ("--silent", "--query"),
    ("--silent", "--output-file"),
    ("--include", "--output-file"),
    ("--input", "--paginate"),
)


async def _run(
    wiring: Wiring, options: Options, call: Call, brought: list[tuple[str, bytes]]
) -> None:
    from twg.cli.calling import line_to  # noqa: PLC0415 - httpx only where it is used

    manner = _manner(options)
    async with line_to(wiring, call.service, options.site) as line:
        call = line.settled(call, brought)
        async with _file(wiring, options) as file:
            if _is_passed_on(wiring, options, call, file):
                told = await _pass_on(wiring, line, call, manner, file)
            else:
                told = await _read(wiring, line, call, options, manner, file)
            if file is not None:
                await file.finish()
                _tell(wiring, file, told)


def _manner(options: Options) -> Manner:
    from twg.cli.api_pages import Expression, Manner  # noqa: PLC0415 - httpx behind it

    return Manner(
        include=options.include,
        silent=options.silent,
        slurp=options.slurp,
        jsonl=options.jsonl,
        expression=None if options.query is None else Expression(options.query),
    )


@asynccontextmanager
async def _file(wiring: Wiring, options: Options) -> AsyncIterator[OutputFile | None]:
    """Have the file for the answer ready before anything is sent, if one is wanted."""
    if options.output_file is None:
        yield None
        return
    from pathlib import Path  # noqa: PLC0415 - its import is not free

    from twg.cli.api_file import OutputFile  # noqa: PLC0415 - only with --output-file

    path = Path(options.output_file)
    async with OutputFile(path, wiring.settings, wiring.scrubber) as file:
        yield file


def _is_passed_on(wiring: Wiring, options: Options, call: Call, file: OutputFile | None) -> bool:
    """Tell whether the answer can go through as it comes, however long it is."""
    if options.paginate or options.jsonl or options.query is not None or call.service == _GRAPHQL:
        return False
    return file is not None or wiring.output.mode == "text"


async def _pass_on(
    wiring: Wiring, line: Line, call: Call, manner: Manner, file: OutputFile | None
) -> dict[str, Any]:
    """Show an answer as it comes, in constant memory."""
    from twg.cli.api_pages import head_of  # noqa: PLC0415 - httpx behind it

    async with line.open(call) as answer:
        if answer.status >= _FIRST_ERROR:
            raise _error(wiring, line, call, await answer.whole(_LARGEST_DOCUMENT), manner)
        if file is not None:
            await _copy(wiring, line, call, answer, file)
        else:
            with _streaming(wiring) as stream:
                if manner.include:
                    stream.write(head_of(answer.status, answer.headers))
                await _copy(wiring, line, call, answer, None if manner.silent else stream)
                kind = answer.headers.get("content-type", "text/")
                stream.finish(line=kind.startswith(_TEXTUAL))
        _tell_of_redirect(wiring, answer)
        return {"status": answer.status}


@contextmanager
def _streaming(wiring: Wiring) -> Iterator[Streamed]:
    """Stream to standard output; of what ends in the middle, show what has come."""
    stream = wiring.output.stream()
    try:
        yield stream
    except TwgError:
        stream.stop()
        raise


async def _copy(wiring: Wiring, line: Line, call: Call, answer: Stream, sink: Sink | None) -> None:
    """Copy a body as it comes, and look at it if it is small."""
    small = bytearray()
    async for chunk in answer.chunks:
        if len(small) <= _SMALL:
            small += chunk
        if sink is not None:
            sink.write(chunk)
    if len(small) <= _SMALL:
        _tell_if_empty(wiring, line, call, bytes(small))


async def _read(
    wiring: Wiring,
    line: Line,
    call: Call,
    options: Options,
    manner: Manner,
    file: OutputFile | None,
) -> dict[str, Any]:
    """Show answers that are read to their ends one by one: pages, or what is chosen from."""
    from twg.cli.api_pages import Once, Written, listing  # noqa: PLC0415 - httpx behind it

    if file is not None:
        return await _pages(wiring, line, call, options, manner, Written(file, manner))
    if wiring.output.mode == "text":
        with _streaming(wiring) as stream:
            told = await _pages(wiring, line, call, options, manner, Written(stream, manner))
            stream.finish(line=True)
            return told
    if not options.paginate:
        return await _pages(wiring, line, call, options, manner, Once(wiring.output, manner))
    async with listing(wiring, manner) as listed:
        return await _pages(wiring, line, call, options, manner, listed)


async def _pages(
    wiring: Wiring, line: Line, call: Call, options: Options, manner: Manner, shown: Shown
) -> dict[str, Any]:
    from twg.cli.api_walk import Walk  # noqa: PLC0415 - httpx behind it

    walk = Walk(wiring, line, lambda page, at: _checked(wiring, line, at, page, manner))
    await walk.go(call, shown, paginate=options.paginate)
    if walk.items == 0 and (why := line.service.why_empty(call)):
        wiring.output.warn(why)
    return {"status": walk.status, "pages": walk.pages}


def _checked(wiring: Wiring, line: Line, call: Call, page: Page, manner: Manner) -> None:
    """Raise what an answer means that is none of success."""
    from twg.cli.api_errors import is_refusal  # noqa: PLC0415 - httpx behind it

    _tell_of_redirect(wiring, page.answer)
    if is_refusal(call, page):
        raise _error(wiring, line, call, page.answer, manner)


def _error(wiring: Wiring, line: Line, call: Call, answer: Response, manner: Manner) -> HttpError:
    from twg.cli.api_errors import error_of  # noqa: PLC0415 - only for errors

    meaning = line.service.meaning(call, answer)
    return error_of(answer, meaning, manner, wiring.scrubber)


def _tell_of_redirect(wiring: Wiring, answer: Response | Stream) -> None:
    if _FIRST_REDIRECT <= answer.status < _FIRST_ERROR and (to := answer.headers.get("location")):
        wiring.output.warn(
            f"the service sends on to {to.partition('?')[0]}; the credential does not follow"
        )


def _tell_if_empty(wiring: Wiring, line: Line, call: Call, body: bytes) -> None:
    from twg.http import BadBody, strict_json  # noqa: PLC0415 - httpx only where it is used
    from twg.products.paging import items_of  # noqa: PLC0415 - likewise

    why = line.service.why_empty(call)
    try:
        if why and items_of(strict_json(body)) == []:
            wiring.output.warn(why)
    except BadBody:
        return


def _tell(wiring: Wiring, file: OutputFile, told: dict[str, Any]) -> None:
    path = wiring.shown(file.path)
    data = {"file": str(file.path), "bytes": file.size, **told}
    wiring.output.result(data, [f"✔ {file.size} bytes in {path}"])
