"""`twg auth storage`: where the key of each sealed file lives, why, and to move it elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from guard.errors import GuardError
from twg.cli.command import command
from twg.cli.sign_ins import protection_in_words, why_no_keyring
from twg.errors import PartialFailure, TwgError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from twg.cli.wiring import Wiring
    from twg.vault import AdminStore, KeyLocation, KeyPlaceName, SealedStore
    from twg.vault.moving import Moved

_IN_WORDS: Final = {"keyring": "your system's key ring", "file": "a private file"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A sealed file that is there, and where its key is.

    Attributes:
        path: The file.
        store: What is in it.
        key: Its key.
        unsettled: A move of its key was cut short.
    """

    path: Path
    store: SealedStore | AdminStore
    key: KeyLocation
    unsettled: bool


@command(
    "storage",
    params=[click.Argument(["place"], type=click.Choice(["keyring", "file"]), required=False)],
)
async def storage(wiring: Wiring, *, place: KeyPlaceName | None) -> None:
    """Show where the sealing key lives, or move it to the system's key ring or a private file.

    Moving makes a new key, seals the credentials anew with it and destroys the old one.
    """
    if place is not None:
        wiring.refuse_agent(f"{wiring.human_command} {place}")
    kept = await kept_in(wiring)
    if place is None:
        wiring.output.result(
            {"stores": [_as_data(wiring, one) for one in kept]},
            [line for one in kept for line in _lines(wiring, one)] or ["Nothing is stored yet."],
        )
        return
    await _move(wiring, kept, place)


def stores_of(wiring: Wiring) -> dict[Path, SealedStore | AdminStore]:
    """Return every store that has a sealing key, by its file."""
    settings = wiring.settings
    return {settings.auth_conf: wiring.store, settings.admin_conf: wiring.admin_store}


async def kept_in(wiring: Wiring) -> list[Kept]:
    """Return the sealed files that are there."""
    found = []
    for path, store in stores_of(wiring).items():
        key = await store.key_location()
        if key is not None:
            found.append(Kept(path, store, key, bool(await store.unsettled_keys())))
    return found


async def _move(wiring: Wiring, kept: list[Kept], place: KeyPlaceName) -> None:
    moved: dict[Path, Moved] = {}
    failed: dict[str, TwgError] = {}
    for one in kept:
        try:
            outcome = await one.store.move_key(place)
        except TwgError as error:
            failed[one.path.name] = error
            continue
        if outcome is not None:
            moved[one.path] = outcome
    if failed and not moved:
        raise next(iter(failed.values()))
    why = {name: str(error) for name, error in failed.items()} | _left(moved)
    if moved:
        why |= await _key_of_the_record_changed(wiring)
    data = {"stores": [_moved_as_data(path, one) for path, one in moved.items()]}
    if wiring.output.mode == "text" or not why:
        wiring.output.result(data, _moved_lines(wiring, moved, place))
    if why:
        raise PartialFailure(
            "not all of it could be done", why, "Mend that, then run the command again.", done=data
        )


async def _key_of_the_record_changed(wiring: Wiring) -> dict[str, str]:
    """Give the audit record a new key too; return why that failed, if it did.

    Who has a copy of the other keys may have one of this.
    """
    from anyio import to_thread  # noqa: PLC0415 - only where it is used

    from guard.audit import add_key  # noqa: PLC0415 - likewise

    path = wiring.settings.state_dir / "audit.key"
    try:
        await to_thread.run_sync(add_key, path)
    except GuardError as error:
        return {path.name: str(error)}
    return {}


def _lines(wiring: Wiring, one: Kept) -> list[str]:
    lines = [
        f"{wiring.shown(one.path)}:",
        f"  {protection_in_words(one.key, wiring)}",
        f"  {_why(wiring, one.key)}",
    ]
    if one.unsettled:
        lines.append("  A move was cut short; `twg doctor --fix` destroys the key that it left.")
    return lines


def _why(wiring: Wiring, key: KeyLocation) -> str:
    if key.location == "keyring":
        return "The best place there is: it opens with your session alone."
    if (reason := why_no_keyring(key)) is not None:
        return reason
    if wiring.settings.key_place == "file":
        return 'As config.toml wants it (key = "file" under [storage]).'
    return "As it was asked for; `twg auth storage keyring` moves it."


def _moved_lines(wiring: Wiring, moved: Mapping[Path, Moved], place: KeyPlaceName) -> list[str]:
    where = _IN_WORDS[place]
    lines = []
    for path, one in moved.items():
        if one.now == one.before:
            lines.append(f"✔ The key of {path.name} is in {where} already; it stays as it is.")
            continue
        lines.append(f"✔ {path.name} is sealed with a new key, which is in {where}.")
        lines += (
            [] if one.left else [f"  The old one, in {_IN_WORDS[one.before.location]}, is gone."]
        )
    if place == "keyring" and any(one.now != one.before for one in moved.values()):
        lines.append("  What runs outside your session, over SSH or from cron, may not reach it.")
    if not lines:
        lines.append("Nothing is stored yet, so there is no key to move.")
    preferred = wiring.settings.key_place
    if preferred not in {None, place}:
        lines.append(f'  config.toml says key = "{preferred}", which goes for new files alone.')
    return lines


def _left(moved: Mapping[Path, Moved]) -> dict[str, str]:
    return {
        path.name: "a key that is not in use any more could not be destroyed; it is in "
        + _IN_WORDS[one.left[0].location]
        for path, one in moved.items()
        if one.left
    }


def _as_data(wiring: Wiring, one: Kept) -> dict[str, Any]:
    in_file = one.key.location == "file"
    file = wiring.settings.state_dir / f"{one.key.id}.key"
    return {
        "path": str(one.path),
        "key": one.key.location,
        "file": str(file) if in_file else None,
        "why": _why(wiring, one.key),
        "unsettled": one.unsettled,
    }


def _moved_as_data(path: Path, one: Moved) -> dict[str, Any]:
    return {
        "path": str(path),
        "key": one.now.location,
        "moved": one.now != one.before,
        "left": [each.id for each in one.left],
    }
