"""What a request does: by method, path, query and body, however they are spelt."""

from __future__ import annotations

import json

import pytest

from tests.policy.calls import Asked, asked
from twg.errors import UsageError
from twg.policy import Access, classify, refuse_override

READ, WRITE, DELETE = Access


@pytest.mark.parametrize(
    ("words", "access"),
    [
        ("jira GET /rest/api/3/myself", READ),
        ("jira HEAD /rest/api/3/issue/DEMO-1", READ),
        ("jira POST /rest/api/3/search/jql", READ),
        ("jira POST /rest/api/2/search", READ),
        ("jira POST /rest/api/3/issue", WRITE),
        ("jira PUT /rest/api/3/issue/DEMO-1", WRITE),
        ("jira PATCH /rest/api/3/issue/DEMO-1", WRITE),
        ("jira DELETE /rest/api/3/issue/DEMO-1", DELETE),
        ("jira POST /rest/api/3/bulk/issues/delete", DELETE),
        ("jira POST /rest/api/3/project/DEMO/delete", DELETE),
        ("jira PUT /rest/api/3/version/1/mergeto/2", DELETE),
        ("jira GET /rest/api/3/issue/DEMO-1?updateHistory=true", WRITE),
        ("confluence GET /wiki/api/v2/pages/1", READ),
        ("confluence GET /rest/api/content/1", READ),
        ("confluence GET /wiki/rest/api/content/1?trigger=viewed", WRITE),
        ("confluence DELETE /wiki/api/v2/pages/1?purge=true", DELETE),
        ("bitbucket GET /2.0/repositories/team/repo", READ),
        ("bitbucket GET /repositories/team/repo", READ),
        ("bitbucket POST /repositories/team/repo/commits", READ),
        ("bitbucket POST /2.0/repositories/team/repo/commit/1/comments", WRITE),
        ("bitbucket GET /2.0/repositories/%7Bteam%7D/repo/src/main/a%20b.txt", READ),
        ("admin GET /admin/v1/orgs", READ),
        ("admin POST /v1/orgs/1/users/search", READ),
        ("admin POST /admin/v1/orgs/1/users/2/roles/assign", WRITE),
        ("atlassian GET /me", READ),
        ("atlassian GET /oauth/token/accessible-resources", READ),
        ("atlassian POST /ex/jira/cloud-1/rest/api/3/search", READ),
        ("atlassian POST /ex/jira/cloud-1/rest/api/3/issue", WRITE),
        ("atlassian GET /ex/confluence/cloud-1/wiki/api/v2/pages", READ),
        ("atlassian GET /admin/v1/orgs", READ),
        ("atlassian POST /users/1/manage/lifecycle/delete", DELETE),
    ],
)
def test_a_request_is_classed_by_what_it_does(words: str, access: Access) -> None:
    """H-F5."""
    assert classify(asked(words)) is access


@pytest.mark.parametrize(
    "words",
    [
        "jira GET /secure/Logout.jspa",
        "jira GET /plugins/servlet/anything",
        "confluence GET /wiki/pages/doremovepage.action?pageId=1",
        "confluence GET /rest/apiary",
        "bitbucket GET /2.0/../account/delete",
        "atlassian GET /something/new",
        "atlassian GET /ex/trello/1/boards",
        "atlassian GET /ex/jira",
        "statuspage GET /v1/pages",
        "jira TRACE /rest/api/3/myself",
        "jira PROPFIND /rest/api/3/myself",
        "jira get /rest/api/3/myself",
        "jira POST /rest/api/3/something/new",
    ],
)
def test_what_is_not_known_writes(words: str) -> None:
    """H-F5."""
    assert classify(asked(words)) is not READ


def test_a_get_with_a_body_is_not_believed_to_read() -> None:
    """H-F5."""
    assert classify(asked("jira GET /rest/api/3/myself", body="{}")) is WRITE


@pytest.mark.parametrize(
    "path",
    [
        "/rest/api/3/search/",
        "/rest/api/3//search",
        "/rest/api/3/%73earch",
        "/rest/api/3/search%2fjql",
        "/rest/api/3/SEARCH",
        "/rest/api/3/search;a=b",
        "/rest/api/3/x/../search",
        "/rest/api/3/x/%2e%2e/search",
        "/rest/api/3/search.json",
        "/rest/api/3/issue/%2e%2e/search",
        "/rest/api/3/issue/..;/search",
        "/rest/api/..%2f..%2fsecure/search",
        "/rest/api/;v=3/search",
        "/rest/api/../search",
        "/rest/api/3/issue/DEMO-1%2fcomment%3f/changelog/list",
    ],
)
def test_a_post_reads_only_where_its_path_is_spelt_to_the_letter(path: str) -> None:
    """H-F5: a server may read another path than the one that looks like a search."""
    assert classify(asked(f"jira POST {path}")) is WRITE


