"""What every test of the commands is watched by: that it can see what it is there for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.vault.samples import ACCESS

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle


def test_a_secret_in_the_log_is_seen(console: Console) -> None:
    """H-F1: as it is, and in hexadecimal."""
    log = console.state / "log" / "twg.jsonl"
    log.parent.mkdir(parents=True)

    for written in (ACCESS, ACCESS.encode().hex()):
        log.write_text(f'{{"event": "{written}"}}\n')
        assert console.logged_secrets() == [ACCESS]
    log.write_text("")


def test_what_is_logged_is_looked_at(console: Console, sandbox: SandboxHandle) -> None:
    """A request and what is recorded of its token, for a start."""
    console.sign_in(sandbox)
    console.twg("api", "jira", "/rest/api/3/myself")

    log = (console.state / "log" / "twg.jsonl").read_text()
    assert "/rest/api/3/myself" in log
    assert "secret.revealed" in log
    assert len(console.signed_in_with) == 2
