"""The manager against a model of a rotating server: any interleaving, any fault, any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.refresh.memory import Disk, Life, MemoryStore
from tests.refresh.rotating import LIFETIME, refresh_of
from tests.refresh.virtual import VirtualLoop
from tests.refresh.world import HOST, World, family_of, honoured
from tests.vault.behaviour import StoreBehaviour
from tests.vault.samples import opened
from twg.errors import AuthError, AuthExpired, AuthRevoked, NetworkError, TwgError

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.vault import CredentialStore

PROFILES = ("work", "home")
BYSTANDER = "bystander"
IN_PASSING = 150
MOST_PROCESSES = 4
ROUNDS = 200
"""Far more answers than anyone asks for at the end, so that a loop would be noticed."""
REFUSALS = (
    (429, None),
    (500, None),
    (503, None),
    (400, {"error": "invalid_client"}),
    (403, {"error": "access_denied"}),
    (200, {"nothing": "useful"}),
)
PAUSES = (0.1, 1.0, 10.0, 0.8 * LIFETIME, 1.1 * LIFETIME)
STEPS = (-86_400.0, -1.0, 1.0, 86_400.0)
OK = 200
CUT_OFF = ("never arrived", "cut off")

some = st.integers(min_value=0, max_value=99)
profiles = st.sampled_from(PROFILES)


class Renewals(RuleBasedStateMachine):
    """Everything that may happen; what must hold meanwhile and at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = World(self.loop, 0.0)

    @initialize(leeway=st.sampled_from((0.0, 0.0, 5.0, 1e9)))
    def begin(self, leeway: float) -> None:
        self.world.server.leeway = leeway
        for profile in (*PROFILES, BYSTANDER):
            self.world.run(self.world.sign_in(profile))
        self.bystander = opened(self.world.disk.credentials[BYSTANDER])
        self.world.start()
        self._let_go_on()

    # Processes and their callers

    @precondition(lambda self: sum(each.runs for each in self.world.processes) < MOST_PROCESSES)
    @rule()
    def start(self) -> None:
        self.world.start()
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some, profile=profiles, callers=st.integers(1, 3))
    def get(self, which: int, profile: str, callers: int) -> None:
        process = _pick(self._running(), which)
        for _ in range(callers):
            self.world.ask(process, process.manager.get(profile))
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some, profile=profiles, force=st.booleans())
    def renew(self, which: int, profile: str, force: bool) -> None:  # noqa: FBT001 - drawn
        process = _pick(self._running(), which)
        self.world.ask(process, process.manager.renew(profile, force=force))
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some)
    def renew_all(self, which: int) -> None:
        process = _pick(self._running(), which)
        self.world.ask(process, process.manager.renew_all(PROFILES, force=True))
        self._let_go_on()

    @precondition(lambda self: self._callers())
    @rule(which=some)
    def cancel_a_caller(self, which: int) -> None:
        _pick(self._callers(), which).cancel()
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some, after=st.integers(0, 12))
    def kill(self, which: int, after: int) -> None:
        """Kill a process, so many steps of its work later."""
        self.world.run(_steps(after))
        _pick(self._running(), which).life.kill()
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some)
    def leave(self, which: int) -> None:
        _pick(self._running(), which).leave.set()
        self._let_go_on()

    @precondition(lambda self: self._running())
    @rule(which=some)
    def interrupt(self, which: int) -> None:
        """Press Ctrl-C: asyncio cancels the process's main task."""
        process = _pick(self._running(), which)
        process.leave.set()
        process.task.cancel()
        self._let_go_on()

    # The server and the wire

    @precondition(lambda self: self.world.on_the_wire)
    @rule(which=some)
    def the_server_gets_a_request(self, which: int) -> None:
        self.world.reach(_pick(self.world.on_the_wire, which))

    @precondition(lambda self: self.world.on_the_wire)
    @rule(which=some, steps=st.one_of(st.none(), st.integers(0, 12)))
    def an_answer_comes(self, which: int, steps: int | None) -> None:
        """Let an answer come; with `steps`, its process is killed so much later."""
        request = _pick(self.world.on_the_wire, which)
        self.world.answer_honestly(request)
        if steps is not None:
            self.loop.run_until_complete(_steps(steps))
            request.process.life.kill()
        self._let_go_on()

    @precondition(lambda self: self.world.on_the_wire)
    @rule(which=some)
    def an_answer_is_lost(self, which: int) -> None:
        request = _pick(self.world.on_the_wire, which)
        self.world.reach(request)
        self.world.answer(request, NetworkError(HOST, "the connection was lost"))
        self._let_go_on()

    @precondition(lambda self: self._unreached())
    @rule(which=some)
    def a_request_is_lost(self, which: int) -> None:
        request = _pick(self._unreached(), which)
        self.world.answer(request, NetworkError(HOST, "no connection"))
        self._let_go_on()

    @precondition(lambda self: self._unreached())
    @rule(which=some, refusal=st.sampled_from(REFUSALS))
    def the_server_does_not_want_to(self, which: int, refusal: tuple[int, Any]) -> None:
        self.world.answer(_pick(self._unreached(), which), refusal)
        self._let_go_on()

    # Time, the disk, the person

    @rule(seconds=st.sampled_from(PAUSES))
    def time_passes(self, seconds: float) -> None:
        self.world.run(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from(STEPS))
    def somebody_sets_the_clock(self, seconds: float) -> None:
        self.world.clock_step += seconds

    @rule(full=st.booleans())
    def the_disk_fills_or_empties(self, full: bool) -> None:  # noqa: FBT001 - drawn
        self.world.disk.full = full

    @rule(profile=profiles, lease=st.booleans())
    def sign_in(self, profile: str, lease: bool) -> None:  # noqa: FBT001 - drawn
        self.world.beside(self.world.sign_in(profile, lease=lease))
        self._let_go_on()

    @rule(profile=profiles)
    def sign_out(self, profile: str) -> None:
        self.world.beside(self.world.sign_out(profile))
        self._let_go_on()

    @rule(profile=profiles, site=st.sampled_from(("one.example.net", "two.example.net")))
    def choose_site(self, profile: str, site: str) -> None:
        self.world.beside(self.world.choose_site(profile, site))
        self._let_go_on()

    @precondition(lambda self: self.world.disk.credentials.keys() & set(PROFILES))
    @rule(which=some)
    def the_provider_ends_a_sign_in(self, which: int) -> None:
        there = sorted(self.world.disk.credentials.keys() & set(PROFILES))
        credential = self.world.disk.credentials[_pick(there, which)]
        self.world.server.revoke(refresh_of(credential))

    # What must hold

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.world.broken == []

    @invariant()
    def nothing_that_the_server_honours_is_called_dead(self) -> None:
        for credential in self.world.disk.credentials.values():
            assert credential.refused is None or not honoured(self.world, credential)

    @invariant()
    def others_are_untouched(self) -> None:
        there = self.world.disk.credentials.get(BYSTANDER)
        assert there is None or opened(there) == self.bystander

    @invariant()
    def the_newest_sign_in_stays(self) -> None:
        for profile, credential in self.world.disk.credentials.items():
            assert family_of(credential) == self.world.newest[profile]

    def teardown(self) -> None:
        """Let all come to its end; then the next command works wherever it can."""
        try:
            if self.world.disk.credentials:
                self._come_to_an_end()
                for profile in PROFILES:
                    self._check_next_get(profile)
                assert self.world.broken == []
        finally:
            self._close()

    def _come_to_an_end(self) -> None:
        self.world.disk.full = False
        for process in self.world.processes:
            process.leave.set()
        for _ in range(ROUNDS):
            self._let_go_on()
            for request in tuple(self.world.on_the_wire):
                self.world.answer_honestly(request)
            if not self._unfinished():
                break
            self.world.run(asyncio.sleep(1.0))
        assert self._unfinished() == []
        assert self.world.disk.leased == {}

    def _check_next_get(self, profile: str) -> None:
        before = self.world.disk.credentials.get(profile)
        if before is None:
            return
        self.world.run(asyncio.sleep(2 * LIFETIME))  # it has expired, whoever asks
        works = before.refused is None and honoured(self.world, before)
        sent = [each for each in self.world.all_requests if each.token == refresh_of(before)]
        spent = any(each.answer is not None and each.answer[0] == OK for each in sent)
        got = self._next_get(profile, before.tokens.issued_at + 2 * LIFETIME)
        if works:
            assert not isinstance(got, TwgError), got
            assert honoured(self.world, got)
            assert opened(got) == opened(self.world.disk.credentials[profile])
        else:
            assert isinstance(got, AuthError), got
            assert isinstance(got, AuthExpired) or not spent
            assert isinstance(got, AuthRevoked) or sent
            if spent:
                assert any(words in str(got) for words in CUT_OFF)
            assert self.world.disk.credentials[profile].refused is not None

    def _next_get(self, profile: str, now: float) -> Any:
        """Return what a process gets at a moment when the token has expired."""
        process = self.world.start(clock_ahead=now - self.world.wall_clock())
        self._let_go_on()
        assert process.manager is not None
        self.world.ask(process, process.manager.get(profile))
        self._come_to_an_end()
        return process.callers[0].result()

    # Looking

    def _let_go_on(self) -> None:
        self.world.run(_steps(0))

    def _running(self) -> list[Any]:
        return [each for each in self.world.processes if each.runs]

    def _callers(self) -> list[Any]:
        return [caller for each in self._running() for caller in each.callers if not caller.done()]

    def _unreached(self) -> list[Any]:
        return [each for each in self.world.on_the_wire if each.answer is None]

    def _unfinished(self) -> list[Any]:
        tasks: list[Any] = [*self.world.others]
        for process in self.world.processes:
            tasks += [process.task, *process.callers]
        return [task for task in tasks if not task.done()]

    def _close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        with contextlib.suppress(AssertionError):
            self.loop.run_until_complete(_steps(100))
        self.loop.close()


async def _steps(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _pick(among: list[Any], which: int) -> Any:
    return among[which % len(among)]


def test_no_interleaving_loses_a_sign_in() -> None:
    """H-D1, H-D2, H-D4 to H-D7: as the model knows them; `make model` goes deeper."""
    examples = int(os.environ.get("TWG_MODEL_EXAMPLES", IN_PASSING))
    run_state_machine_as_test(
        Renewals,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            derandomize=examples == IN_PASSING,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


class TestMemoryStore(StoreBehaviour):
    """The model's store does what every store does."""

    @pytest.fixture
    def stores(self) -> Callable[[float], CredentialStore]:
        disk = Disk()
        return lambda seconds: MemoryStore(disk, Life(), lease_seconds=seconds)