@pytest.mark.parametrize(
    "path",
    [
        "/rest/api/3/project/DEMO/delete/",
        "/rest/api/3/project/DEMO//delete",
        "/rest/api/3/project/DEMO/%64elete",
        "/rest/api/3/project/DEMO/%2564elete",
        "/rest/api/3/project/DEMO/DELETE",
        "/rest/api/3/project/DEMO/delete;v=1",
        "/rest/api/3/project/DEMO/x/..;/delete",
        "/rest/api/3/project/DEMO%2fdelete",
        "/rest/api/3/project/DEMO/%EF%BD%84elete",
        "/rest/api/3/project/DEMO\\delete",
        "/rest/api/3/version/1/MergeTo/2",
        "/rest/api/3/version/1;x/mergeto/2/",
        "/rest/api/3/" + "%25" * 1 + "25" * 20 + "41",
    ],
)
def test_no_spelling_of_a_path_hides_that_it_deletes(path: str) -> None:
    """H-F5."""
    method = "PUT" if "ersion" in path else "POST"
    assert classify(asked(f"jira {method} {path}")) is DELETE


@pytest.mark.parametrize(
    "words",
    [
        "jira GET /rest/api/3/../../secure/Logout.jspa",
        "jira GET /rest/api/3/%2e%2e/%2e%2e/secure/Logout.jspa",
        "jira GET /rest/api/3/..;/..;/secure/Logout.jspa",
        "jira GET /rest/api/3/%252e%252e/%252e%252e/secure/Logout.jspa",
        "jira GET /rest/api/3/issue%2fDEMO-1?updateHistory=1",
        "jira GET /rest//api/3/ISSUE/DEMO-1/?a=1;updatehistory=1",
        "jira HEAD /rest/api/3/issue/DEMO-1?%75pdateHistory=1",
        "confluence GET /wiki/../logout.action",
    ],
)
def test_no_spelling_of_a_get_hides_that_it_writes(words: str) -> None:
    """H-F5."""
    assert classify(asked(words)) is WRITE


@pytest.mark.parametrize(
    "body",
    [
        '{"id": "1", "status": "trashed"}',
        '{"status": "trashed", "status": "current"}',
        '{"results": [{"status": "deleted"}]}',
    ],
)
def test_content_that_is_put_into_the_bin_is_deleted(body: str) -> None:
    assert classify(asked("confluence PUT /wiki/rest/api/content/1", body)) is DELETE
    assert classify(asked("confluence PUT /wiki/rest/api/content/1", "{}")) is WRITE


def graphql(document: object, **headers: str) -> Asked:
    return asked("graphql POST /graphql", json.dumps(document), **headers)


def of_query(query: str) -> Access:
    return classify(graphql({"query": query}))


@pytest.mark.parametrize(
    ("query", "access"),
    [
        ("{ me { user { name } } }", READ),
        ("query Q($a: Int = 1) { me @include(if: true) { ...F } } fragment F on X { y }", READ),
        ("mutation { createThing { id } }", WRITE),
        ("mutation M { jira { addComment { id } } }", WRITE),
        ("mutation { confluence { deletePage(id: 1) { ok } } }", DELETE),
        ("mutation { ok: removeThing { id } }", DELETE),
        ("mutation { ...F } fragment F on Mutation { purgeThing { id } }", DELETE),
        ("subscription { changed { id } }", WRITE),
        ("query A { deletedThings { id } }", READ),
        ("query A { a } mutation B { addThing { id } }", WRITE),
        ("query A { a } mutation B { deleteThing { id } }", DELETE),
        ("# mutation\n{ a }", READ),
        ("#\rmutation { addThing { id } }", WRITE),
        ('query { a(text: "mutation { x }") }', READ),
        ("fragment F on X { y }", WRITE),
        ("type Query { a: Int }", WRITE),
        ("mutatio { a }", WRITE),
        ("{ a", WRITE),
        ("", WRITE),
        ("{a" * 5000 + "}" * 5000, WRITE),
        ("{ " + "a " * 60_000 + "}", WRITE),
    ],
)
def test_a_graphql_request_is_classed_by_its_operations(query: str, access: Access) -> None:
    """H-F5."""
    assert of_query(query) is access


