"""`twg setup git`: git takes a server's plain addresses to `git-remote-twg`, by a line of its own.

Only addresses that begin with https:// are taken there. Who writes git@bitbucket.org: has chosen
SSH and its keys, and goes on with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import asyncclick as click

from twg.cli.command import command

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.git.rewriting import GitConfig, Rewriting

HELPER: Final = "git-remote-twg"
UNDO: Final = "twg setup git --undo"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a rewriting does not do.

    Attributes:
        words: What is wrong.
        fix: What to do about it.
    """

    words: str
    fix: str


@command(
    "git",
    human_only=True,
    short="Have git reach plain bitbucket.org addresses by twg.",
    params=[
        click.Option(["--yes"], is_flag=True, help="Do it without asking."),
        click.Option(["--undo"], is_flag=True, help="Take it back."),
        click.Option(["--sandbox"], is_flag=True, help="Do it for the local sandbox's addresses."),
    ],
)
async def git(wiring: Wiring, *, yes: bool, undo: bool, sandbox: bool) -> None:
    """Have git take plain https://bitbucket.org/ addresses to twg, which adds your token.

    It is a line in your own configuration of git, shown before git writes it. Addresses for SSH
    (git@bitbucket.org:) go on as they are.
    """
    config = config_of(wiring)
    if undo:
        await _undo(wiring, config, asked=not yes, sandbox=sandbox)
        return
    rewriting = await _wanted(wiring, sandbox=sandbox)
    there = rewriting in await config.rewritings()
    changed = not there and (yes or await agreed(wiring, rewriting))
    if changed:
        await config.add(rewriting)
    await _tell(wiring, config, rewriting, there=there, changed=changed)


def config_of(wiring: Wiring) -> GitConfig:
    """Return the person's configuration of git."""
    from twg.git.rewriting import GitConfig  # noqa: PLC0415 - only where it is used

    return GitConfig(environ=wiring.environ)


async def agreed(wiring: Wiring, rewriting: Rewriting) -> bool:
    """Show what git is to write, and ask.

    Raises:
        GuardError: There is nobody to ask, or they left.
    """
    wiring.output.say("This would go into your own configuration of git (git config --global):")
    _show(wiring, rewriting)
    return await wiring.questions.agrees("write it, y or n", usually=True)


async def faults_of(wiring: Wiring, config: GitConfig, rewriting: Rewriting) -> list[Fault]:
    """Return why a rewriting that is there does not do; nothing where it does.

    Raises:
        TwgError: The store, or git's configuration, cannot be read.
    """
    found = []
    if not config.finds(HELPER):
        fix = f"Put the directory that `twg` is in on the PATH, or run `{UNDO}`."
        found.append(Fault(f"{HELPER} is not on the PATH, so git cannot run it", fix))
    if not await _has_token(wiring, rewriting):
        words = f"no Bitbucket token for {rewriting.base} is kept, so git gets nowhere there"
        found.append(Fault(words, f"Run `twg setup bitbucket`, or `{UNDO}`."))
    if not await config.takes(rewriting):
        fix = "`git config --get-regexp insteadof` lists them; remove the other one."
        found.append(Fault(f"another such line takes {rewriting.value} elsewhere", fix))
    return found


def as_data(rewriting: Rewriting) -> dict[str, str]:
    """Return a rewriting as JSON values."""
    return {"key": rewriting.key, "value": rewriting.value}


async def _wanted(wiring: Wiring, *, sandbox: bool) -> Rewriting:
    from twg.git.rewriting import Rewriting  # noqa: PLC0415 - only where it is used
    from twg.products import bitbucket  # noqa: PLC0415 - httpx only where it is used

    if not sandbox:
        return Rewriting(bitbucket.ATLASSIANS.git_base)
    from twg.cli import sandbox_provider  # noqa: PLC0415 - only for the sandbox

    running = await sandbox_provider.running_for(wiring)
    return Rewriting(bitbucket.place_at(running.url).git_base)


async def _undo(wiring: Wiring, config: GitConfig, *, asked: bool, sandbox: bool) -> None:
    from twg.products import bitbucket  # noqa: PLC0415 - httpx only where it is used

    atlassians = bitbucket.ATLASSIANS.git_base
    there = [one for one in await config.rewritings() if (one.base != atlassians) == sandbox]
    if there and asked:
        wiring.output.say("This would be removed from your own configuration of git:")
        for one in there:
            _show(wiring, one)
    if not there:
        words = "There is no such line in git's configuration."
        wiring.output.result({"removed": []}, [words])
        return
    if asked and not await wiring.questions.agrees("remove it, y or n", usually=True):
        wiring.output.result({"removed": []}, ["Nothing was removed."])
        return
    for one in there:
        await config.remove(one)
    told = [f"✔ Git takes {one.value} addresses as they are again." for one in there]
    wiring.output.result({"removed": [as_data(one) for one in there]}, told)


async def _tell(
    wiring: Wiring, config: GitConfig, rewriting: Rewriting, *, there: bool, changed: bool
) -> None:
    faults = await faults_of(wiring, config, rewriting) if there or changed else []
    data: dict[str, Any] = {
        **as_data(rewriting),
        "rewritten": there or changed,
        "changed": changed,
        "problems": [{"problem": each.words, "fix": each.fix} for each in faults],
    }
    wiring.output.result(data, lines_of(rewriting, there=there, changed=changed))
    for fault in faults:
        wiring.output.warn(f"{fault.words}. {fault.fix}")


def lines_of(rewriting: Rewriting, *, there: bool, changed: bool) -> list[str]:
    """Return what is told of a rewriting that was to be written.

    Args:
        rewriting: Which.
        there: It was there already.
        changed: It was written.
    """
    if there:
        return [f"✔ Git takes {rewriting.value} addresses to twg already."]
    if not changed:
        return ["Nothing was written."]
    ssh = f"git@{urlsplit(rewriting.base).hostname}:"
    return [
        f"✔ Git takes {rewriting.value} addresses to twg from now on.",
        f"  Addresses that begin with {ssh} go on by SSH.",
        f"  `{UNDO}` takes it back.",
    ]


def _show(wiring: Wiring, rewriting: Rewriting) -> None:
    for line in ("", *rewriting.lines, ""):
        wiring.output.say(f"  {line}" if line else "")


async def _has_token(wiring: Wiring, rewriting: Rewriting) -> bool:
    from twg.products import bitbucket  # noqa: PLC0415 - httpx only where it is used

    token = (await wiring.store.summaries()).bitbucket.get(await wiring.profile())
    return token is not None and bitbucket.place_of(token.api_base).git_base == rewriting.base
