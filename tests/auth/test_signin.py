"""Signing in: what the person is told, what is kept, and what becomes of tokens that are not."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from guard.audit import Actor, AuditLog, load_or_create_key
from guard.custody import Custody
from guard.errors import PromptInterrupted, SecretRejected, TerminalRequired
from guard.scrub import Scrubber
from tests.auth.parts import (
    NOW,
    both_tokens,
    come_back,
    credential_at,
    issued_by,
    plain,
    provider_at,
    sign_in_of,
    stored,
    token_answer,
    walk,
)
from tests.oauth.servers import document, reset, status
from tests.rigs.surroundings import fake_browser
from tests.sandbox.running import running_sandbox
from tests.sandbox.visiting import Visitor
from tests.vault.samples import Ear, custody_of
from twg.auth.browser import Browser
from twg.auth.method import Choice, Method
from twg.errors import (
    ConfigError,
    GrantRefused,
    NetworkError,
    ProtocolError,
    SignInRefused,
    StoreUnwritable,
)
from twg.products import atlassian, presets

if TYPE_CHECKING:
    from pathlib import Path

    from guard.secret import Secret
    from tests.auth.parts import Sandbox, Told
    from tests.oauth.servers import Server
    from twg.auth.signin import Identity, Outcome, SignIn
    from twg.http import Http
    from twg.vault import Credential, Provider, SealedStore

PRINTED = Choice(Method.PRINTED, "Open the address.")
DEVICE = Choice(Method.DEVICE, "Use the code.")
HARBOR, ORCHARD = "harbor.sandbox.example", "orchard.sandbox.example"


def printed_instead(choice: Choice) -> Choice:
    assert choice is DEVICE
    return PRINTED


async def signed_in(
    sign_in: SignIn,
    told: Told,
    provider: Provider,
    *,
    choice: Choice = PRINTED,
    profile: str = "default",
    **more: Any,
) -> tuple[Outcome, httpx.Response]:
    """Sign in by the address that is shown; return what it came to and the browser's last page."""
    pages: list[httpx.Response] = []

    async def person() -> None:
        pages.append(await walk(await told.address()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        outcome = await sign_in.run(
            provider, choice, profile=profile, without_device=printed_instead, **more
        )
    return outcome, pages[0]


async def refused(sign_in: SignIn, told: Told, provider: Provider, **more: Any) -> Any:
    """Sign in where that fails; return the error and the browser's last page."""
    pages: list[httpx.Response] = []

    async def person() -> None:
        pages.append(await walk(await told.address()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        try:
            await sign_in.run(
                provider, PRINTED, profile="default", without_device=printed_instead, **more
            )
        except Exception as error:  # noqa: BLE001 - the test looks at it
            failure = error
    return failure, pages[0]


@pytest.fixture
def sign_in(store: SealedStore, http: Http, custody: Custody, told: Told) -> SignIn:
    return sign_in_of(store, http, custody, told)


# The ways


async def test_by_a_printed_address(
    sandbox: Sandbox, store: SealedStore, sign_in: SignIn, told: Told, ear: Ear
) -> None:
    outcome, page = await signed_in(sign_in, told, provider_at(sandbox.url))

    saved = await stored(store)
    assert saved.generation == outcome.credential.generation
    assert saved.account is not None
    assert saved.account.name == "Alice Marin (sandbox)"
    assert (saved.site, saved.signed_in_at, saved.idle_days) == (HARBOR, NOW, 30.0)
    assert outcome.still_alive is None
    assert await sandbox.living() == both_tokens(saved)
    assert "You are signed in as Alice Marin (sandbox)." in page.text
    assert told.lines == [PRINTED.reason]
    assert told.waits == [("Waiting for you in the browser", 60.0)]
    assert [facts["profile"] for facts in ear.events("token.issued")] == [saved.profile]


async def test_by_this_machines_browser(
    sandbox: Sandbox, sign_in: SignIn, told: Told, tmp_path: Path
) -> None:
    browser = fake_browser(tmp_path)
    choice = Choice(Method.BROWSER, "Opening it.", Browser((str(browser.path),)))

    async def person() -> None:
        await walk(await browser.opened_url())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        outcome = await sign_in.run(
            provider_at(sandbox.url), choice, profile="default", without_device=printed_instead
        )
    assert outcome.credential.site == HARBOR
    assert browser.opened_urls() == told.addresses


async def test_a_browser_that_does_not_open_is_told_and_the_address_goes_on_working(
    sandbox: Sandbox, sign_in: SignIn, told: Told
) -> None:
    choice = Choice(Method.BROWSER, "Opening it.", Browser(("/nowhere/firefox",)))
    outcome, _page = await signed_in(sign_in, told, provider_at(sandbox.url), choice=choice)
    assert outcome.credential.site == HARBOR
    assert told.lines[1:] == ["firefox did not open it; open the address above yourself."]


async def test_by_a_pasted_address(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    """The redirect goes to a browser on another machine, where nothing listens."""

    async def paste() -> Secret:
        async with httpx.AsyncClient(trust_env=False) as browser:
            answer = await browser.get(await told.address())
        return custody_of(Ear()).take(answer.headers["location"], "redirect")

    sign_in = sign_in_of(store, http, custody, told, paste=paste)
    outcome = await sign_in.run(
        provider_at(sandbox.url), PRINTED, profile="default", without_device=printed_instead
    )
    assert outcome.credential.site == HARBOR
    assert told.waits == []


async def test_what_is_no_such_address_is_asked_for_again(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    pasted = iter(["https://example.com/callback?code=1", "nonsense"])

    async def paste() -> Secret:
        value = next(pasted, None)
        if value is None:
            raise SecretRejected("redirect", "it has a control character")
        return custody_of(Ear()).take(value, "redirect")

    sign_in = sign_in_of(store, http, custody, told, paste=paste)
    await signed_in(sign_in, told, provider_at(sandbox.url))
    assert [line.partition(":")[0] for line in told.lines[1:]] == [
        "That was not it",
        "That was not it",
        "Waiting for the browser alone",
    ]
    assert "example.com" not in "".join(told.lines)


async def test_without_a_terminal_to_paste_into_the_listener_goes_on(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    async def paste() -> Secret:
        raise TerminalRequired("there is none")

    sign_in = sign_in_of(store, http, custody, told, paste=paste)
    outcome, _page = await signed_in(sign_in, told, provider_at(sandbox.url))
    assert outcome.credential.site == HARBOR


async def test_the_browser_that_comes_first_ends_the_prompt(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    ended: list[str] = []

    async def paste() -> Secret:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("prompt")
        raise AssertionError

    sign_in = sign_in_of(store, http, custody, told, paste=paste)
    await signed_in(sign_in, told, provider_at(sandbox.url))
    assert ended == ["prompt"]


async def test_ctrl_c_in_the_prompt_ends_the_sign_in(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    """H-B1: it comes out as it is, not wrapped in a group."""

    async def paste() -> Secret:
        raise PromptInterrupted

    sign_in = sign_in_of(store, http, custody, told, paste=paste)
    with pytest.raises(PromptInterrupted):
        await sign_in.run(
            provider_at(sandbox.url), PRINTED, profile="default", without_device=printed_instead
        )
    assert await store.read("default") is None


async def test_by_a_code_on_another_device(
    sandbox: Sandbox, store: SealedStore, sign_in: SignIn, told: Told
) -> None:
    outcome = await sign_in.run(
        provider_at(sandbox.url), DEVICE, profile="default", without_device=printed_instead
    )
    assert (await stored(store)).site == outcome.credential.site == HARBOR
    [(uri, complete, code)] = told.codes
    assert uri == f"{sandbox.url}/oauth/activate"
    assert complete == f"{uri}?user_code={code}"
    assert told.addresses == []
    assert [what for what, _seconds in told.waits] == ["Waiting for you to approve it"]


async def test_a_refused_device_grant_falls_back_to_the_address(
    tmp_path: Path, sign_in: SignIn, told: Told
) -> None:
    """`invalid_client` with "grant_type is not enabled", as Atlassian answers."""
    async with running_sandbox(tmp_path, auto_approve=True, faults=["no-device"]) as sandbox:
        outcome, _page = await signed_in(sign_in, told, provider_at(sandbox.url), choice=DEVICE)
    assert outcome.credential.site == HARBOR
    assert told.codes == []


async def test_a_device_grant_that_is_refused_at_the_poll_falls_back_too(
    server: Server, sign_in: SignIn, told: Told
) -> None:
    answer = {"device_code": "made-up-device-code", "user_code": "AAAA", "interval": 1}
    answer["verification_uri"] = f"{server.url}/activate"
    server.on("/oauth/device/code", document(answer))
    refusal = document({"error": "unauthorized_client"}, 400)
    server.on("/oauth/token", refusal, document(token_answer(1)))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come_back, told)
        outcome = await sign_in.run(
            provider_at(server.url, iss_required=False),
            DEVICE,
            profile="default",
            without_device=printed_instead,
        )
    assert plain(outcome.credential.tokens.access) == "access-made-up-1"
    assert [code for _uri, _complete, code in told.codes] == ["AAAA"]
    assert [each.form["grant_type"].rpartition(":")[2] for each in server.to("/oauth/token")] == [
        "device_code",
        "authorization_code",
    ]


async def test_another_refusal_of_the_device_endpoint_is_an_end(
    server: Server, sign_in: SignIn, told: Told
) -> None:
    server.on("/oauth/device/code", document({"error": "invalid_client"}, 401))
    with pytest.raises(GrantRefused):
        await sign_in.run(
            provider_at(server.url), DEVICE, profile="default", without_device=printed_instead
        )
    assert told.addresses == []


async def test_a_provider_without_a_device_endpoint(server: Server, sign_in: SignIn) -> None:
    at = provider_at(server.url)
    at = replace(at, endpoints=replace(at.endpoints, device=None))
    with pytest.raises(ProtocolError, match="no device"):
        await sign_in.run(at, DEVICE, profile="default", without_device=printed_instead)


async def test_what_the_provider_wants_besides_is_sent(
    server: Server, sign_in: SignIn, told: Told
) -> None:
    server.on("/oauth/device/code", status(503))
    at = provider_at(
        server.url,
        authorize_params={"audience": "api.example.com", "prompt": "consent"},
        resource="https://api.example.com/",
    )
    with pytest.raises(NetworkError):
        await sign_in.run(at, DEVICE, profile="default", without_device=printed_instead)
    form = server.received[0].form
    assert form == {
        "client_id": "twg-sandbox",
        "audience": "api.example.com",
        "prompt": "consent",
        "resource": "https://api.example.com/",
        "scope": " ".join(presets.load("atlassian").scopes),
    }
    assert told.codes == []


# Sites and identity


async def consent_to_all(url: str) -> httpx.Response:
    """Go to `url` as Alice, agree for both of her sites, and go where that leads."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}"
    async with Visitor(f"{parts.scheme}://{parts.netloc}") as visitor:
        page = await visitor.sign_in(path)
        answer = await visitor.submit(page, path, decision="accept", site="all")
    return await walk(answer.headers["location"])


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, HARBOR), (ORCHARD.upper(), ORCHARD), (HARBOR, HARBOR)]
)
async def test_of_several_sites_one_is_named_or_the_first(
    asking_sandbox: Sandbox,
    store: SealedStore,
    http: Http,
    custody: Custody,
    told: Told,
    wanted: str | None,
    expected: str,
) -> None:
    sign_in = sign_in_of(store, http, custody, told)

    async def person() -> None:
        await consent_to_all(await told.address())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        outcome = await sign_in.run(
            provider_at(asking_sandbox.url),
            PRINTED,
            profile="default",
            site=wanted,
            without_device=printed_instead,
        )
    assert outcome.credential.site == expected
    assert [site.host for site in outcome.credential.sites] == [HARBOR, ORCHARD]


async def test_a_site_that_was_not_consented_to_is_told_and_the_tokens_are_ended(
    sandbox: Sandbox, store: SealedStore, sign_in: SignIn, told: Told
) -> None:
    failure, page = await refused(sign_in, told, provider_at(sandbox.url), site=ORCHARD)
    assert isinstance(failure, ConfigError)
    assert ORCHARD in str(failure)
    assert HARBOR in str(failure)
    assert "The sign-in did not work" in page.text
    assert await sandbox.living() == set()
    assert await store.read("default") is None


async def test_a_provider_without_identity_and_sites(
    server: Server, sign_in: SignIn, told: Told
) -> None:
    """A plain OAuth server: no account, no site, and the token is good for its own API."""
    server.on("/oauth/token", document(token_answer(1)))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come_back, told)
        outcome = await sign_in.run(
            provider_at(server.url, iss_required=False),
            PRINTED,
            profile="default",
            idle_days=None,
            without_device=printed_instead,
        )
    credential = outcome.credential
    assert (credential.account, credential.sites, credential.site) == (None, (), None)
    assert credential.lapses_at is None
    assert credential.tokens.scopes == presets.load("atlassian").scopes
    assert atlassian.url_for(credential, "atlassian", "/v1") == f"{server.url}/v1"
    assert server.to("/oauth/token")[0].form["code"] == "made-up-code"


# What is kept, and what becomes of the rest


async def test_an_unwritable_store_is_found_out_before_anyone_is_asked(
    server: Server, store: SealedStore, sign_in: SignIn, told: Told, tmp_path: Path
) -> None:
    """H-D3."""
    (tmp_path / "config").write_text("a file where the directory belongs")
    for choice in (PRINTED, DEVICE):
        with pytest.raises((StoreUnwritable, ConfigError)):
            await sign_in.run(
                provider_at(server.url), choice, profile="default", without_device=printed_instead
            )
    assert (told.lines, told.addresses, server.received) == ([], [], [])
    del store


async def test_the_tokens_of_the_sign_in_before_are_revoked_once_the_new_are_there(
    sandbox: Sandbox, store: SealedStore, sign_in: SignIn, told: Told, ear: Ear
) -> None:
    await store.save(await issued_by(sandbox), expected=0)
    other = await store.save(await issued_by(sandbox, "other"), expected=0)

    outcome, _page = await signed_in(sign_in, told, provider_at(sandbox.url))

    assert outcome.still_alive is None
    assert await sandbox.living() == both_tokens(outcome.credential) | both_tokens(other)
    assert [facts["outcome"] for facts in ear.events("token.revoked")] == ["ok"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (document({"error": "unauthorized_client"}, 400), "unauthorized_client"),
        (reset(), "cannot be reached"),
    ],
)
async def test_a_sign_in_before_that_cannot_be_revoked_is_told(
    sandbox: Sandbox,
    server: Server,
    store: SealedStore,
    sign_in: SignIn,
    told: Told,
    ear: Ear,
    reply: Any,
    words: str,
) -> None:
    server.on("/oauth/revoke", reply)
    await store.save(credential_at(server.url), expected=0)
    outcome, _page = await signed_in(sign_in, told, provider_at(sandbox.url))
    assert outcome.still_alive is not None
    assert words in outcome.still_alive
    assert [facts["outcome"] for facts in ear.events("token.revoked")] == ["failed"]
    assert (await stored(store)).provider.issuer == sandbox.url


class GatedStore:
    """A real store whose saving waits, or fails.

    Args:
        store: The real one.
        error: What saving fails with.
    """

    def __init__(self, store: SealedStore, error: Exception | None = None) -> None:
        self._store = store
        self._error = error
        self.saving = anyio.Event()
        self.let_go = anyio.Event()
        self.peek = store.peek
        self.read = store.read
        self.remove = store.remove
        self.lease = store.lease
        self.prove_replaceable = store.prove_replaceable

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        self.saving.set()
        await self.let_go.wait()
        if self._error is not None:
            raise self._error
        return await self._store.save(credential, expected=expected)


async def test_the_page_says_so_only_once_it_is_saved(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    gated = GatedStore(store)
    seen: list[str] = []

    async def person() -> None:
        seen.append((await walk(await told.address())).text)

    async def saving() -> None:
        await gated.saving.wait()
        await anyio.wait_all_tasks_blocked()
        assert seen == []
        gated.let_go.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        tasks.start_soon(saving)
        await sign_in_of(gated, http, custody, told).run(
            provider_at(sandbox.url), PRINTED, profile="default", without_device=printed_instead
        )
    assert "You are signed in" in seen[0]


async def test_tokens_that_cannot_be_saved_are_revoked_and_the_page_says_so(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told, ear: Ear
) -> None:
    gated = GatedStore(store, StoreUnwritable("no space left on device"))
    gated.let_go.set()
    sign_in = sign_in_of(gated, http, custody, told)
    failure, page = await refused(sign_in, told, provider_at(sandbox.url))
    assert isinstance(failure, StoreUnwritable)
    assert "no space left on device" in page.text
    assert await sandbox.living() == set()
    assert [facts["outcome"] for facts in ear.events("token.revoked")] == ["ok"]


async def test_a_bug_on_the_way_keeps_nothing_and_shows_nobody_its_details(
    sandbox: Sandbox, store: SealedStore, http: Http, told: Told, ear: Ear
) -> None:
    """Here in a program that keeps no record."""

    async def fail(_http: Http, _provider: Provider, access: Secret) -> Identity:
        raise KeyError(plain(access))

    scrubber: Any = ear
    sign_in = sign_in_of(store, http, Custody(scrubber), told, identify=fail)
    failure, page = await refused(sign_in, told, provider_at(sandbox.url))
    assert isinstance(failure, KeyError)
    assert "something unexpected happened" in page.text
    assert failure.args[0] not in page.text
    assert await sandbox.living() == set()
    assert ear.records == []


async def test_ctrl_c_while_saving_leaves_a_whole_sign_in(
    sandbox: Sandbox, store: SealedStore, http: Http, custody: Custody, told: Told
) -> None:
    """H-D7: saved first; and then it is not revoked, and the page tells the truth."""
    gated = GatedStore(store)
    pages: list[httpx.Response] = []

    async def person() -> None:
        pages.append(await walk(await told.address()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(person)
        command = asyncio.ensure_future(
            sign_in_of(gated, http, custody, told).run(
                provider_at(sandbox.url), PRINTED, profile="default", without_device=printed_instead
            )
        )
        await gated.saving.wait()
        command.cancel()
        await anyio.lowlevel.checkpoint()
        gated.let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await command
    saved = await stored(store)
    assert await sandbox.living() == both_tokens(saved)
    assert "You are signed in" in pages[0].text


@pytest.mark.parametrize("natively", [True, False])
async def test_ctrl_c_before_that_leaves_nothing(
    sandbox: Sandbox,
    store: SealedStore,
    http: Http,
    custody: Custody,
    told: Told,
    *,
    natively: bool,
) -> None:
    """Issued tokens are ended, the open page is answered, the port is closed."""
    asked = anyio.Event()
    pages: list[httpx.Response] = []

    async def identify_for_ever(_http: Http, _provider: Provider, _access: Secret) -> Identity:
        asked.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def person() -> None:
        with suppress(httpx.TransportError):
            pages.append(await walk(await told.address()))

    sign_in = sign_in_of(store, http, custody, told, identify=identify_for_ever)
    async with anyio.create_task_group() as browser:
        browser.start_soon(person)
        scope = anyio.CancelScope()

        async def command() -> None:
            with scope:
                await sign_in.run(
                    provider_at(sandbox.url),
                    PRINTED,
                    profile="default",
                    without_device=printed_instead,
                )

        task = asyncio.ensure_future(command())
        await asked.wait()
        if natively:
            task.cancel()
        else:
            scope.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == natively
    assert await sandbox.living() == set()
    assert await store.read("default") is None
    assert "it was ended in the terminal" in pages[0].text
    await _nobody_listens(told.addresses[0])


async def _nobody_listens(address: str) -> None:
    redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
    with pytest.raises(httpx.ConnectError):
        await walk(redirect)


# Nobody answers, or the wrong one


@pytest.mark.parametrize("choice", [PRINTED, DEVICE])
async def test_nobody_answers_in_time(
    asking_sandbox: Sandbox,
    store: SealedStore,
    http: Http,
    custody: Custody,
    told: Told,
    choice: Choice,
) -> None:
    """Nothing is kept, and nobody listens any more."""
    sign_in = sign_in_of(store, http, custody, told, wait_seconds=0.2)
    with pytest.raises(SignInRefused, match="nobody answered within 0 seconds") as caught:
        await sign_in.run(
            provider_at(asking_sandbox.url),
            choice,
            profile="default",
            without_device=printed_instead,
        )
    assert "wait_seconds" in caught.value.remediation
    assert await store.read("default") is None
    for address in told.addresses:
        await _nobody_listens(address)


@pytest.mark.parametrize(
    ("fault", "expected", "words"),
    [
        ("wrong-iss", ProtocolError, "another server"),
        ("missing-iss", ProtocolError, "does not say who sent it"),
        ("foreign-code", GrantRefused, "refused the request"),
        ("error-markup", SignInRefused, "declined"),
        ("resource-401", ProtocolError, "does not accept the token"),
        ("wrong-state", ProtocolError, "does not belong to this sign-in"),
    ],
)
async def test_a_hostile_answer_signs_nobody_in(
    tmp_path: Path,
    store: SealedStore,
    sign_in: SignIn,
    told: Told,
    fault: str,
    expected: type[Exception],
    words: str,
) -> None:
    """H-C1, H-C3: the person reads why, on the page and in the terminal."""
    async with running_sandbox(tmp_path, auto_approve=True, faults=[fault]) as sandbox:
        failure, page = await refused(sign_in, told, provider_at(sandbox.url))
        assert isinstance(failure, expected)
        assert words in str(failure)
        assert "You are signed in" not in page.text
        assert "<script>" not in page.text
        assert await store.read("default") is None
        for token in await sandbox.issued("refresh"):
            assert not await sandbox.token_active(token)


@pytest.mark.parametrize("fault", ["foreign-origin-callback", "replay-callback"])
async def test_whoever_calls_ahead_changes_nothing(
    tmp_path: Path, sign_in: SignIn, told: Told, fault: str
) -> None:
    """H-C1: a foreign page's answer, and the true one sent twice."""

    async def person() -> None:
        with suppress(httpx.TransportError):  # whoever comes second may find the listener gone
            await walk(await told.address())

    async with (
        running_sandbox(tmp_path, auto_approve=True, faults=[fault]) as sandbox,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(person)
        outcome = await sign_in.run(
            provider_at(sandbox.url), PRINTED, profile="default", without_device=printed_instead
        )
    assert outcome.credential.site == HARBOR


async def test_no_secret_code_or_state_is_told_or_recorded(
    sandbox: Sandbox, store: SealedStore, http: Http, told: Told, tmp_path: Path
) -> None:
    """With the true scrubber and the true record; the address alone holds the state."""
    path = tmp_path / "state" / "audit.jsonl"
    scrubber = Scrubber()
    audit = AuditLog(
        path,
        key=lambda: load_or_create_key(tmp_path / "state" / "audit.key"),
        actor=Actor.of_this_process(agent=None, command="twg login"),
    )
    sign_in = sign_in_of(store, http, Custody(scrubber, audit), told)
    await signed_in(sign_in, told, provider_at(sandbox.url))

    record = path.read_text()
    assert '"event":"token.issued"' in record.replace(" ", "")
    state = parse_qs(urlsplit(told.addresses[0]).query)["state"][0]
    for value in [*await sandbox.issued(), state]:
        assert value not in record
        assert value not in "".join(told.lines)
    for value in await sandbox.issued():
        assert value not in scrubber.text(f"a log line with {value} in it")
    assert re.search(r"[0-9a-f]{16}", record)
