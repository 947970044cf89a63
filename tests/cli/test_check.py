"""Looks of the doctor's: all at once, each in time, and none at the others' cost."""

from __future__ import annotations

import anyio

from twg.cli.check import Check, Look, side_by_side
from twg.errors import ConfigError


def found(name: str) -> Check:
    return Check(name=name, status="ok", detail="well")


def look(name: str) -> Look:
    async def find() -> list[Check]:
        return [found(name)]

    return Look(name=name, find=find)


async def test_looks_are_at_once_and_told_in_their_order() -> None:
    """Each of two waits for the other to have begun: one after the other, they would hang."""
    begun = {"one": anyio.Event(), "two": anyio.Event()}

    def meeting(name: str, other: str) -> Look:
        async def find() -> list[Check]:
            begun[name].set()
            await begun[other].wait()
            return [found(name)]

        return Look(name=name, find=find)

    checks = await side_by_side([[meeting("one", "two")], [meeting("two", "one")]])

    assert [check.name for check in checks] == ["one", "two"]


async def test_what_is_in_a_lane_goes_one_after_the_other() -> None:
    order: list[str] = []

    def noting(name: str) -> Look:
        async def find() -> list[Check]:
            await anyio.lowlevel.checkpoint()
            order.append(name)
            return []

        return Look(name=name, find=find)

    await side_by_side([[noting("first"), noting("second"), noting("third")]])

    assert order == ["first", "second", "third"]


async def test_a_look_that_hangs_is_told_and_the_others_stand() -> None:
    async def hangs() -> list[Check]:
        await anyio.sleep_forever()
        return []

    hanging = Look(name="stuck", find=hangs, seconds=0.01)

    checks = await side_by_side([[hanging, look("after it")], [look("beside it")]])

    stuck, *others = checks
    assert (stuck.name, stuck.status) == ("stuck", "failed")
    assert "given up after 0.01 seconds" in stuck.detail
    assert stuck.fix
    assert others == [found("after it"), found("beside it")]


async def test_a_look_that_breaks_is_told_and_the_others_stand() -> None:
    async def refused() -> list[Check]:
        raise ConfigError("it is wrong", "Mend it.")

    async def broken() -> list[Check]:
        raise ZeroDivisionError("whatever this may quote")

    checks = await side_by_side(
        [[Look(name="a", find=refused)], [Look(name="b", find=broken)], [look("c")]]
    )

    assert checks[0] == Check(name="a", status="failed", detail="it is wrong", fix="Mend it.")
    assert checks[1].detail == "an unexpected error (ZeroDivisionError)"
    assert checks[2] == found("c")
