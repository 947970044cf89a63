"""Lines in a real git's configuration: found, added and removed, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.surroundings import clean_env
from twg.errors import ConfigError
from twg.git.rewriting import GitConfig, Rewriting

if TYPE_CHECKING:
    from pathlib import Path

BITBUCKET = Rewriting("https://bitbucket.org")
OF_ANOTHER = """\
# mine
[url "git@github.com:"]
\tinsteadOf = https://github.com/
[url "twg::https://bitbucket.org/"]
\tinsteadOf = bb:
"""


@pytest.fixture
def config(tmp_path: Path) -> GitConfig:
    return GitConfig(environ=clean_env(tmp_path))


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".gitconfig"


async def test_a_line_is_found_once_it_is_added(config: GitConfig, tmp_path: Path) -> None:
    assert await config.rewritings() == []
    assert not file_of(tmp_path).exists(), "looking made nothing"

    await config.add(BITBUCKET)

    assert await config.rewritings() == [BITBUCKET]
    shown = " ".join(file_of(tmp_path).read_text().split())
    assert shown == " ".join(" ".join(BITBUCKET.lines).split()), "what is shown is what is written"
    assert await config.takes(BITBUCKET)


async def test_removing_it_leaves_every_other_line(config: GitConfig, tmp_path: Path) -> None:
    file_of(tmp_path).write_text(OF_ANOTHER)
    assert await config.rewritings() == [], "one of our key with another value is not ours"
    await config.add(BITBUCKET)
    assert await config.rewritings() == [BITBUCKET]

    await config.remove(BITBUCKET)

    assert file_of(tmp_path).read_text() == OF_ANOTHER


@pytest.mark.parametrize("other", ["https://bitbucket.org/", "https://bitbucket.org/WORKSPACE/"])
async def test_that_another_line_wins_is_noticed(
    config: GitConfig, tmp_path: Path, other: str
) -> None:
    file_of(tmp_path).write_text(f'[url "git@bitbucket.org:"]\n\tinsteadOf = {other}\n')

    await config.add(BITBUCKET)

    assert not await config.takes(BITBUCKET)


async def test_where_it_runs_does_not_matter(config: GitConfig, tmp_path: Path) -> None:
    """A repository around, or one that variables name, has no say."""
    await anyio.run_process(["git", "init", "--quiet", str(tmp_path / "repo")])
    around = {**config.environ, "GIT_DIR": str(tmp_path / "repo" / ".git"), "GIT_CONFIG_COUNT": "x"}

    await GitConfig(environ=around).add(BITBUCKET)

    assert await config.rewritings() == [BITBUCKET]


async def test_a_configuration_that_cannot_be_read_is_told(
    config: GitConfig, tmp_path: Path
) -> None:
    file_of(tmp_path).write_text("[url\n")

    with pytest.raises(ConfigError, match="ended with 128") as told:
        await config.rewritings()

    assert "git config --global --list" in told.value.remediation


async def test_a_configuration_that_cannot_be_written_is_told(
    config: GitConfig, tmp_path: Path
) -> None:
    file_of(tmp_path).with_name(".gitconfig.lock").touch()

    with pytest.raises(ConfigError, match="cannot read or write"):
        await config.add(BITBUCKET)


async def test_without_git_there_is_none(config: GitConfig, tmp_path: Path) -> None:
    lonely = GitConfig(environ={**config.environ, "PATH": str(tmp_path)})

    assert config.finds("git")
    assert not lonely.finds("git")
    with pytest.raises(ConfigError, match="not on the PATH"):
        await lonely.rewritings()


async def test_a_git_that_hangs_is_ended(config: GitConfig, tmp_path: Path) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nexec sleep 1000\n")
    git.chmod(0o755)
    hanging = {**config.environ, "PATH": f"{tmp_path}:{config.environ['PATH']}"}

    with pytest.raises(ConfigError, match="did not answer"):
        await GitConfig(environ=hanging, seconds=0.2).rewritings()
