"""A stand-in of Linear's API, as far as Symphony and lalph ask it: the issues of one project."""

import json
import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from listeners import Served

PROJECT = "a-project-1f0c93ab52de"
KEY = "lin_api_key"
REFRESH = "lin_refresh_planted"
TOKEN = "lin_oauth_planted"
TEAM = "team-eng"
LABEL = "label-merge"
_CLIENT = (
    "852ed0906088135c1f591d234a4eaa4b"  # lalph's own, src/Linear/TokenManager.ts:28 at ea5f004
)
_WHEN = "2026-01-01T00:00:00.000Z"
_TYPES = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "In Review": "started",
    "Done": "completed",
    "Canceled": "canceled",
    "Duplicate": "canceled",
}
# A second team's states have the same names, and are no states of an issue of the first.
STATES: list[dict[str, Any]] = [
    {"id": f"{team}-{name}", "name": name, "type": kind, "team": {"id": team}}
    for team in ("team-ops", TEAM)
    for name, kind in _TYPES.items()
]
# What lalph's SDK asks for at the start, by the operation and what that selects.
_LISTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "query projects(": ("projects", [{"id": PROJECT, "name": "A project"}]),
    "query issueLabels(": ("issueLabels", [{"id": LABEL, "name": "merge"}]),
    "query workflowStates(": ("workflowStates", STATES),
}
_CHANGES = {"title", "description", "labelIds", "stateId"}


class Linear(Served):
    """Issues by identifier with their states; `folder` has a file for each that lalph has done.

    A wrong key, token, project, query or state is refused, and noted in `errors`.
    """

    host = "api.linear.app"

    def __init__(self, folder: Path | None = None) -> None:
        self.states: dict[str, str] = {}
        self.errors: list[str] = []
        self.folder = folder
        self._tokens = {KEY}  # an OAuth token has "Bearer " before it, a user's own key has not
        linear = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/oauth/token":
                    code, answer = linear.token(dict(parse_qsl(text)))
                elif self.path != "/graphql":
                    code, answer = linear.refuse(404, self.path)
                elif self.headers["Authorization"] not in linear._tokens:
                    code, answer = linear.refuse(401, f"authorization of {text}")
                else:
                    asked = json.loads(text)
                    code, answer = linear.answer(asked["query"], asked.get("variables") or {})
                body = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        self.address = ("127.0.0.1", self.server_port)
        self.url = f"http://127.0.0.1:{self.server_port}/graphql"

    @property
    def waiting(self) -> int:
        """How many issues nobody has begun."""
        return sum(state == "Todo" for state in self.states.values())

    @property
    def done(self) -> int:
        """How many issues are done."""
        return sum(state == "Done" for state in self.states.values())

    def refuse(self, code: int, why: str) -> tuple[int, dict[str, Any]]:
        """An answer as GraphQL refuses; tests look that there was none."""
        self.errors.append(why)
        return code, {"errors": [{"message": why}]}

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A fresh token for one that has expired."""
        asked = {"grant_type": "refresh_token", "refresh_token": REFRESH, "client_id": _CLIENT}
        if form != asked:
            return self.refuse(400, f"token for {form}")
        self._tokens.add(f"Bearer {TOKEN}")
        fresh = {"access_token": TOKEN, "refresh_token": REFRESH, "expires_in": 86399}
        return 200, fresh | {"token_type": "Bearer", "scope": "read write"}

    def answer(self, query: str, variables: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        for start, (name, nodes) in _LISTS.items():
            if start in query:
                return _data({name: _page(nodes)})
        if "query viewer " in query:
            return _data({"viewer": {"id": "user-me", "isMe": True}})
        if "query project_teams(" in query and variables["id"] == PROJECT:
            return _data({"project": {"teams": _page([{"id": TEAM, "name": "Engineering"}])}})
        if "mutation updateIssue(" in query:
            return self._change(variables["id"].removeprefix("id-"), variables["input"])
        return self._issues(query, variables)

    def _issues(self, query: str, variables: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        states = dict(self.states)
        if re.search(r"slugId: \{eq: \$projectSlug\}.*name: \{in: \$stateNames\}", query):
            project = variables["projectSlug"]
            found = [name for name, state in states.items() if state in variables["stateNames"]]
        elif re.search(r"id: \{in: \$ids\}", query):
            project = PROJECT
            found = [name for name in states if f"id-{name}" in variables["ids"]]
        elif re.search(r"assignee: { isMe: { eq: true } }\s+state: { type: { in: \[", query):
            project = variables["projectId"]
            kinds = re.findall(r'"(\w+)"', query)
            found = [name for name, state in states.items() if _TYPES[state] in kinds]
        elif re.search(r"issue\(id: \$id\)", query) and variables["id"][3:] in states:
            name = variables["id"][3:]
            return _data({"issue": _issue(name, states[name])})
        else:
            return self.refuse(400, query)
        if project != PROJECT:
            return self.refuse(400, f"project {project}")
        return _data({"issues": _page([_issue(name, states[name]) for name in found])})

    def _change(self, name: str, changes: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        state = next((one for one in STATES if one["id"] == changes.get("stateId")), None)
        is_known = name in self.states and set(changes) <= _CHANGES
        if not is_known or set(changes.get("labelIds", [])) - {LABEL}:
            return self.refuse(400, f"{name}: {changes}")
        if "stateId" in changes:
            if state is None or state["team"] != {"id": TEAM}:
                return self.refuse(400, f"{name}: {changes}")
            self.states[name] = state["name"]
            if state["type"] == "completed" and self.folder:
                (self.folder / f"closed-{name.partition('-')[2]}").touch()
        return _data({"issueUpdate": {"success": True, "lastSyncId": 1, "issue": {"id": name}}})


def _data(answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"data": answer}


def _page(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    info = {"hasNextPage": False, "hasPreviousPage": False, "endCursor": None}
    return {"nodes": nodes, "pageInfo": info}


def _issue(name: str, state: str) -> dict[str, Any]:
    kind = _TYPES[state]
    return {
        "id": f"id-{name}",
        "identifier": name,
        "title": f"Title of {name}",
        "description": None,
        "priority": 1,
        "estimate": None,
        "state": {"id": f"{TEAM}-{state}", "name": state, "type": kind},
        "branchName": name.lower(),
        "url": f"https://linear.app/x/issue/{name}",
        "assignee": None,
        "labels": {"nodes": []},
        "labelIds": [LABEL],
        "inverseRelations": {"nodes": []},
        "createdAt": _WHEN,
        "updatedAt": _WHEN,
        "completedAt": datetime.now(UTC).isoformat() if kind == "completed" else None,
    }
