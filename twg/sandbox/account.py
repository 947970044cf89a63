"""The account pages where a person makes a Bitbucket token or an organization's admin key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from twg.sandbox import scopes
from twg.sandbox.bodies import Malformed, read_pairs
from twg.sandbox.minting import ADMIN_PREFIX, BITBUCKET_PREFIX, api_token
from twg.sandbox.people import ORG_ID, ORGS
from twg.sandbox.sessions import target_of
from twg.sandbox.storage import Key
from twg.sandbox.web import route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.pages import Pages
    from twg.sandbox.people import Person
    from twg.sandbox.sessions import Sessions

BITBUCKET: Final = "bitbucket"
ADMIN: Final = "admin"
_YEAR_SECONDS: Final = 365 * 24 * 3600
_WEEK_SECONDS: Final = 7 * 24 * 3600
_LABEL_LENGTH: Final = 80


@dataclass(frozen=True)
class _Kind:
    name: str
    prefix: str
    title: str
    words: str
    seconds: int
    choices: tuple[tuple[str, str], ...] = ()
    orgs: tuple[tuple[str, str], ...] = ()


_BITBUCKET: Final = _Kind(
    BITBUCKET,
    BITBUCKET_PREFIX,
    "API tokens",
    "Make a scoped token for Bitbucket. Use it with your e-mail address.",
    _YEAR_SECONDS,
    tuple(scopes.BITBUCKET.items()),
)
_ADMIN: Final = _Kind(
    ADMIN,
    ADMIN_PREFIX,
    "Admin API keys",
    "Make a key for one organization. It ends in a week, as the real one does by default.",
    _WEEK_SECONDS,
    orgs=tuple(ORGS.items()),
)


def routes(sandbox: Sandbox, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the routes of both account pages."""
    tokens = _Maker(sandbox, pages, sessions, _BITBUCKET)
    keys = _Maker(sandbox, pages, sessions, _ADMIN)
    return [
        route(sandbox, "GET", "/account/api-tokens", tokens.show),
        route(sandbox, "POST", "/account/api-tokens", tokens.make),
        route(sandbox, "GET", "/admin/api-keys", keys.show),
        route(sandbox, "POST", "/admin/api-keys", keys.make),
    ]


class _Maker:
    def __init__(self, sandbox: Sandbox, pages: Pages, sessions: Sessions, kind: _Kind) -> None:
        self._sandbox = sandbox
        self._pages = pages
        self._sessions = sessions
        self._kind = kind

    async def show(self, request: Request) -> Response:
        """Show the form to whoever may use it."""
        person = await self._sessions.person(request)
        if person is None:
            return self._sessions.sign_in_redirect(target_of(request))
        return self._refusal(person) or self._page(request, person, token=None)

    async def make(self, request: Request) -> Response:
        """Make one token and show it once."""
        try:
            form = await self._sessions.checked_form(request)
            pairs = await read_pairs(request)
        except Malformed:
            return self._pages.problem("That did not work", "Go back, reload, and try again.")
        person = await self._sessions.person(request)
        if person is None:
            return self._sessions.sign_in_redirect(target_of(request))
        refusal = self._refusal(person)
        if refusal is not None:
            return refusal
        scope = self._scope(pairs)
        label = form.get("label", "")[:_LABEL_LENGTH]
        token = api_token(self._kind.prefix)
        key = Key(self._kind.name, person.username, label, scope)
        await to_thread.run_sync(self._sandbox.storage.add_key, token, key, self._kind.seconds)
        self._sandbox.observations.issued(self._kind.name, token, person.username)
        return self._page(request, person, token=token)

    def _scope(self, pairs: list[tuple[str, str]]) -> str:
        """Return what the token is to be good for, as chosen on the form."""
        if self._kind.name == ADMIN:
            chosen = dict(pairs).get("org", ORG_ID)
            return chosen if chosen in ORGS else ORG_ID
        known = dict(self._kind.choices)
        return " ".join(value for name, value in pairs if name == "scope" and value in known)

    def _refusal(self, person: Person) -> Response | None:
        if self._kind.name == BITBUCKET and not person.has_bitbucket:
            words = f"{person.name} has no access to Bitbucket."
            return self._pages.problem("No Bitbucket", words, 403)
        if self._kind.name == ADMIN and not person.is_org_admin:
            words = f"{person.name} is not an organization admin."
            return self._pages.problem("Administrators only", words, 403)
        return None

    def _page(self, request: Request, person: Person, *, token: str | None) -> Response:
        return self._pages.page(
            "keys",
            kind=self._kind,
            person=person,
            token=token,
            form_token=self._sessions.form_token(self._sessions.of(request) or ""),
        )
