"""The product look-alikes: data, permissions, pagination and errors, each in its own shape."""

from __future__ import annotations

import base64
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.running import running_sandbox
from tests.sandbox.visiting import Visitor
from twg.sandbox.people import ORG_ID

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sandbox.running import SandboxHandle

HARBOR = "11111111-5a4d-4b0c-8f00-00000000ab01"
ORCHARD = "22222222-5a4d-4b0c-8f00-00000000ab02"
JIRA = f"/ex/jira/{HARBOR}/rest/api/3"
WIKI = f"/ex/confluence/{HARBOR}/wiki/api/v2"


class Caller:
    """A visitor with an access token."""

    def __init__(self, visitor: Visitor, token: str) -> None:
        self._http = visitor.http
        self._headers = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, **parameters: Any) -> Any:
        answer = await self._http.get(path, params=parameters or None, headers=self._headers)
        return answer.status_code, answer.json()

    async def post(self, path: str, document: Any) -> Any:
        answer = await self._http.post(path, json=document, headers=self._headers)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """As everywhere, but for as long as the module's sandbox runs."""
    return "asyncio"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxHandle]:
    """One sandbox for all tests that only read."""
    async with running_sandbox(tmp_path_factory.mktemp("shared"), auto_approve=True) as running:
        yield running


@asynccontextmanager
async def _calling(running: SandboxHandle, name: str) -> AsyncIterator[Caller]:
    async with Visitor(running.url) as visitor:
        tokens = (await visitor.quick_tokens(login_hint=name)).json()
        yield Caller(visitor, tokens["access_token"])


@pytest.fixture
async def alice(shared: SandboxHandle) -> AsyncIterator[Caller]:
    async with _calling(shared, "alice") as caller:
        yield caller


@pytest.fixture
async def bob(shared: SandboxHandle) -> AsyncIterator[Caller]:
    async with _calling(shared, "bob") as caller:
        yield caller


async def test_jira_search_by_token_walks_all_issues(alice: Caller) -> None:
    keys: list[str] = []
    parameters: dict[str, Any] = {"jql": "ORDER BY key", "maxResults": 25}
    while True:
        status, page = await alice.get(f"{JIRA}/search/jql", **parameters)
        assert status == 200
        assert "total" not in page
        keys += [issue["key"] for issue in page["issues"]]
        if page["isLast"]:
            assert "nextPageToken" not in page
            break
        parameters["nextPageToken"] = page["nextPageToken"]
    assert len(keys) == len(set(keys)) == 60
    assert keys[:2] == ["HAR-1", "HAR-2"]


async def test_jira_search_by_offset(alice: Caller) -> None:
    status, page = await alice.get(f"{JIRA}/search", jql="project = OPS", startAt=20)
    assert status == 200
    assert (page["startAt"], page["total"], len(page["issues"])) == (20, 24, 4)


async def test_jira_search_by_post_with_fields(alice: Caller) -> None:
    asked = {"jql": "project = HAR AND status = Done", "maxResults": 2, "fields": ["summary"]}
    status, page = await alice.post(f"{JIRA}/search/jql", asked)
    assert status == 200
    assert [set(issue["fields"]) for issue in page["issues"]] == [{"summary"}] * 2


@pytest.mark.parametrize(
    ("jql", "count"),
    [
        ("project = HAR", 36),
        ("project in (HAR, OPS)", 60),
        ("project != HAR", 24),
        ('assignee = currentUser() AND project = "OPS"', 12),
        ("key = HAR-7", 1),
        ('summary ~ "tide" ORDER BY created DESC', 6),
        ("type = Bug and project = OPS", 8),
    ],
)
async def test_jql(alice: Caller, jql: str, count: int) -> None:
    _, page = await alice.get(f"{JIRA}/search", jql=jql)
    assert page["total"] == count


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/search", {"jql": "colour = red"}),
        ("/search", {"jql": "project = HAR OR project = OPS"}),
        ("/search", {"jql": "ORDER BY colour"}),
        ("/search", {"startAt": "-1"}),
        ("/search/jql", {"nextPageToken": "!"}),
        ("/search/jql", {"nextPageToken": "c3RhcnQ6eA=="}),
        ("/project/search", {"maxResults": "many"}),
    ],
)
async def test_jira_errors_have_jiras_shape(
    alice: Caller, path: str, parameters: dict[str, str]
) -> None:
    status, error = await alice.get(JIRA + path, **parameters)
    assert status == 400
    assert set(error) == {"errorMessages", "errors"}
    assert error["errorMessages"]


