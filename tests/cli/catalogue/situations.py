"""The situations, by name: how each comes about, and the command that meets it."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

from tests.cli.admin_parts import KEY
from tests.cli.catalogue.scene import DAY, NOWHERE, Entered
from tests.oauth.servers import document
from twg.sandbox.people import ALICE, ORG_ID, OTHER_ORG_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.catalogue.scene import Scene

JIRA = "api jira /rest/api/3/myself"
BITBUCKET = "api bitbucket /2.0/user"
ADMIN = f"api admin /v1/orgs/{ORG_ID}"
ADMIN_LOGIN = f"admin auth login --sandbox --email {ALICE.email} --org {ORG_ID}"
TOKEN_ASKED = "Paste the Bitbucket API token"
EMAIL_ASKED = "E-mail address of the account"
KEY_ASKED = "Paste the Admin API key"
LOOKS = "Example1" * 8
"""What made-up tokens consist of."""


class Situation(NamedTuple):
    """A situation and the command that meets it.

    Attributes:
        words: The command, without `twg`.
        make: Brings it about.
    """

    words: tuple[str, ...]
    make: Callable[[Scene], None]


SITUATIONS: dict[str, Situation] = {}

OVER = frozenset({"provider-does-not-revoke"})
"""Those that are over once they were met: made anew before they are met again."""


def meets(name: str, command: str) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    """Register a situation by its name, and the command in which a person meets it."""

    def register(make: Callable[[Scene], None]) -> Callable[[Scene], None]:
        assert name not in SITUATIONS, name
        SITUATIONS[name] = Situation(tuple(shlex.split(command)), make)
        return make

    return register


# Nobody is signed in


@meets("first-run", "login")
@meets("not-signed-in", JIRA)
@meets("not-signed-in-refresh", "auth refresh")
@meets("not-signed-in-under-that-name", f"--profile work {JIRA}")
@meets("not-signed-in-site", "auth site one.example.net")
@meets("no-provider-of-that-name", "login --provider acme")
@meets("no-bitbucket-token", BITBUCKET)
@meets("no-admin-key", ADMIN)
@meets("secret-in-an-argument", "login --token made-up-word-0123456789")
def nothing(scene: Scene) -> None:
    """Leave it as it is."""


# Signing in


@meets("consent-denied", "login")
def consent_denied(scene: Scene) -> None:
    scene.as_provider("read:me", "offline_access")
    scene.faulty("device-denied@poll")


@meets("consent-denied-in-the-browser", "login")
def consent_denied_in_the_browser(scene: Scene) -> None:
    scene.as_provider("read:me", "offline_access")
    scene.faulty("consent-denied")
    scene.with_browser_that_goes_there()


@meets("consent-not-given-in-time", "login")
def not_in_time(scene: Scene) -> None:
    scene.as_provider("read:me", "offline_access")
    scene.faulty("device-expired@poll")


@meets("app-blocked-by-an-admin", "login")
def app_blocked(scene: Scene) -> None:
    """The page says so and sends the browser nowhere: here nobody comes back."""
    scene.as_provider("read:me", "offline_access")
    scene.faulty("app-blocked", "no-device")
    scene.with_browser()
    scene.console.settings('[storage]\nkey = "file"\n[login]\nwait_seconds = 2\n')


@meets("site-not-consented-to", "login --device --site else.example.net")
def site_not_consented(scene: Scene) -> None:
    scene.as_provider("read:me", "read:jira-work", "offline_access")


@meets("provider-not-there", f"provider add acme --issuer {NOWHERE}")
def provider_not_there(scene: Scene) -> None:
    """Leave it as it is: nobody listens there."""


@meets("provider-registers-nobody", "provider add acme --issuer {sandbox}")
def no_registration(scene: Scene) -> None:
    scene.faulty("no-registration")


@meets("provider-is-another", "provider add acme --issuer {sandbox} --client-id twg-sandbox")
def another_issuer(scene: Scene) -> None:
    scene.faulty("discovery-issuer")


# What a sign-in may not do, and where it ends


@meets("site-not-in-the-organization", f"{JIRA} --site else.example.net")
@meets("no-terminal", "setup bitbucket --force")
@meets("no-service-of-that-name", "api trello /1/boards")
@meets("secret-in-an-address", f"api atlassian /me?key=ATATT3xFfGF0{LOOKS}=0123ABCD")
@meets("already-signed-in-elsewhere", "login --provider acme")
def in_order(scene: Scene) -> None:
    scene.signed_in()


@meets("no-site-at-all", JIRA)
def no_site(scene: Scene) -> None:
    scene.signed_in(sites=(), site=None)


@meets("token-without-scopes", "api atlassian /me")
@meets("site-without-the-product", "api confluence /wiki/api/v2/spaces")
def for_jira_alone(scene: Scene) -> None:
    scene.as_provider("read:jira-work", "offline_access")
    scene.console.apart("login", "--device", "-o", "json")


@meets("expired-by-inactivity", JIRA)
@meets("expired-by-inactivity-refresh", "auth refresh")
def expired(scene: Scene) -> None:
    scene.signed_in(age=40 * DAY, idle_days=30.0)
    scene.faulty("invalid-grant-403")


@meets("revoked-by-an-admin", JIRA)
@meets("revoked-by-an-admin-refresh", "auth refresh")
def revoked(scene: Scene) -> None:
    scene.signed_in(age=7200, idle_days=30.0)
    scene.faulty("invalid-grant-403")


@meets("not-accepted-even-renewed", "api atlassian /me")
def not_accepted(scene: Scene) -> None:
    scene.signed_in()
    scene.faulty("resource-401")


@meets("wrong-client-secret", "auth refresh --force")
def wrong_secret(scene: Scene) -> None:
    scene.signed_in()
    scene.faulty("access-denied-secret")


# The network, the provider, the clock


@meets("no-network", JIRA)
@meets("no-network-refresh", "auth refresh")
@meets("no-network-logout", "logout")
def no_network(scene: Scene) -> None:
    scene.console.sign_in_at(NOWHERE, age=7200)


@meets("no-network-for-an-agent", JIRA)
def no_network_for_an_agent(scene: Scene) -> None:
    no_network(scene)
    scene.with_agent()


@meets("provider-out-of-order", "auth refresh --force")
def out_of_order(scene: Scene) -> None:
    scene.signed_in()
    scene.faulty("error-503@refresh")


@meets("provider-speaks-nonsense", "auth refresh --force")
def nonsense(scene: Scene) -> None:
    scene.signed_in()
    scene.faulty("bad-json@refresh")


@meets("provider-does-not-revoke", "logout")
def does_not_revoke(scene: Scene) -> None:
    scene.signed_in()
    scene.faulty("revoke-refused")


@meets("clock-off-by-a-day", "doctor")
def clock(scene: Scene) -> None:
    """Everything else is as it should be: that is why it ends so."""
    server = scene.serving()
    scene.console.sign_in_at(server.url, sites=(), site=None)
    theirs = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    server.on("/.well-known/openid-configuration", document({}, date=theirs))
    server.on("/userinfo", document({"sub": "alice"}))


# What is kept here


@meets("store-damaged", JIRA)
@meets("store-damaged-refresh", "auth refresh --all")
def damaged(scene: Scene) -> None:
    scene.signed_in()
    path = scene.console.config / "auth.conf"
    path.write_bytes(path.read_bytes()[:-9])


@meets("store-changed-by-hand", JIRA)
def changed(scene: Scene) -> None:
    scene.signed_in()
    path = scene.console.config / "auth.conf"
    path.write_bytes(path.read_bytes().replace(b"Harbor", b"Garbor"))


@meets("key-gone", JIRA)
def key_gone(scene: Scene) -> None:
    scene.signed_in()
    for path in scene.console.state.glob("auth-*.key"):
        path.unlink()


@meets("keyring-locked", JIRA)
def keyring_locked(scene: Scene) -> None:
    """It would ask at a desktop, where nobody is; to twg it hangs."""
    session = scene.keyring()
    scene.console.settings("[storage]\nkeyring_seconds = 2\n")
    scene.as_provider("read:me", "read:jira-work", "offline_access")
    scene.console.apart("login", "--device")
    session.stop_daemon()


@meets("lock-held", "auth switch default")
def lock_held(scene: Scene) -> None:
    scene.signed_in()
    scene.hold_lock("auth")


@meets("store-open-to-others", JIRA)
def open_to_others(scene: Scene) -> None:
    scene.signed_in()
    (scene.console.config / "auth.conf").chmod(0o644)


@meets("read-only-home", "auth refresh --force")
def read_only_home(scene: Scene) -> None:
    scene.signed_in()
    scene.read_only(scene.console.config)


@meets("read-only-home-first-run", "login")
def read_only_from_the_start(scene: Scene) -> None:
    scene.as_provider("read:me", "offline_access")
    scene.read_only(scene.console.config)


@meets("agents-sandbox-allows-no-writing", JIRA)
def agents_sandbox(scene: Scene) -> None:
    scene.signed_in(age=7200)
    scene.with_agent()
    scene.read_only(scene.console.config)
    scene.read_only(scene.console.state)


@meets("setting-unknown", JIRA)
def setting_unknown(scene: Scene) -> None:
    scene.console.settings("[network]\nverify = false\n")


@meets("settings-hold-a-secret", JIRA)
def settings_hold_a_secret(scene: Scene) -> None:
    scene.console.settings(f'[network]\nproxy = "http://me:{LOOKS}@proxy.example"\n')


@meets("settings-are-no-toml", JIRA)
def settings_no_toml(scene: Scene) -> None:
    scene.console.settings("key = file\n")


@meets("settings-open-to-others", JIRA)
def settings_open(scene: Scene) -> None:
    scene.console.settings("")
    (scene.console.config / "config.toml").chmod(0o666)


@meets("secret-in-the-environment", "setup bitbucket --sandbox")
def secret_in_the_environment(scene: Scene) -> None:
    scene.console.more["BITBUCKET_TOKEN"] = f"ATATT3xFfGF0{LOOKS}=0123ABCD"


# Agents


@meets("agent-signs-in", "login")
@meets("agent-not-signed-in", JIRA)
def agent(scene: Scene) -> None:
    scene.with_agent()


@meets("agent-wants-to-write", "api jira /rest/api/3/issue -X POST -f summary=Tide")
def agent_wants_to_write(scene: Scene) -> None:
    scene.signed_in()
    scene.with_agent()


@meets("agent-calls-as-an-admin", ADMIN)
def agent_calls_as_an_admin(scene: Scene) -> None:
    scene.with_admin_key()
    scene.with_agent()


# Bitbucket


def _asked_for_bitbucket(scene: Scene, token: str) -> None:
    scene.at_home()
    scene.typed = [Entered(TOKEN_ASKED, token)] * 3


@meets("bitbucket-app-password", "setup bitbucket --sandbox")
def app_password(scene: Scene) -> None:
    _asked_for_bitbucket(scene, "ATBB" + LOOKS[:32])


@meets("bitbucket-workspace-token", "setup bitbucket --sandbox")
def workspace_token(scene: Scene) -> None:
    _asked_for_bitbucket(scene, f"ATCTT3xFfGN0{LOOKS}=0123ABCD")


@meets("bitbucket-token-without-scopes", "setup bitbucket --sandbox")
def unscoped_token(scene: Scene) -> None:
    """An unknown one gets the very same answer."""
    scene.at_home()
    token, same = Entered(TOKEN_ASKED, f"ATATT3xFfGF0{LOOKS}=0123ABCD"), Entered(EMAIL_ASKED, "")
    scene.typed = [token, Entered(EMAIL_ASKED, ALICE.email), token, same, token, same]


@meets("bitbucket-token-expired", BITBUCKET)
def bitbucket_token_expired(scene: Scene) -> None:
    scene.signed_in()
    scene.console.keep_bitbucket(scene.sandbox.url)


# Admin


@meets("admin-wrong-organization", ADMIN_LOGIN)
def wrong_organization(scene: Scene) -> None:
    scene.at_home()
    scene.typed = [Entered(KEY_ASKED, scene.key_for(OTHER_ORG_ID))] * 3


@meets("admin-key-unknown", ADMIN_LOGIN)
def admin_key_unknown(scene: Scene) -> None:
    scene.at_home()
    scene.typed = [Entered(KEY_ASKED, KEY)] * 3


@meets("admin-key-expired", ADMIN)
def admin_key_expired(scene: Scene) -> None:
    scene.with_admin_key()
    scene.faulty("resource-401")


@meets("admin-none-chosen", ADMIN)
def none_chosen(scene: Scene) -> None:
    for org in (ORG_ID, OTHER_ORG_ID, "a-third-one"):
        scene.with_admin_key(org=org)
    scene.console.twg("admin", "auth", "logout", "--org", ORG_ID)
