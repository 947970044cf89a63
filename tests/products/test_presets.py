"""Presets: each file is read as it stands, and says what a server wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guard.shapes import SHAPES
from twg.http import origin
from twg.products import atlassian, presets

if TYPE_CHECKING:
    from pathlib import Path


def test_there_are_two() -> None:
    assert presets.names() == (presets.ATLASSIAN, presets.ROVO_MCP)


@pytest.mark.parametrize("name", presets.names())
def test_a_preset_is_sound(name: str) -> None:
    """Everything in it is https, and of a kind that is known; nobody changes it."""
    found = presets.load(name)

    assert found.name == name
    assert presets.named(name) == presets.for_issuer(f"{found.issuer}/") == found
    assert not found.issuer.endswith("/")
    for url in (found.issuer, found.api_base, *found.endpoints.values()):
        assert origin(url).startswith("https://")
    assert (found.client_secret_kinds or set()) <= {shape.kind for shape in SHAPES}
    with pytest.raises(TypeError):
        found.endpoints["token"] = "https://evil.example"  # type: ignore[index]  # that it is frozen


def test_atlassians_is_for_an_app_of_ones_own() -> None:
    found = presets.load(presets.ATLASSIAN)

    assert (found.issuer, found.api_base) == (atlassian.ISSUER, atlassian.API_BASE)
    assert dict(found.authorize_parameters) == {
        "audience": "api.atlassian.com",
        "prompt": "consent",
    }
    assert found.scopes[0] == "offline_access"
    assert set(found.scopes_by_product) == {"account", "jira", "confluence"}
    assert (found.token_body, found.idle_days) == ("json", 90.0)


def test_clients_register_at_the_rovo_mcp_server_for_its_resource() -> None:
    found = presets.load(presets.ROVO_MCP)

    assert found.app_console is None
    assert found.resource == "https://mcp.atlassian.com/v1/mcp"
    assert found.scopes == ()
    assert set(found.endpoints) == {"authorization", "token", "registration"}


def test_what_is_not_known_is_no_preset() -> None:
    assert presets.named("acme") is None
    assert presets.named("../presets/atlassian") is None
    assert presets.for_issuer("https://auth.atlassian.com.evil.example") is None


def test_a_word_that_means_nothing_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme.toml").write_text('title = "A"\nissuer = "i"\napi_base = "b"\nisuer = "i"\n')
    monkeypatch.setattr(presets, "_HERE", tmp_path)

    with pytest.raises(TypeError, match="isuer"):
        presets.load("acme")
