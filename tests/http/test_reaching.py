"""Servers that cannot be reached or trusted, and what of the surroundings is not obeyed."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.http.peers import Keeper, Proxy, listening, resolve
from tests.oauth.servers import document
from twg.errors import ConfigError, NetworkError
from twg.http import Http, origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guard.secret import Secret
    from tests.http.authority import Authority
    from tests.oauth.servers import Server

NAME = "service.example.com"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


async def test_a_name_that_nobody_knows(http: Http) -> None:
    """H-C4: DNS failure."""
    with pytest.raises(NetworkError, match="cannot be resolved") as caught:
        await http.request("GET", "https://no-such-host.invalid/")
    assert not caught.value.sent


async def test_a_port_where_nobody_listens(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(NetworkError, match="refused") as caught:
        await http.request("GET", f"http://127.0.0.1:{port}/")
    assert not caught.value.sent


@contextlib.contextmanager
def deaf(host: str, port: int) -> Iterator[None]:
    """Hold a port whose queue is full, so that connecting to it takes for ever."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket(family))
            filler.settimeout(0)
            filler.connect_ex((host, port))
        yield


async def test_ipv6_that_hangs_does_not_keep_ipv4_from_answering(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H-C4: both are tried, the second a moment after the first."""
    keeper = Keeper()
    asked = resolve(monkeypatch, "::1", "127.0.0.1")
    async with listening(keeper.serve) as port, Http(connect_seconds=30) as http:
        with deaf("::1", port):
            answer = await http.request("GET", f"http://localhost:{port}/")
    assert answer.status == 200
    assert asked == ["localhost"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_a_connection_that_never_comes_is_waited_for_so_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with deaf("127.0.0.1", port):
        async with Http(connect_seconds=0.2) as http:
            with pytest.raises(NetworkError, match="did not connect in time") as caught:
                await http.request("GET", f"http://127.0.0.1:{port}/")
            assert not caught.value.sent


async def test_a_private_authority_is_believed_where_the_setting_names_it(
    authority: Authority, secret: Secret
) -> None:
    keeper = Keeper()
    async with listening(keeper.serve, authority.server("127.0.0.1")) as port:
        url = f"https://127.0.0.1:{port}/"
        async with Http(ca_bundle=authority.bundle) as http:
            for _ in range(2):
                answer = await http.request(
                    "POST", url, form={"t": secret}, pinned=frozenset({origin(url)})
                )
                assert answer.json() == {"ok": True}
    assert (len(keeper.received), keeper.connections) == (2, 1)


async def test_another_server_under_its_name_gets_nothing(
    authority: Authority, secret: Secret
) -> None:
    """H-C4: TLS failure; the certificate is good, but for another name."""
    keeper = Keeper()
    async with listening(keeper.serve, authority.server("other.example.com")) as port:
        url = f"https://127.0.0.1:{port}/"
        async with Http(ca_bundle=authority.bundle) as http:
            with pytest.raises(NetworkError, match="TLS") as caught:
                await http.request("POST", url, bearer=secret, pinned=frozenset({origin(url)}))
            assert not caught.value.sent
    assert keeper.received == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", None])
async def test_no_variable_adds_an_authority(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, variable: str | None
) -> None:
    """H-C4: TLS failure; without the setting, the system's certificates decide alone."""
    if variable is not None:
        place = authority.bundle if variable.endswith("FILE") else authority.bundle.parent
        monkeypatch.setenv(variable, str(place))
    keeper = Keeper()
    async with listening(keeper.serve, authority.server("127.0.0.1")) as port, Http() as http:
        with pytest.raises(NetworkError, match="TLS") as caught:
            await http.request("GET", f"https://127.0.0.1:{port}/")
        assert not caught.value.sent
    assert keeper.received == []


async def test_no_variable_lets_the_keys_be_written_down(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    async with (
        listening(Keeper().serve, authority.server("127.0.0.1")) as port,
        Http(ca_bundle=authority.bundle) as http,
    ):
        await http.request("GET", f"https://127.0.0.1:{port}/")
    assert not keys.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"", "no certificate"), (b"x", "no certificate")],
)
async def test_a_bundle_that_holds_no_certificate_is_a_wrong_setting(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    async with Http(ca_bundle=bundle) as http:
        with pytest.raises(ConfigError, match=words):
            await http.request("GET", "https://127.0.0.1:1/")


@pytest.mark.parametrize("variable", PROXIES)
async def test_no_variable_names_a_proxy(
    server: Server,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """Settings may; the variables that are obeyed are read there, for https alone."""
    keeper = Keeper()
    proxy = Proxy(0)
    server.on("/x", document({}))
    async with (
        listening(keeper.serve, authority.server(NAME)) as port,
        listening(proxy.serve) as proxy_port,
        Http(ca_bundle=authority.bundle) as http,
    ):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy_port}")
        resolve(monkeypatch, "127.0.0.1")
        await http.request("GET", f"https://{NAME}:{port}/")
        await http.request("GET", f"{server.url}/x")
    assert proxy.asked == []
    assert len(keeper.received) == len(server.received) == 1


async def test_a_proxy_sees_a_tunnel_and_nothing_within(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, secret: Secret
) -> None:
    keeper = Keeper()
    asked = resolve(monkeypatch)
    url = f"https://{NAME}:8443/token"
    async with listening(keeper.serve, authority.server(NAME)) as port:
        proxy = Proxy(port)
        async with (
            listening(proxy.serve) as proxy_port,
            Http(ca_bundle=authority.bundle, proxy=f"http://127.0.0.1:{proxy_port}") as http,
        ):
            for _ in range(2):
                await http.request("POST", url, form={"t": secret}, pinned=frozenset({origin(url)}))
    assert proxy.asked == [f"CONNECT {NAME}:8443 HTTP/1.1"]
    assert asked == [], "the proxy looks names up"
    assert len(keeper.received) == 2


@pytest.mark.parametrize(
    ("no_proxy", "through"),
    [
        ((), True),
        (("example.com",), False),
        ((".example.com",), False),
        ((NAME,), False),
        (("*",), False),
        (("ample.com", "service"), True),
    ],
)
async def test_names_that_go_past_the_proxy(
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: tuple[str, ...],
    through: bool,  # noqa: FBT001 - a table's column
) -> None:
    resolve(monkeypatch, "127.0.0.1")
    keeper = Keeper()
    async with listening(keeper.serve, authority.server(NAME)) as port:
        proxy = Proxy(port)
        async with (
            listening(proxy.serve) as proxy_port,
            Http(
                ca_bundle=authority.bundle,
                proxy=f"http://127.0.0.1:{proxy_port}",
                no_proxy=no_proxy,
            ) as http,
        ):
            await http.request("GET", f"https://{NAME}:{port}/")
    assert (len(proxy.asked) == 1) is through
    assert len(keeper.received) == 1


async def test_plain_loopback_never_goes_through_a_proxy(server: Server) -> None:
    proxy = Proxy(0)
    server.on("/x", document({}))
    async with (
        listening(proxy.serve) as proxy_port,
        Http(proxy=f"http://127.0.0.1:{proxy_port}") as http,
    ):
        await http.request("GET", f"{server.url}/x")
    assert proxy.asked == []
    assert len(server.received) == 1


async def test_a_proxy_that_refuses_is_named_as_such(authority: Authority) -> None:
    proxy = Proxy(0, refusal=b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    async with (
        listening(proxy.serve) as proxy_port,
        Http(ca_bundle=authority.bundle, proxy=f"http://127.0.0.1:{proxy_port}") as http,
    ):
        with pytest.raises(NetworkError, match="the proxy refused") as caught:
            await http.request("GET", f"https://{NAME}/")
        assert not caught.value.sent


async def test_a_slow_handshake_is_a_connection_that_never_came() -> None:
    async def silent(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    async with listening(silent) as port, Http(connect_seconds=0.2) as http:
        with pytest.raises(NetworkError, match="did not connect in time") as caught:
            await http.request("GET", f"https://127.0.0.1:{port}/")
        assert not caught.value.sent
