"""Who is signed in at the sandbox's pages: session cookie, form tokens, sign-in and sign-out."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.responses import Response

from twg.sandbox.bodies import Malformed, read_form
from twg.sandbox.people import PEOPLE
from twg.sandbox.web import route, with_query

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.pages import Pages
    from twg.sandbox.people import Person

_PLACES: Final = ("/authorize", "/oauth/activate", "/account/api-tokens", "/admin/api-keys", "/")


class Sessions:
    """Browser sessions, each with the token its forms must carry.

    Args:
        sandbox: The running sandbox.
        key: Derives form tokens from session ids.
    """

    def __init__(self, sandbox: Sandbox, key: bytes) -> None:
        self._sandbox = sandbox
        self._key = key
        # Cookies do not know ports: two sandboxes on one machine must not share theirs.
        self._cookie = f"sandbox_session_{sandbox.port}"

    def of(self, request: Request) -> str | None:
        """Return the session id the browser sent, or None."""
        return request.cookies.get(self._cookie)

    async def person(self, request: Request) -> Person | None:
        """Return who is signed in, or None."""
        session = self.of(request)
        if session is None:
            return None
        username = await to_thread.run_sync(self._sandbox.storage.session, session)
        return PEOPLE[username] if username else None

    def new_id(self) -> str:
        """Return an id for a session that is not there yet."""
        return secrets.token_urlsafe(32)

    def form_token(self, session: str) -> str:
        """Return the token that forms of this session carry against forgery."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    async def checked_form(self, request: Request) -> dict[str, str]:
        """Return the form of a POST that came from one of our own pages.

        Raises:
            Malformed: Its form token is missing or another session's.
        """
        form = await read_form(request)
        session = self.of(request)
        sent = form.get("form_token", "").encode()
        if session is None or not hmac.compare_digest(self.form_token(session).encode(), sent):
            raise Malformed("this form is not from this browser session")
        return form

    def set_cookie(self, response: Response, session: str) -> None:
        """Hand the session id to the browser."""
        response.set_cookie(self._cookie, session, httponly=True, samesite="lax", path="/")

    def sign_in_redirect(self, target: str) -> Response:
        """Send the browser to the sign-in page, to come back to `target`."""
        return redirect(with_query("/login", then=target))


def redirect(target: str) -> Response:
    """Send the browser to `target` with GET (303)."""
    return Response(b"", 303, {"location": target, "cache-control": "no-store"})


def target_of(request: Request) -> str:
    """Return path and query of the request, to come back to."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _safe_target(text: str | None) -> str:
    """Return a target on one of our own pages: `text` if it is one, else the front page."""
    if not text or not text.isprintable() or "\\" in text:
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc and parts.path in _PLACES else "/"


def routes(sandbox: Sandbox, pages: Pages, sessions: Sessions) -> list[Route]:
    """Return the routes of sign-in and sign-out."""
    views = _Views(sandbox, pages, sessions)
    return [
        route(sandbox, "GET", "/login", views.show),
        route(sandbox, "POST", "/login", views.sign_in),
        route(sandbox, "POST", "/sign-out", views.sign_out),
    ]


class _Views:
    def __init__(self, sandbox: Sandbox, pages: Pages, sessions: Sessions) -> None:
        self._sandbox = sandbox
        self._pages = pages
        self._sessions = sessions

    async def show(self, request: Request) -> Response:
        """Show the sign-in page."""
        target = _safe_target(request.query_params.get("then"))
        hint = parse_qs(urlsplit(target).query).get("login_hint", [""])[0]
        return self._page(request, target, username=hint, wrong=False)

    def _page(self, request: Request, target: str, *, username: str, wrong: bool) -> Response:
        session = self._sessions.of(request) or self._sessions.new_id()
        response = self._pages.page(
            "login",
            status=401 if wrong else 200,
            form_token=self._sessions.form_token(session),
            then=target,
            username=username,
            wrong=wrong,
        )
        self._sessions.set_cookie(response, session)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Check name and password; on success give a new session id and go on."""
        try:
            form = await self._sessions.checked_form(request)
        except Malformed:
            words = "Your browser did not send back the sign-in form’s token. Go back and reload."
            return self._pages.problem("That did not work", words)
        target = _safe_target(form.get("then"))
        username = form.get("username", "").strip()
        person = _person_named(username)
        password = form.get("password", "").encode()
        if person is None or not hmac.compare_digest(person.password.encode(), password):
            return self._page(request, target, username=username, wrong=True)
        session = self._sessions.new_id()
        await to_thread.run_sync(self._sandbox.storage.add_session, session, person.username)
        response = redirect(target)
        self._sessions.set_cookie(response, session)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session and go to the sign-in page."""
        try:
            form = await self._sessions.checked_form(request)
        except Malformed:
            return self._pages.problem("That did not work", "Go back, reload, and try again.")
        session = self._sessions.of(request)
        if session is not None:
            await to_thread.run_sync(self._sandbox.storage.end_session, session)
        return self._sessions.sign_in_redirect(_safe_target(form.get("then")))


def _person_named(name: str) -> Person | None:
    found = PEOPLE.get(name.lower())
    return found or next((one for one in PEOPLE.values() if one.email == name.lower()), None)
