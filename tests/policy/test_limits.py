"""What agents may not do whatever is granted: a person's settings, and a machine's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from twg.errors import ConfigError
from twg.policy import Access, Limits, all_limits, machine_wide, seconds_of
from twg.policy.limits import of_settings

if TYPE_CHECKING:
    from pathlib import Path


READ, WRITE, DELETE = Access


def limits(**table: Any) -> Limits:
    return of_settings(table, "config.toml")


def refused(settings: dict[str, Any], service: str, machines: Limits | None = None) -> list[str]:
    """Return why an agent may not read there."""
    found = all_limits(settings, "config.toml", machines)
    return [why for each in found if (why := each.refusal(service, READ, "default"))]


def test_by_default_only_the_admin_apis_are_closed() -> None:
    assert refused({}, "jira") == []
    assert refused({}, "admin") == ["agents may not use the Admin APIs, by default"]
    assert refused({"admin": True}, "admin") == []
    assert "says config.toml" in refused({"admin": False}, "admin")[0]


def test_what_a_machine_closes_no_setting_opens_and_the_other_way_round() -> None:
    closed = Limits(where="etc", admin=False, deny=frozenset({"jira"}))
    assert refused({"admin": True, "deny": []}, "admin", closed) != []
    assert refused({"admin": True, "deny": []}, "jira", closed) != []
    opened = Limits(where="etc", admin=True)
    assert refused({}, "admin", opened) != []
    assert refused({"deny": ["jira"]}, "jira", opened) != []


def test_services_and_profiles_can_be_closed() -> None:
    closed = limits(deny=["bitbucket"], read_only=["prod"])
    assert "bitbucket" in str(closed.refusal("bitbucket", READ, "default"))
    assert closed.refusal("jira", READ, "prod") is None
    assert "prod" in str(closed.refusal("jira", WRITE, "prod"))
    assert closed.refusal("jira", WRITE, "default") is None
    assert limits(read_only=["*"]).refusal("jira", WRITE, "default") is not None


@pytest.mark.parametrize(
    "table",
    [
        {"admin": "yes"},
        {"admin": 1},
        {"deny": "jira"},
        {"deny": ["trello"]},
        {"read_only": [1]},
        {"longest_grant": 8},
        {"longest_grant": "31d"},
        {"longest_grant": "soon"},
        {"allow": ["jira"]},
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error_and_not_passed_over(
    table: dict[str, Any],
) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml"):
        limits(**table)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("1h", 3600),
        ("2d", 172_800),
        ("0h", None),
        ("h", None),
        ("", None),
        ("1", None),
        ("-1h", None),
        ("1.5h", None),
        ("1w", None),
        ("1 h", None),
        ("٣h", None),
        ("9999999d", None),
    ],
)
def test_times_are_read(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "policy.toml"
    path.write_text('deny = ["bitbucket"]\nlongest_grant = "8h"\n')
    path.chmod(0o644)
    return path


def test_a_machines_administrator_limits_all_its_users(file: Path) -> None:
    found = machine_wide(file, owner=os.getuid())
    assert found is not None
    assert found.deny == {"bitbucket"}
    assert found.longest == 8 * 3600
    assert found.admin is None, "it says nothing of it, and opens nothing"
    assert str(file) in str(found.refusal("bitbucket", READ, "default"))
    assert machine_wide(file.with_name("none.toml"), owner=os.getuid()) is None


def test_a_machines_limits_that_a_user_could_have_written_are_an_error(file: Path) -> None:
    """Neither believed nor passed over: else who may write there could lift them."""
    with pytest.raises(ConfigError, match="cannot be believed"):
        machine_wide(file, owner=os.getuid() + 1)
    file.chmod(0o664)
    with pytest.raises(ConfigError, match="cannot be believed"):
        machine_wide(file, owner=os.getuid())
    file.chmod(0o644)
    file.parent.chmod(0o777)
    with pytest.raises(ConfigError, match="cannot be believed"):
        machine_wide(file, owner=os.getuid())


@pytest.mark.parametrize("text", ["deny = [", "[policy]\n", "\xff"])
def test_a_machines_limits_that_cannot_be_read_are_an_error(file: Path, text: str) -> None:
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        machine_wide(file, owner=os.getuid())


def test_a_link_in_place_of_a_machines_limits_is_not_followed(file: Path) -> None:
    """H-E2."""
    link = file.with_name("link.toml")
    link.symlink_to(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        machine_wide(link, owner=os.getuid())