async def test_jira_projects_are_paged_and_personal(alice: Caller, bob: Caller) -> None:
    status, page = await alice.get(f"{JIRA}/project/search", maxResults=1)
    assert status == 200
    assert (page["total"], page["isLast"], len(page["values"])) == (2, False, 1)
    assert "startAt=1" in page["nextPage"]
    _, page = await bob.get(f"{JIRA}/project/search")
    assert [project["key"] for project in page["values"]] == ["HAR"]


async def test_jira_issue_myself_and_server_info(alice: Caller, bob: Caller) -> None:
    assert (await alice.get(f"{JIRA}/issue/OPS-3"))[1]["key"] == "OPS-3"
    status, error = await bob.get(f"{JIRA}/issue/OPS-3")
    assert status == 404
    assert "permission" in error["errorMessages"][0]
    assert (await bob.get(f"{JIRA}/myself"))[1]["emailAddress"] == "bob@sandbox.example"
    assert (await alice.get(f"{JIRA}/serverInfo"))[1]["deploymentType"] == "Cloud"


async def test_jira_creation(quick: SandboxHandle) -> None:
    async with _calling(quick, "alice") as alice, _calling(quick, "bob") as bob:
        fields = {"project": {"key": "HAR"}, "summary": "New lamp", "issuetype": {"name": "Bug"}}
        status, made = await alice.post(f"{JIRA}/issue", {"fields": fields})
        assert (status, made["key"]) == (201, "HAR-37")
        _, issue = await bob.get(f"{JIRA}/issue/HAR-37")
        assert issue["fields"]["summary"] == "New lamp"
        status, _ = await bob.post(f"{JIRA}/issue", {"fields": fields})
        assert status == 403
        status, error = await alice.post(f"{JIRA}/issue", {"fields": {"project": {"key": "NO"}}})
        assert (status, error["errors"]) == (400, {"project": "valid project is required"})
        status, error = await alice.post(f"{JIRA}/issue", {"fields": {"project": {"key": "HAR"}}})
        assert "summary" in error["errors"]
        status, _ = await alice.post(f"{JIRA}/issue", ["no object"])
        assert status == 400


async def test_gateway_refusals(alice: Caller, quick_visitor: Visitor) -> None:
    unauthorized = {"code": 401, "message": "Unauthorized"}
    assert await alice.get(f"/ex/jira/{ORCHARD}/rest/api/3/myself") == (401, unauthorized)
    status, _ = await alice.get("/ex/jira/nowhere/rest/api/3/myself")
    assert status == 404
    bare = await quick_visitor.get(f"{JIRA}/myself")
    assert (bare.status_code, bare.json()) == (401, unauthorized)
    narrow = (await quick_visitor.quick_tokens(scope="read:me")).json()["access_token"]
    refused = await quick_visitor.call(f"{JIRA}/search", narrow)
    assert refused.status_code == 401
    assert refused.json()["message"] == "Unauthorized; scope does not match"
    jira_only = (await quick_visitor.quick_tokens(scope="read:jira-work")).json()["access_token"]
    assert (await quick_visitor.call("/me", jira_only)).status_code == 403
    expired = await quick_visitor.call("/oauth/token/accessible-resources", "eyJ.x.y")
    assert isinstance(expired.json(), dict)


async def test_confluence_pages_by_cursor(alice: Caller) -> None:
    titles: list[str] = []
    path = f"{WIKI}/pages?limit=20"
    while path:
        status, page = await alice.get(path)
        assert status == 200
        titles += [one["title"] for one in page["results"]]
        following = page["_links"].get("next")
        assert page["_links"]["base"] == "https://harbor.sandbox.example/wiki"
        path = f"/ex/confluence/{HARBOR}{following}" if following else ""
    assert len(titles) == len(set(titles)) == 36