@pytest.mark.parametrize(
    "document",
    [
        {"id": "stored-1"},
        {"extensions": {"persistedQuery": {"sha256Hash": "0" * 64}}},
        {"query": "{ a }", "extensions": {"persistedQuery": {"sha256Hash": "0" * 64}}},
        {"query": "{ a }", "id": "stored-1"},
        {"query": "{ a }", "mutation": "mutation { b }"},
        {"query": ["{ a }"]},
        [],
        [{"query": "{ a }"}, {"id": "stored-1"}],
        [{"query": "{ a }"}, {"query": "mutation { addThing }"}],
        "{ a }",
        None,
    ],
)
def test_what_the_server_keeps_and_the_worst_of_a_batch_write(document: object) -> None:
    """H-F5."""
    assert classify(graphql(document)) is WRITE


def test_a_batch_of_queries_reads_and_one_with_a_deletion_deletes() -> None:
    """H-F5."""
    queries: list[object] = [{"query": "{ a }", "variables": {}, "operationName": None}] * 2
    assert classify(graphql(queries)) is READ
    assert classify(graphql([*queries, {"query": "mutation { deleteA }"}])) is DELETE


@pytest.mark.parametrize(
    "call",
    [
        asked("graphql POST /graphql", '{"query": "mutation { a }", "query": "{ a }"}'),
        asked("graphql POST /graphql", b'{"query": "{ a }", "x": "\xff"}'),
        asked("graphql POST /graphql", '{"query": "{ a }"}'.encode("utf-16")),
        asked("graphql POST /graphql?query=mutation%7Ba%7D", '{"query": "{ a }"}'),
        asked("graphql POST /graphql?a=1;id=2", '{"query": "{ a }"}'),
        graphql({"query": "{ a }"}, Content_Type="application/graphql"),
        graphql({"query": "{ a }"}, content_type="application/json; charset=utf-7"),
        graphql({"query": "{ a }"}, content_type="multipart/form-data; boundary=x"),
        graphql({"query": "{ a }"}, content_encoding="gzip"),
        asked("graphql GET /graphql?query=%7Ba%7D"),
        asked("graphql POST /graphql"),
    ],
)
def test_a_graphql_request_that_could_be_read_in_two_ways_writes(call: Asked) -> None:
    """H-F5."""
    assert classify(call) is WRITE


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8"])
def test_the_usual_kinds_of_json_are_read(kind: str) -> None:
    assert classify(graphql({"query": "{ a }"}, content_type=kind)) is READ


@pytest.mark.parametrize(
    "words",
    ["atlassian POST /graphql", "jira POST /gateway/api/graphql", "atlassian POST /GraphQL/"],
)
def test_graphql_is_known_behind_other_services(words: str) -> None:
    assert classify(asked(words, '{"query": "{ a }"}')) is READ
    assert classify(asked(words, '{"query": "mutation { deleteA }"}')) is DELETE


@pytest.mark.parametrize(
    "call",
    [
        asked("jira POST /rest/api/3/search", X_HTTP_Method_Override="DELETE"),
        asked("jira POST /rest/api/3/search", x_http_method="PUT"),
        asked("jira GET /rest/api/3/myself", x_method_override="DELETE"),
        Asked(service="jira", method="GET", path="/rest/api/3/a", headers={"X_HTTP_METHOD": "PUT"}),
        asked("jira GET /rest/api/3/myself?_method=DELETE"),
        asked("jira GET /rest/api/3/myself?a=1;_METHOD=DELETE"),
        asked("jira GET /rest/api/3/myself?%5fmethod=DELETE"),
        asked("jira GET /rest/api/3/myself?X-HTTP-Method-Override=DELETE"),
        asked(
            "jira POST /rest/api/3/search",
            "_method=DELETE",
            content_type="application/x-www-form-urlencoded",
        ),
    ],
)
def test_a_call_that_asks_for_another_method_is_refused(call: Asked) -> None:
    """H-F5."""
    with pytest.raises(UsageError, match="another method"):
        refuse_override(call)
    refuse_override(asked("jira POST /rest/api/3/search?method=a", '{"_method": 1}'))
