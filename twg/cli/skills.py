"""`twg skills`: the instructions by which coding agents use twg, put where each looks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click
from anyio import to_thread

from guard.errors import GuardError
from twg.cli.command import Group, command
from twg.errors import PartialFailure, TwgError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from twg.cli.wiring import Wiring
    from twg.skills.agents import CodingAgent, Sandbox
    from twg.skills.placing import Outcome

_IN_WORDS: Final = {
    "written": "has its instructions now",
    "replaced": "has the instructions of this version now",
    "unchanged": "has its instructions already",
}
_NAMES: Final = ("claude-code", "codex", "cursor", "gemini-cli", "rovo-dev")


@dataclass(frozen=True, slots=True)
class Told:
    """An agent that has its instructions.

    Attributes:
        agent: Which.
        path: Where.
        outcome: What was done for it.
    """

    agent: CodingAgent
    path: Path
    outcome: Outcome


class _AgentName(click.Choice[str]):
    """The name of an agent, or as much of it as only that one has, as in ``claude``."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the whole name."""
        begun = value.lower().replace("-", "")
        meant = [name for name in _NAMES if name.replace("-", "").startswith(begun)]
        return super().convert(meant[0] if len(meant) == 1 else value, param, ctx)


# An agent may run it: it changes no credential and no right, and what it writes is this package's
# own text, in a place that an agent of the same user could write to anyway.
@command(
    "install",
    params=[
        click.Option(
            ["--agent", "names"],
            multiple=True,
            type=_AgentName(_NAMES),
            metavar="NAME",
            help=f"Only for this one, found or not: {', '.join(_NAMES)}. May be repeated.",
        )
    ],
)
async def install(wiring: Wiring, *, names: tuple[str, ...]) -> None:
    """Write the instructions where each coding agent that is found here looks for them.

    A file of that name that twg did not write stays as it is. Sandbox settings are shown, not
    written.
    """
    from twg.skills import agents, placing  # noqa: PLC0415 - only where it is used

    wanted = [agents.BY_NAME[name] for name in dict.fromkeys(names)]
    if not wanted:
        wanted = await to_thread.run_sync(placing.found, wiring.home)
    told, failed = await teach(wiring, wanted)
    if failed and not told:
        raise next(iter(failed.values()))
    data = {"skills": [_as_data(wiring, one) for one in told]}
    if wiring.output.mode == "text" or not failed:
        wiring.output.result(data, _lines(wiring, told))
        _show_sandboxes(wiring, told)
    if failed:
        raise PartialFailure(
            f"{len(failed)} of {len(wanted)} agents could not be told",
            {name: str(error) for name, error in failed.items()},
            "Mend that, then run the command again.",
            done=data,
        )


@command("show")
async def show(wiring: Wiring) -> None:
    """Print the instructions as `twg skills install` writes them."""
    from twg.skills import placing  # noqa: PLC0415 - only where it is used

    text = await to_thread.run_sync(placing.text)
    if wiring.output.mode == "json":
        wiring.output.result({"name": placing.NAME, "text": text}, [])
    else:
        wiring.output.raw(text)


async def teach(
    wiring: Wiring, wanted: Sequence[CodingAgent]
) -> tuple[list[Told], Mapping[str, TwgError | GuardError]]:
    """Write the instructions for agents; return what was done, and what failed by their names."""
    from twg.skills import placing  # noqa: PLC0415 - only where it is used

    told: list[Told] = []
    failed: dict[str, TwgError | GuardError] = {}
    for agent in wanted:
        path = placing.place_of(agent, wiring.home)
        try:
            told.append(Told(agent, path, await to_thread.run_sync(placing.install, path)))
        except (TwgError, GuardError) as error:
            failed[agent.name] = error
    return told, failed


def _lines(wiring: Wiring, told: Sequence[Told]) -> list[str]:
    if not told:
        return [
            "No coding agent that twg knows is here.",
            f"  `twg skills install --agent NAME` is for {', '.join(_NAMES)}.",
        ]
    return [
        f"✔ {one.agent.title} {_IN_WORDS[one.outcome]} ({wiring.shown(one.path)})." for one in told
    ]


def _show_sandboxes(wiring: Wiring, told: Sequence[Told]) -> None:
    """Print, for a person, the settings that are theirs to write."""
    output = wiring.output
    boxed = [(one.agent.title, one.agent.sandbox) for one in told if one.agent.sandbox]
    if not boxed or output.mode == "json":
        return
    output.line("")
    output.line("A sandbox has to let twg read its directories, and write in one of them.")
    output.line("Settings for that, which are yours to write:")
    for title, box in boxed:
        output.line("")
        output.line(f"{title}, in {box.where}:")
        # Not folded, for it is to be copied.
        output.raw("\n".join(f"  {line}" for line in _setting(wiring, box).splitlines()))
    output.line("")
    output.line("`twg upkeep enable` renews sign-ins outside, and then that is all it needs.")
    config = wiring.shown(wiring.settings.config_dir)
    output.line(f"Let no agent write to {config}: it could replace your sign-ins.")


def _setting(wiring: Wiring, box: Sandbox) -> str:
    return box.setting(wiring.settings.config_dir, wiring.settings.state_dir)


def _as_data(wiring: Wiring, one: Told) -> dict[str, Any]:
    box = one.agent.sandbox
    return {
        "agent": one.agent.name,
        "path": str(one.path),
        "outcome": one.outcome,
        "sandbox": box and {"where": box.where, "setting": _setting(wiring, box)},
    }


skills = Group(
    "skills",
    help="Teach coding agents to use twg safely.",
    commands=[install, show],
)
