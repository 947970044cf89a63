"""`twg sandbox`: a local Atlassian to try things on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click

from twg.cli.command import Group, command

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.sandbox import SandboxStatus


@command(
    "start",
    params=[
        click.Option(["--foreground"], is_flag=True, help="Stay until Ctrl-C."),
        click.Option(["--port"], type=int, metavar="N", help="Listen there; else any free port."),
        click.Option(["--ttl"], type=int, metavar="S", help="Access tokens live S seconds."),
        click.Option(
            ["--leeway"], type=int, metavar="S", help="Take a spent refresh token for S seconds."
        ),
        click.Option(["--auto-approve"], is_flag=True, help="The server plays the person."),
        click.Option(
            ["--fault", "faults"],
            metavar="NAME",
            multiple=True,
            help="Misbehave like this; repeatable; `--fault help` lists them.",
        ),
    ],
)
async def start(
    wiring: Wiring,
    *,
    foreground: bool,
    port: int | None,
    ttl: int | None,
    leeway: int | None,
    auto_approve: bool,
    faults: tuple[str, ...],
) -> None:
    """Start the sandbox; returns once it answers, and it goes on in the background."""
    from twg import sandbox  # noqa: PLC0415 - only here is it needed

    if "help" in faults:
        known = sandbox.faults()
        width = max(map(len, known))
        wiring.output.result(
            {"faults": known}, [f"{name:{width}}  {words}" for name, words in known.items()]
        )
        return
    await sandbox.start(
        wiring.settings.state_dir,
        port=port,
        ttl=ttl,
        leeway=leeway,
        auto_approve=auto_approve,
        faults=faults,
        foreground=foreground,
        on_ready=lambda ready: wiring.output.published(_data(ready), _started(ready, foreground)),
    )


@command("stop")
async def stop(wiring: Wiring) -> None:
    """Stop the sandbox; what it knows is kept for the next start."""
    from twg import sandbox  # noqa: PLC0415 - only here is it needed

    ended = await sandbox.stop(wiring.settings.state_dir)
    wiring.output.result(
        {"stopped": ended}, ["✔ The sandbox is stopped." if ended else "No sandbox runs."]
    )


@command("status")
async def status(wiring: Wiring) -> None:
    """Show where the sandbox is and who may sign in there."""
    from twg import sandbox  # noqa: PLC0415 - only here is it needed

    found = await sandbox.status(wiring.settings.state_dir)
    if found is None:
        wiring.output.result(
            {"sandbox": True, "running": False},
            ["No sandbox runs. `twg sandbox start` starts one."],
        )
    else:
        wiring.output.published(_data(found), _described(found))


def _data(found: SandboxStatus) -> dict[str, Any]:
    return {"running": True, **found.as_dict()}


def _started(found: SandboxStatus, foreground: bool) -> list[str]:  # noqa: FBT001 - one of two texts
    how = "Ctrl-C stops it" if foreground else "`twg sandbox stop` stops it"
    return [
        f"✔ The sandbox runs at {found.url}; {how}.",
        "  Sign in there with `twg login --sandbox`.",
        *_people(found),
    ]


def _described(found: SandboxStatus) -> list[str]:
    options = found.options
    return [
        f"The sandbox runs at {found.url} (process {found.pid}).",
        f"  Access tokens live {options.ttl} seconds."
        + (" The server plays the person." if options.auto_approve else ""),
        *([f"  Faults: {', '.join(options.faults)}"] if options.faults else []),
        *_people(found),
        *(f"  Organization {org}: {name}" for org, name in found.as_dict()["orgs"].items()),
    ]


def _people(found: SandboxStatus) -> list[str]:
    document = found.as_dict()
    return [
        f"  {name} / {one['password']}: {', '.join(one['sites'])}"
        + (", Bitbucket" if one["bitbucket"] else "")
        for name, one in document["people"].items()
    ]


sandbox = Group(
    "sandbox",
    help="Run a local Atlassian to try things on; nothing in it is real.",
    commands=[start, stop, status],
)
