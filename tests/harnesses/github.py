"""A stand-in of GitHub's REST API, as far as lalph asks it: the issues of one repository."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from listeners import Served

TOKEN = "ghp_planted"
_ISSUES = "/repos/me/repository/issues"
_CHANGES = {"title", "body", "labels", "state"}


class GitHub(Served):
    """Issues by number; `folder` has a file for each one that is closed.

    A wrong token, path or field is refused, and noted in `errors`.
    """

    host = "api.github.com"

    def __init__(self, numbers: range, labels: list[str], folder: Path) -> None:
        self.issues = {number: _issue(number, labels) for number in numbers}
        self.errors: list[str] = []
        self.folder = folder
        self._labels = [{"name": one} for one in labels]
        self._lock = threading.Lock()
        github = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(None)

            def do_PATCH(self) -> None:
                length = int(self.headers["Content-Length"])
                self._answer(json.loads(self.rfile.read(length)))

            def _answer(self, changes: dict[str, Any] | None) -> None:
                if self.headers["Authorization"] != f"token {TOKEN}":
                    code, answer = github.refuse(401, f"token of {self.path}")
                else:
                    code, answer = github.answer(self.path, changes)
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

    @property
    def waiting(self) -> int:
        """How many issues nobody has begun."""
        return sum(
            (one["state"], one["labels"]) == ("open", self._labels) for one in self.issues.values()
        )

    @property
    def done(self) -> int:
        """How many issues are done."""
        return sum(one["state"] == "closed" for one in self.issues.values())

    def refuse(self, code: int, why: str) -> tuple[int, dict[str, str]]:
        self.errors.append(why)
        return code, {"message": why}

    def answer(self, target: str, changes: dict[str, Any] | None) -> tuple[int, Any]:
        url = urlsplit(target)
        asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == _ISSUES and changes is None and asked.get("state") in ("open", "closed"):
            found = [one for one in self.issues.values() if one["state"] == asked["state"]]
            return 200, found if int(asked.get("page", 1)) < 2 else []
        path = re.fullmatch(rf"{_ISSUES}/(\d+)(/dependencies/blocked_by)?", url.path)
        issue = self.issues.get(int(path[1])) if path else None
        if not path or issue is None:
            return self.refuse(404, target)
        if path[2]:
            return (200, []) if changes is None else self.refuse(422, target)
        if changes is not None:
            if changes.keys() - _CHANGES or changes.get("state") not in (None, "open", "closed"):
                return self.refuse(422, f"{target}: {changes}")
            with self._lock:
                self._change(issue, changes)
        return 200, issue

    def _change(self, issue: dict[str, Any], changes: dict[str, Any]) -> None:
        issue |= changes | {"labels": [{"name": one} for one in changes["labels"]]}
        if issue["state"] == "closed":
            (self.folder / f"closed-{issue['number']}").touch()


def _issue(number: int, labels: list[str]) -> dict[str, Any]:
    return {
        "id": 1000 + number,
        "number": number,
        "title": f"Issue {number}",
        "body": None,
        "state": "open",
        "state_reason": None,
        "labels": [{"name": one} for one in labels],
        "html_url": f"https://github.com/me/repository/issues/{number}",
    }
