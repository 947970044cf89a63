"""The sandbox's pages for people: rendered from templates that escape everything, no JavaScript."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

_HERE: Final = Path(__file__).parent
_PLAIN_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?")


class Pages:
    """Renders pages.

    Args:
        issuer: Named in every page's foot.
    """

    def __init__(self, issuer: str) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["issuer"] = issuer

    def page(
        self, name: str, *, status: int = 200, redirect_uri: str | None = None, **values: Any
    ) -> Response:
        """Return the page `name` as an answer that no other site may frame or script.

        Args:
            name: The template's name without its ending.
            status: The HTTP status.
            redirect_uri: Where a form on the page may end up beside the sandbox itself.
            values: What the template shows.
        """
        text = self._environment.get_template(f"{name}.html").render(values)
        headers = {
            "content-security-policy": _policy(redirect_uri),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-frame-options": "DENY",
        }
        return Response(text, status, headers, media_type="text/html")

    def problem(self, heading: str, words: str, status: int = 400) -> Response:
        """Return the page that says what went wrong."""
        return self.page("result", status=status, kind="error", heading=heading, words=words)


def _policy(redirect_uri: str | None) -> str:
    # Browsers apply form-action to the redirects after the form, too: name the client's origin.
    parts = urlsplit(redirect_uri) if redirect_uri else None
    form_action = "form-action 'self'"
    if parts is not None and "[" in parts.netloc:
        form_action = ""  # an IPv6 host cannot be written in a policy
    elif parts is not None and _PLAIN_HOST.fullmatch(parts.netloc):
        form_action += f" {parts.scheme}://{parts.netloc}"
    rules = [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        form_action,
    ]
    return "; ".join(rule for rule in rules if rule)


def static_routes() -> list[Route]:
    """Return the routes of the style sheet and the mark."""
    files = {
        "/static/sandbox.css": ((_HERE / "static" / "sandbox.css").read_bytes(), "text/css"),
        "/static/mark.svg": ((_HERE / "static" / "mark.svg").read_bytes(), "image/svg+xml"),
    }

    async def serve(request: Request) -> Response:
        body, media_type = files[request.url.path]
        return Response(body, 200, {"cache-control": "max-age=300"}, media_type=media_type)

    return [Route(path, serve) for path in files]
