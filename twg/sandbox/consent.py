"""Where a person says yes or no: the authorization endpoint and the device page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import OAuth2Error

from twg.sandbox import scopes
from twg.sandbox.authorization import Approval, Wire
from twg.sandbox.bodies import Malformed
from twg.sandbox.callbacks import tamper
from twg.sandbox.clients import find_client
from twg.sandbox.faults import Place
from twg.sandbox.people import HARBOR, PEOPLE
from twg.sandbox.sessions import redirect, target_of
from twg.sandbox.web import answer_response, route, with_query

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.authorization import Answer, Server
    from twg.sandbox.context import Sandbox
    from twg.sandbox.pages import Pages
    from twg.sandbox.people import Person
    from twg.sandbox.sessions import Sessions

ALL_SITES: Final = "all"
_FORGED: Final = "This form is not from this browser session. Go back, reload, and try again."

_BLOCKED: Final = (
    f"Your site admin must authorize this app for the site {HARBOR.host} before the app can "
    "access your account."
)
"""Where an admin allows no app that users install, the real one shows this and goes nowhere."""


def routes(sandbox: Sandbox, server: Server, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the routes of the authorization endpoint and the device page."""
    authorize = _Authorize(sandbox, server, pages, sessions)
    device = _Device(sandbox, pages, sessions)
    return [
        route(sandbox, "GET", "/authorize", authorize.show),
        route(sandbox, "POST", "/authorize", authorize.decide),
        route(sandbox, "GET", "/oauth/activate", device.show),
        route(sandbox, "POST", "/oauth/activate", device.submit),
    ]


def chosen_sites(person: Person, site: str | None) -> tuple[str, ...]:
    """Return the cloud ids a person chose: one of theirs, all of them, else their first."""
    if site == ALL_SITES:
        return tuple(one.cloud_id for one in person.sites)
    chosen = person.site(site or "") or person.sites[0]
    return (chosen.cloud_id,)


class _Authorize:
    def __init__(self, sandbox: Sandbox, server: Server, pages: Pages, sessions: Sessions) -> None:
        self._sandbox = sandbox
        self._server = server
        self._pages = pages
        self._sessions = sessions

    async def show(self, request: Request) -> Response:
        """Check the authorization request (RFC 6749 section 4.1.1), then ask the person."""
        grant = await to_thread.run_sync(self._grant_or_refusal, _wire(request))
        if isinstance(grant, Refusal):
            return self._refused(grant)
        if self._sandbox.faults.take("app-blocked", [Place.AUTHORIZE]):
            return self._pages.problem("Access denied", _BLOCKED, 403)
        if self._sandbox.options.auto_approve:
            hint = request.query_params.get("login_hint", "").partition("@")[0]
            person = PEOPLE.get(hint, PEOPLE["alice"])
            approval = Approval(person, chosen_sites(person, None))
            return await self._answer(request, approval)
        signed_in = await self._sessions.person(request)
        if signed_in is None:
            return self._sessions.sign_in_redirect(target_of(request))
        return self._pages.page(
            "consent",
            redirect_uri=grant.redirect_uri,
            **asked(
                self._sessions.form_token(self._sessions.of(request) or ""),
                signed_in,
                grant.client.name,
                grant.request.scope,
                target_of(request),
            ),
        )

    async def decide(self, request: Request) -> Response:
        """Take the person's answer and send the browser back to the client."""
        try:
            form = await self._sessions.checked_form(request)
        except Malformed:
            return self._pages.problem("That did not work", _FORGED)
        person = await self._sessions.person(request)
        if person is None:
            return self._sessions.sign_in_redirect(target_of(request))
        approval = None
        if form.get("decision") == "accept":
            approval = Approval(person, chosen_sites(person, form.get("site")))
        return await self._answer(request, approval)

    async def _answer(self, request: Request, approval: Approval | None) -> Response:
        answer = await to_thread.run_sync(self._respond, _wire(request), approval)
        if isinstance(answer, Refusal):
            return self._refused(answer)
        answer = await to_thread.run_sync(tamper, self._sandbox, answer)
        return answer_response(answer, request.method)

    def _respond(self, wire: Wire, approval: Approval | None) -> Answer | Refusal:
        with self._sandbox.storage.transaction():
            grant = self._grant_or_refusal(wire)
            if isinstance(grant, Refusal):
                return grant
            answer: Answer = self._server.create_authorization_response(
                grant.request, grant_user=approval, grant=grant
            )
        return answer

    def _grant_or_refusal(self, wire: Wire) -> Any:
        try:
            return self._server.get_consent_grant(wire)
        except OAuth2Error as error:
            return Refusal(error, wire)
        except ValueError:
            # Authlib composes some descriptions from the request and refuses odd characters there.
            return Refusal(OAuth2Error(error="invalid_request"), wire)

    def _refused(self, refusal: Refusal) -> Response:
        """Answer a faulty request: to the client only if its redirect URI is proven."""
        if not refusal.error.redirect_uri:
            words = refusal.error.get_error_description() or "The request is malformed."
            return self._pages.problem("This request cannot be answered", words)
        answer: Answer = self._server.handle_error_response(refusal.wire, refusal.error)
        answer.location = with_issuer(answer.location, self._sandbox.issuer)
        return answer_response(answer, "GET")


