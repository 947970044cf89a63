"""Who and what exists in the sandbox: its made-up persons, their sites, and organizations."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_ID: Final = "twg-sandbox"
WORKSPACE: Final = "harbor-works"
ORG_ID: Final = "5b0c0de0-0a7e-4a11-9c1e-0000005a4d0c"
ORG_NAME: Final = "Harbor Works (sandbox)"
OTHER_ORG_ID: Final = "7e4a11de-0c1e-4b0c-8f00-0000005a4d0d"
ORGS: Final[Mapping[str, str]] = MappingProxyType(
    {ORG_ID: ORG_NAME, OTHER_ORG_ID: "Orchard Trust (sandbox)"}
)
"""The organizations by ID, with their names; the first one is the sandbox's own."""


@dataclass(frozen=True)
class Site:
    """A cloud site: `cloud_id` addresses it at the gateway, `host` is its name for people."""

    cloud_id: str
    host: str
    name: str

    @property
    def url(self) -> str:
        """The site's address in a browser; nothing answers there."""
        return f"https://{self.host}"


@dataclass(frozen=True)
class Person:
    """A sandbox-only person; the password is published on purpose."""

    username: str
    password: str
    name: str
    email: str
    account_id: str
    sites: tuple[Site, ...]
    projects: frozenset[str]
    spaces: frozenset[str]
    may_write: bool
    has_bitbucket: bool
    is_org_admin: bool

    def site(self, cloud_id: str) -> Site | None:
        """Return this person's site with `cloud_id`, or None."""
        return next((site for site in self.sites if site.cloud_id == cloud_id), None)


HARBOR: Final = Site(
    "11111111-5a4d-4b0c-8f00-00000000ab01", "harbor.sandbox.example", "Harbor (sandbox)"
)
ORCHARD: Final = Site(
    "22222222-5a4d-4b0c-8f00-00000000ab02", "orchard.sandbox.example", "Orchard (sandbox)"
)

ALICE: Final = Person(
    username="alice",
    password="alicepass",
    name="Alice Marin (sandbox)",
    email="alice@sandbox.example",
    account_id="712020:5a4db0c0-0000-4000-8000-0000000a11ce",
    sites=(HARBOR, ORCHARD),
    projects=frozenset({"HAR", "OPS", "ORC"}),
    spaces=frozenset({"DOCK", "TEAM", "GROVE"}),
    may_write=True,
    has_bitbucket=True,
    is_org_admin=True,
)
BOB: Final = Person(
    username="bob",
    password="bobpass",
    name="Bob Ferrier (sandbox)",
    email="bob@sandbox.example",
    account_id="712020:5a4db0c0-0000-4000-8000-000000000b0b",
    sites=(HARBOR,),
    projects=frozenset({"HAR"}),
    spaces=frozenset({"DOCK"}),
    may_write=False,
    has_bitbucket=False,
    is_org_admin=False,
)

PEOPLE: Final[Mapping[str, Person]] = MappingProxyType({"alice": ALICE, "bob": BOB})
SITES: Final[Mapping[str, Site]] = MappingProxyType(
    {site.cloud_id: site for site in (HARBOR, ORCHARD)}
)


def described() -> dict[str, Any]:
    """Return what `twg sandbox status` tells of the persons, their passwords included."""
    return {
        person.username: {
            "password": person.password,
            "email": person.email,
            "name": person.name,
            "sites": [site.host for site in person.sites],
            "bitbucket": person.has_bitbucket,
        }
        for person in PEOPLE.values()
    }