async def test_confluence_permissions_and_errors(alice: Caller, bob: Caller) -> None:
    _, spaces = await alice.get(f"{WIKI}/spaces")
    assert [space["key"] for space in spaces["results"]] == ["DOCK", "TEAM"]
    _, spaces = await bob.get(f"{WIKI}/spaces")
    assert [space["key"] for space in spaces["results"]] == ["DOCK"]
    _, pages = await alice.get(f"{WIKI}/pages", **{"space-id": "65602"})
    page_id = pages["results"][0]["id"]
    _, page = await alice.get(f"{WIKI}/pages/{page_id}", **{"body-format": "storage"})
    assert page["body"]["storage"]["value"].startswith("<p>")
    status, error = await bob.get(f"{WIKI}/pages/{page_id}")
    assert status == 404
    assert set(error["errors"][0]) == {"status", "code", "title", "detail"}
    assert (await alice.get(f"{WIKI}/pages", limit=0))[0] == 400
    assert (await alice.get(f"{WIKI}/pages", cursor="!"))[0] == 400


async def _made(visitor: Visitor, path: str, **fields: Any) -> str:
    page = await visitor.sign_in(path)
    made = await visitor.submit(page, path, label="test", **fields)
    match = re.search(r'<code id="token">([^<]+)</code>', made.text)
    assert match
    return match.group(1)


