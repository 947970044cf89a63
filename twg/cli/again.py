"""Where a sign-in has ended in the midst of a command: a person may sign in again and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.errors import PromptTimedOut

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.errors import AuthError
    from twg.vault import Credential


async def signed_in_again(wiring: Wiring, ended: AuthError) -> Credential | None:
    """Ask whether to sign in again, and do it; return what came of it, None if nothing did.

    Nobody is asked but a person who reads this at a terminal: agents, jobs and scripts get the
    error.

    Args:
        wiring: What commands depend on.
        ended: What is told of the sign-in that ended.
    """
    if wiring.output.mode != "text" or not wiring.stderr.isatty() or not wiring.may_ask:
        return None
    wiring.output.say(f"twg: {ended}")
    try:
        answer = await wiring.questions.choose("Sign in again now?", ["Yes", "No"])
    except PromptTimedOut:
        return None
    if answer != 0:
        return None
    from twg.cli.login import sign_in_again  # noqa: PLC0415 - only for those who want to

    return await sign_in_again(wiring, ended.profile)
