"""A Bitbucket API token as it is kept: beside a profile's sign-in, but not part of it.

It is none of the provider's tokens: it is made by hand, renewed by nothing, and stays when its
profile signs in anew. So it has a record of its own, and no renewal writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from guard.secret import Secret  # noqa: TC001 - records.py reads these annotations at run time
from twg.vault.credential import origin_of

LONGEST_DAYS: Final = 365
"""How long such a token lives at most, from the day on which it is made."""

_SECONDS_A_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BitbucketSummary:
    """The part that may stand in clear; see `BitbucketToken` for what each means."""

    profile: str
    email: str
    account_id: str | None
    name: str | None
    scopes: tuple[str, ...]
    api_base: str
    saved_at: float

    @property
    def ends_by(self) -> float:
        """When it has expired at the latest, in Unix seconds: Bitbucket does not tell the day."""
        return self.saved_at + LONGEST_DAYS * _SECONDS_A_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class BitbucketToken:
    """A person's API token for Bitbucket, and what it goes with.

    Attributes:
        profile: The name it is kept under: that of the sign-in beside it.
        token: The token itself.
        email: Its account's e-mail address: the user in ``Authorization: Basic``.
        account_id: The account it stands for, by Bitbucket's word; None where it did not say.
        name: What that account is called.
        scopes: What it may do, by Bitbucket's word.
        api_base: Where it was checked; it goes to that origin, and to that Bitbucket's git server.
        saved_at: When it was first entered here, in Unix seconds.
    """

    profile: str
    token: Secret
    email: str
    account_id: str | None = None
    name: str | None = None
    scopes: tuple[str, ...] = ()
    api_base: str
    saved_at: float

    @property
    def hosts(self) -> frozenset[str]:
        """The origin that it may go to, such as ``https://api.bitbucket.org:443``."""
        return frozenset({origin_of(self.api_base)})

    @property
    def summary(self) -> BitbucketSummary:
        """The part that may stand in clear."""
        return BitbucketSummary(
            profile=self.profile,
            email=self.email,
            account_id=self.account_id,
            name=self.name,
            scopes=self.scopes,
            api_base=self.api_base,
            saved_at=self.saved_at,
        )
