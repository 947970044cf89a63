"""A browser without a window for a sandbox that plays the person: opens one address and follows it.

It stands in for a person's browser in `twg demo`, as a program of its own like any other browser.
"""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

SECONDS: Final = 20


class _OnLoopback(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: object, code: int, msg: str, headers: object, newurl: str
    ) -> Request | None:
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # passed on as they came


def main() -> int:
    """Open the address that is the only argument; 0 if a page came of it."""
    url = sys.argv[1]
    _check(url)
    # No proxy: the sandbox and the redirect are on this machine.
    opener = build_opener(ProxyHandler({}), _OnLoopback())
    with opener.open(Request(url), timeout=SECONDS) as page:  # noqa: S310 - checked to be http
        page.read()
    return 0


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname != "127.0.0.1":
        raise SystemExit(f"not an address on this machine: {parts.scheme}://{parts.netloc}")


if __name__ == "__main__":
    sys.exit(main())
