"""A stand-in of Linear's API, as far as Symphony asks it: issues of a project, by state or id."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PROJECT = "a-project-1f0c93ab52de"
KEY = "lin_api_key"
_WHEN = "2026-01-01T00:00:00.000Z"


class Linear:
    """Issues by identifier with their states; a wrong key, project or query is an error."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}
        self.errors: list[str] = []
        linear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                asked = json.loads(self.rfile.read(length))
                if self.headers["Authorization"] != KEY:
                    answer: dict[str, Any] = linear.error(f"key of {asked}")
                else:
                    answer = linear.answer(asked["query"], asked["variables"])
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/graphql"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def error(self, why: str) -> dict[str, Any]:
        """An answer as GraphQL refuses; tests look that there was none."""
        self.errors.append(why)
        return {"errors": [{"message": why}]}

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        states = dict(self.states)
        if re.search(r"slugId: \{eq: \$projectSlug\}.*name: \{in: \$stateNames\}", query):
            if variables["projectSlug"] != PROJECT:
                return self.error(f"project {variables['projectSlug']}")
            found = [name for name, state in states.items() if state in variables["stateNames"]]
        elif re.search(r"id: \{in: \$ids\}", query):
            found = [name for name in states if f"id-{name}" in variables["ids"]]
        else:
            return self.error(query)
        nodes = [_issue(name, states[name]) for name in found]
        page = {"hasNextPage": False, "endCursor": None}
        return {"data": {"issues": {"nodes": nodes, "pageInfo": page}}}


def _issue(name: str, state: str) -> dict[str, Any]:
    return {
        "id": f"id-{name}",
        "identifier": name,
        "title": f"Title of {name}",
        "description": None,
        "priority": 1,
        "state": {"name": state},
        "branchName": name.lower(),
        "url": f"https://linear.app/x/issue/{name}",
        "assignee": None,
        "labels": {"nodes": []},
        "inverseRelations": {"nodes": []},
        "createdAt": _WHEN,
        "updatedAt": _WHEN,
    }
