"""Where each page of the dashboard is, by the name that the router knows it by."""

from typing import Any, Final

from playwright.sync_api import APIRequestContext

from tests.browser.responses import WAITING
from tocsin.model.digest import digest

# Pages that change with what is looked at: from the twin of a list, how to get to one of it.
OF_ONE: Final = {
    "alert": ("/alerts.json", "/alerts/{id}"),
    "event": ("/events.json", "/events/{id}"),
    "event-rule": ("/events.json", "/events/{id}/rule"),
    "incident": ("/incidents.json", "/incidents/{id}"),
    "incident-close": ("/incidents.json", "/incidents/{id}/close"),
    "silence-new": ("/alerts.json", "/silences/new?alert={id}"),
}

VISITED: Final = {
    "overview": "/",
    "incidents": "/incidents?limit=10",
    "alerts": "/alerts?limit=10",
    "events": "/events?limit=10",
    "responses": "/responses",
    "response": f"/responses/{WAITING}",
    "silences": "/silences",
    "attack": "/attack",
    "rules": "/rules?q=secret",
    "rule": "/rules/{key}",
    "try": "/rules/try",
    "health": "/health",
    "people": "/people",
    "tokens": "/tokens",
    "audit": "/audit?limit=10",
    "account": "/account",
    "login": "/login",
    "setup": "/setup?token=abc",
    **{name: path for name, (_, path) in OF_ONE.items()},
}

# What has an address but is nothing to look at.
NO_PAGE: Final = {
    "changes": "the stream that tells of changes",
    "evidence": "a file to keep",
    "favicon": "a file of the pages",
    "find-event": "leads to an event",
    "livez": "for probes",
    "openapi": "for programs",
    "static": "files of the pages",
}

ANONYMOUS: Final = frozenset({"login", "setup"})


def path_of(name: str, requests: APIRequestContext, url: str) -> str:
    """Return the path of a page; of one about a single thing, with the newest of cluster shop."""
    if name in OF_ONE:
        twin, path = OF_ONE[name]
        found = rows(requests, f"{url}{twin}?cluster=shop&limit=1")
        return path.replace("{id}", str(found[0]["id"]))
    if name == "rule":
        found = rows(requests, f"{url}/rules.json?dialect=sigma&q=content")
        return rule_page(found[0]["dialect"], found[0]["id"])
    return VISITED[name]


def rule_page(dialect: str, identifier: str) -> str:
    """Return the path of a rule's page."""
    return f"/rules/{digest(dialect, identifier)}"


def rows(requests: APIRequestContext, address: str) -> list[dict[str, Any]]:
    """Return the rows of a table's JSON twin."""
    answer = requests.get(address)
    assert answer.ok, f"{address}: {answer.status}"
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found
