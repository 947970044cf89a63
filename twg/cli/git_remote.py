"""`git-remote-twg`: what git runs for an address such as `twg::https://bitbucket.org/team/repo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import asyncclick as click

from twg.cli.command import command
from twg.errors import ConfigError, TwgError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.cli.wiring import Wiring
    from twg.git.bridge import Bridge
    from twg.git.repository import Call
    from twg.http import Http
    from twg.products.call import Call as ApiCall

_READ_SECONDS: Final = 600.0
"""How long a server may be silent: it looks through a large push before it says a word."""


@command(
    "git-remote-twg",
    params=[
        click.Argument(["remote"], metavar="REMOTE"),
        click.Argument(["address"], metavar="ADDRESS"),
    ],
)
async def git_remote(wiring: Wiring, *, remote: str, address: str) -> None:
    """Let git reach ADDRESS with the stored Bitbucket token, which it never sees.

    Git itself runs this, for addresses that begin with `twg::`:
    `git clone twg::https://bitbucket.org/WORKSPACE/REPOSITORY`
    """
    del remote  # its settings in git's configuration are not followed
    from twg.git import remote_http  # noqa: PLC0415 - only where git asks

    denied: list[TwgError] = []
    async with wiring.http(read_seconds=_READ_SECONDS) as http:
        bridge = await _bridge(wiring, http, address, denied.append)
        async with bridge.open() as at:
            status = await remote_http.run(at, wiring.environ, wiring.umask)
    if denied:
        raise denied[0]
    if status:
        raise click.exceptions.Exit(status)


async def _bridge(
    wiring: Wiring, http: Http, address: str, denied: Callable[[TwgError], None]
) -> Bridge:
    from twg.cli.bitbucket import stored  # noqa: PLC0415 - only where git asks
    from twg.git.bridge import Bridge, Login  # noqa: PLC0415 - likewise
    from twg.git.repository import Repository  # noqa: PLC0415 - likewise
    from twg.http import origin  # noqa: PLC0415 - likewise
    from twg.products import bitbucket  # noqa: PLC0415 - likewise

    repository = Repository.at(address)
    token = await stored(wiring, await wiring.profile())
    base = bitbucket.place_of(token.api_base).git_base
    if not repository.is_below(base):
        raise ConfigError(
            f"{address} is not at {base}, which the stored token is for; nothing was sent",
            f"Use an address such as twg::{base}/WORKSPACE/REPOSITORY.",
        )

    permitted: set[bool] = set()

    async def refusal(call: Call) -> str | None:
        # A push is two requests, and one use of a grant.
        if call.writes not in permitted:
            try:
                await wiring.permit(_as_api_call(call, repository.name_below(base)))
            except TwgError as error:
                denied(error)
                return str(error)
            permitted.add(call.writes)
        return None

    return Bridge(
        repository=repository,
        login=Login(bitbucket.GIT_USER, token.token, frozenset({origin(base)})),
        http=http,
        refusal=refusal,
        failed=wiring.output.warn,
        scrub=wiring.scrubber.text,
    )


def _as_api_call(call: Call, repository: str) -> ApiCall:
    """Return what the policy knows a request of git's as: of the repository that the API has."""
    from twg.products.call import Call as ApiCall  # noqa: PLC0415 - likewise

    return ApiCall(
        service="bitbucket",
        method="POST" if call.writes else "GET",
        path=f"/2.0/repositories/{repository}/{call.service}",
    )