def _basic(email: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{token}".encode()).decode()}


async def test_bitbucket_repositories_by_page(visitor: Visitor) -> None:
    token = await _made(visitor, "/account/api-tokens", scope=["read:repository:bitbucket"])
    headers = _basic("alice@sandbox.example", token)
    names: list[str] = []
    address = "/2.0/repositories/harbor-works"
    while address:
        page = (await visitor.get(address, **headers)).json()
        names += [one["slug"] for one in page["values"]]
        address = page.get("next", "")
    assert len(names) == page["size"] == 13
    one = await visitor.get("/2.0/repositories/harbor-works/pilot-app", **headers)
    assert one.json()["full_name"] == "harbor-works/pilot-app"
    for path in ("/2.0/repositories/nobody", "/2.0/repositories/harbor-works/nothing"):
        missing = await visitor.get(path, **headers)
        assert (missing.status_code, missing.json()["type"]) == (404, "error")
    for wrong in ("page=0", "page=x", "pagelen=101"):
        answer = await visitor.get(f"/2.0/repositories/harbor-works?{wrong}", **headers)
        assert (answer.status_code, answer.json()["type"]) == (400, "error")


async def test_bitbucket_refusals(visitor: Visitor) -> None:
    token = await _made(visitor, "/account/api-tokens", scope=["read:repository:bitbucket"])
    no_scope = await visitor.get("/2.0/user", **_basic("alice@sandbox.example", token))
    assert no_scope.status_code == 403
    assert no_scope.json()["error"]["detail"]["required"] == ["read:user:bitbucket"]
    wrong_email = await visitor.get("/2.0/user", **_basic("bob@sandbox.example", token))
    assert wrong_email.status_code == 401
    assert wrong_email.json()["type"] == "error"
    assert no_scope.headers["x-oauth-scopes"] == "read:repository:bitbucket"
    unscoped = await _made(visitor, "/account/api-tokens")
    unknown = await visitor.get("/2.0/user", **_basic("alice@sandbox.example", "ATATT3xFfGF0no"))
    refused = await visitor.get("/2.0/user", **_basic("alice@sandbox.example", unscoped))
    assert (refused.status_code, refused.json()) == (401, unknown.json())
    as_bearer = await visitor.call("/2.0/user", token)
    assert as_bearer.status_code == 401
    assert (await visitor.get("/2.0/user", Authorization="Basic !")).status_code == 401


async def test_bitbucket_tells_what_a_token_may_do(visitor: Visitor) -> None:
    scopes = ["read:user:bitbucket", "read:workspace:bitbucket"]
    token = await _made(visitor, "/account/api-tokens", scope=scopes)
    answer = await visitor.get("/2.0/user", **_basic("alice@sandbox.example", token))
    assert answer.json()["display_name"] == "Alice Marin (sandbox)"
    assert answer.headers["x-oauth-scopes"] == ", ".join(scopes)
    assert answer.headers["x-accepted-oauth-scopes"] == "read:user:bitbucket"
    assert answer.headers["x-credential-type"] == "api_token"


async def test_products_are_personal(alice: Caller, bob: Caller, visitor: Visitor) -> None:
    asked = {"productIds": ["bitbucket"], "permissionIds": []}
    for caller, has in ((alice, True), (bob, False)):
        status, answer = await caller.post("/accessible-products", asked)
        ids = [one["productId"] for one in answer["data"]["products"]]
        assert (status, "bitbucket" in ids, "jira-software.ondemand" in ids) == (200, has, True)
    nobody = await visitor.http.post("/accessible-products", json=asked)
    assert nobody.status_code == 401


async def test_admin(visitor: Visitor) -> None:
    key = await _made(visitor, "/admin/api-keys")
    org = await visitor.call(f"/admin/v1/orgs/{ORG_ID}", key)
    assert org.json()["data"]["id"] == ORG_ID
    people: list[str] = []
    address = f"/admin/v1/orgs/{ORG_ID}/users"
    while address:
        page = (await visitor.call(address, key)).json()
        people += [user["email"] for user in page["data"]]
        address = page["links"].get("next", "")
    assert len(set(people)) == 12
    other = await visitor.call("/admin/v1/orgs/other", key)
    assert (other.status_code, other.json()["errors"][0]["status"]) == (404, "404")
    bad = await visitor.call(f"/admin/v1/orgs/{ORG_ID}/users?cursor=x", key)
    assert bad.status_code == 400
    refused = await visitor.call(f"/admin/v1/orgs/{ORG_ID}", "ATCTT3xFfGN0no")
    assert refused.json() == {"code": 401, "message": "Unauthorized"}


async def test_an_access_token_is_no_admin_key(alice: Caller) -> None:
    assert (await alice.get(f"/admin/v1/orgs/{ORG_ID}"))[0] == 401


async def test_graphql(alice: Caller) -> None:
    query = """
    query Who($hosts: [String!] = []) {
      who: me { user { accountId name } }   # an alias
      tenantContexts(hostNames: $hosts) { cloudId hostName __typename }
    }
    """
    asked = {"query": query, "variables": {"hosts": ["harbor.sandbox.example"]}}
    status, answer = await alice.post("/graphql", asked)
    assert status == 200
    assert answer["data"]["who"]["user"]["name"] == "Alice Marin (sandbox)"
    assert answer["data"]["tenantContexts"] == [
        {"cloudId": HARBOR, "hostName": "harbor.sandbox.example", "__typename": "TenantContext"}
    ]
    literal = '{ tenantContexts(hostNames: ["no.example"], first: 3) { cloudId } }'
    assert (await alice.post("/graphql", {"query": literal}))[1]["data"]["tenantContexts"] == []


@pytest.mark.parametrize(
    ("query", "classification"),
    [
        ("{ me { user { password } } }", "ValidationError"),
        ("{ me }", "ValidationError"),
        ("{ me { user { name { first } } } }", "ValidationError"),
        ("mutation { delete }", "ValidationError"),
        ("{ ...me }", "ValidationError"),
        ("{ me { user", "InvalidSyntax"),
        ("{ me { } }", "InvalidSyntax"),
        ("query", "InvalidSyntax"),
        ("{ a } }", "InvalidSyntax"),
        ("%", "InvalidSyntax"),
        ("{a" * 40 + "}" * 40, "ValidationError"),
    ],
)
async def test_graphql_errors_have_its_shape(
    alice: Caller, query: str, classification: str
) -> None:
    status, answer = await alice.post("/graphql", {"query": query})
    assert status == 200
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["classification"] == classification


async def test_graphql_needs_a_query_and_a_scope(alice: Caller, quick_visitor: Visitor) -> None:
    assert (await alice.post("/graphql", {"query": 3}))[0] == 400
    assert (await alice.post("/graphql", {"query": "{me}", "variables": []}))[0] == 200
    assert (await alice.post("/graphql", {"query": "{me}", "variables": [1]}))[0] == 400
    narrow = (await quick_visitor.quick_tokens(scope="read:jira-work")).json()["access_token"]
    refused = await Caller(quick_visitor, narrow).post("/graphql", {"query": "{me{user{name}}}"})
    assert refused[1]["errors"][0]["extensions"]["classification"] == "FORBIDDEN"


async def test_userinfo(alice: Caller) -> None:
    status, claims = await alice.get("/userinfo")
    assert (status, claims["email"]) == (200, "alice@sandbox.example")