class Refusal:
    """Why an authorization request cannot be put before a person."""

    def __init__(self, error: Any, wire: Wire) -> None:
        self.error = error
        self.wire = wire


def with_issuer(location: str, issuer: str) -> str:
    """Return the redirect with `iss`, which errors carry too (RFC 9207 section 2)."""
    return str(add_params_to_uri(location, [("iss", issuer)]))


def asked(
    form_token: str, person: Person, client_name: str, scope: str, action: str
) -> dict[str, Any]:
    """Return what the consent page shows."""
    return {
        "form_token": form_token,
        "person": person,
        "client_name": client_name,
        "permissions": scopes.in_words(scope),
        "action": action,
        "all_sites": ALL_SITES,
    }


def _wire(request: Request) -> Wire:
    pairs = request.query_params.multi_items()
    return Wire(request.method, request.url.path, request.headers, pairs)


class _Device:
    def __init__(self, sandbox: Sandbox, pages: Pages, sessions: Sessions) -> None:
        self._sandbox = sandbox
        self._pages = pages
        self._sessions = sessions

    async def show(self, request: Request) -> Response:
        """Ask for the code; once it was confirmed and somebody signed in, ask for consent."""
        session = self._sessions.of(request)
        typed = request.query_params.get("user_code", "")
        person = await self._sessions.person(request)
        if request.query_params.get("confirmed") != "yes":
            return self._code_page(request, typed, wrong=False)
        if session is None or person is None:
            return self._sessions.sign_in_redirect(target_of(request))
        device = await to_thread.run_sync(self._open_device, normal_code(typed))
        if device is None:
            return self._code_page(request, typed, wrong=True)
        client = await to_thread.run_sync(find_client, self._sandbox.storage, device.client_id)
        token = self._sessions.form_token(session)
        name = client.name if client else device.client_id
        return self._pages.page(
            "consent", **asked(token, person, name, device.scope, target_of(request))
        )

    def _code_page(self, request: Request, typed: str, *, wrong: bool) -> Response:
        session = self._sessions.of(request) or self._sessions.new_id()
        token = self._sessions.form_token(session)
        response = self._pages.page(
            "device", status=400 if wrong else 200, form_token=token, user_code=typed, wrong=wrong
        )
        self._sessions.set_cookie(response, session)
        return response

    async def submit(self, request: Request) -> Response:
        """Take the typed code, or the person's decision about it."""
        try:
            form = await self._sessions.checked_form(request)
        except Malformed:
            return self._pages.problem("That did not work", _FORGED)
        if "decision" not in form:
            return await self._code_typed(request, form.get("user_code", ""))
        person = await self._sessions.person(request)
        if person is None:
            return self._sessions.sign_in_redirect(target_of(request))
        return await self._decided(request, form, person)

    async def _code_typed(self, request: Request, typed: str) -> Response:
        device = await to_thread.run_sync(self._open_device, normal_code(typed))
        if device is None:
            return self._code_page(request, typed, wrong=True)
        parameters = {"user_code": device.user_code, "confirmed": "yes"}
        return redirect(with_query("/oauth/activate", **parameters))

    async def _decided(self, request: Request, form: dict[str, str], person: Person) -> Response:
        code = normal_code(request.query_params.get("user_code", ""))
        accepted = form["decision"] == "accept"
        sites = chosen_sites(person, form.get("site")) if accepted else None
        if not await to_thread.run_sync(self._decide, code, person, sites):
            return self._code_page(request, code, wrong=True)
        if accepted:
            words = "Your device is signed in. You can close this page and go back to it."
            return self._pages.page("result", kind="done", heading="All set", words=words)
        words = "Nothing was allowed. You can close this page."
        return self._pages.page("result", kind="denied", heading="Access denied", words=words)

    def _open_device(self, user_code: str) -> Any:
        device = self._sandbox.storage.device_by_user_code(user_code)
        return device if device and not device.expired and device.decision is None else None

    def _decide(self, user_code: str, person: Person, sites: tuple[str, ...] | None) -> bool:
        storage = self._sandbox.storage
        with storage.transaction():
            device = self._open_device(user_code)
            if device is None:
                return False
            if sites is None:
                return storage.decide_device(user_code, "deny", None)
            grant_id = storage.add_grant(device.client_id, person.username, sites, device.scope)
            return storage.decide_device(user_code, "accept", grant_id)


def normal_code(typed: str) -> str:
    """Return a user code as it was issued, however it was typed (RFC 8628 section 6.1)."""
    letters = "".join(letter for letter in typed.upper() if letter.isalnum())
    return f"{letters[:4]}-{letters[4:]}"
