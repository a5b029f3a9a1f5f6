"""The HTTP half of the fake API server: paths, methods and parameters as OpenAPI has them."""

import contextlib
import json
import re
import socket
import ssl
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml
from kubernetes_validate.utils import schema_contents

from fake_kubernetes.cluster import (
    KINDS,
    VERSION,
    Change,
    Cluster,
    Object,
    RefusalError,
    check_schema,
)

_PATH = re.compile(
    r"/(?P<root>api/v1|apis/batch/v1|apis/networking\.k8s\.io/v1)/namespaces/(?P<namespace>[a-z0-9-]+)"
    r"/(?P<resource>[a-z]+)(/(?P<name>[a-z0-9.-]+))?(/(?P<below>log))?"
)
_NAMESPACE_PATH = re.compile(r"/api/v1/namespaces/([a-z0-9-]+)")
REVIEWS = "selfsubjectaccessreviews"
_REVIEWS_PATH = f"/apis/authorization.k8s.io/v1/{REVIEWS}"
_ROOTS = {"jobs": "apis/batch/v1", "networkpolicies": "apis/networking.k8s.io/v1"}
_PARAMETERS = {
    "create": {"fieldValidation", "fieldManager", "dryRun"},
    "get": set[str](),
    "list": {"labelSelector", "fieldSelector", "limit", "continue"},
    "watch": {
        "labelSelector",
        "fieldSelector",
        "watch",
        "resourceVersion",
        "allowWatchBookmarks",
        "timeoutSeconds",
    },
    "log": {"container", "follow", "tailLines", "sinceSeconds", "timestamps"},
    "patch": {"fieldValidation", "fieldManager", "dryRun"},
    "delete": {"propagationPolicy", "gracePeriodSeconds"},
}


@dataclass
class Fault:
    """What a matching request gets instead of an answer; the connection is cut for code 0.

    is_late: it is carried out, and only then comes this instead of its answer.
    """

    verb: str
    resource: str
    code: int
    reason: str = ""
    message: str = ""
    count: int = 1
    is_late: bool = False


@dataclass
class FakeKubernetes:
    """A server on loopback; `kubeconfig()` is what a client needs to find it.

    denied: what the user may not do, as `verb resource`. violations: requests that no Kubernetes
    server would have understood. Bytes and events of watches are counted as `sent`.
    """

    cluster: Cluster = field(default_factory=Cluster)
    token: str = "secret-token"
    denied: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    bodies: list[tuple[str, str, Object]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    sent: "Counter[str]" = field(default_factory=Counter)
    page: int = 500
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    def __enter__(self) -> "FakeKubernetes":
        fake = self

        class Handler(_Handler):
            server_state = fake

        self._is_over = threading.Event()
        self._server = _Server((self.host, 0), Handler)
        self._server.daemon_threads = True
        if self.tls:
            self._server.socket = self.tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        with self.cluster.changed:
            self.cluster.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    @property
    def is_over(self) -> bool:
        return self._is_over.is_set()

    def kubeconfig(self, namespace: str | None = None) -> str:
        context: Object = {"cluster": "fake", "user": "fake"}
        if namespace:
            context["namespace"] = namespace
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                "users": [{"name": "fake", "user": {"token": self.token}}],
                "contexts": [{"name": "fake", "context": context}],
                "current-context": "fake",
            }
        )

    def review(self, body: Object) -> Object:
        """The answer to "may I?"; a question that names no verb or resource is refused."""
        check_schema(body)
        asked = body["spec"]["resourceAttributes"]
        resource = asked["resource"]
        if asked.get("subresource"):
            resource += f"/{asked['subresource']}"
        is_allowed = f"{asked['verb']} {resource}" not in self.denied
        return {**body, "status": {"allowed": is_allowed}}

    def called(self, verb: str, resource: str) -> int:
        return sum((verb, resource) == (one, other) for one, other, _ in self.requests)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say what was wrong; a client that is gone is nothing."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_state: FakeKubernetes
    late: Fault | None = None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the tests look at `requests`."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        state = self.server_state
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if (method, self.path.rstrip("/")) == (
            "GET",
            "/version",
        ):  # open to everybody, as on a real one
            self._send({"major": "1", "minor": "35", "gitVersion": f"v{VERSION}.0"})
            return
        try:
            self._answer(method, raw)
        except RefusalError as exc:
            if exc.status["code"] in {400, 405, 415}:
                state.violations.append(f"{method} {self.path}: {exc}")
            self._send(exc.status, exc.status["code"])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, method: str, raw: bytes) -> None:
        state, cluster = self.server_state, self.server_state.cluster
        if self.headers.get("Authorization", "").lower() != f"bearer {state.token}":
            raise RefusalError(401, "Unauthorized", "Unauthorized")
        verb, namespace, resource, name, query = self._parse(method)
        shown = "pods/log" if verb == "log" else resource
        with cluster.changed:
            state.requests.append((verb, shown, name))
            cluster.changed.notify_all()
        if self._suffer(verb, shown):
            return
        body = json.loads(raw) if raw else {}
        match verb:
            case "create" if resource == REVIEWS:
                self._send(state.review(body), 201)
            case "create":
                state.bodies.append((verb, resource, body))
                self._send(cluster.create(namespace, resource, body), 201)
            case "get":
                self._send(cluster.get(namespace, resource, name))
            case "list":
                self._send(self._list(namespace, resource, query))
            case "watch":
                self._watch(namespace, resource, query)
            case "log":
                self._log(namespace, name, query)
            case "patch":
                if "patch+json" not in self.headers.get("Content-Type", ""):
                    raise RefusalError(415, "UnsupportedMediaType", "no kind of patch")
                state.bodies.append((verb, resource, body))
                self._send(cluster.patch(namespace, resource, name, body))
            case "delete":
                if unknown := set(body) - _delete_options():
                    raise RefusalError(400, "BadRequest", f"unknown in DeleteOptions: {unknown}")
                state.bodies.append((verb, resource, body))
                self._send(cluster.delete(namespace, resource, name))

    def _parse(self, method: str) -> tuple[str, str, str, str, dict[str, str]]:
        """Which operation of the API it is; RefusalError where there is no such one."""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        if (method, url.path) == ("POST", _REVIEWS_PATH):
            return "create", "", REVIEWS, "", query
        if method == "GET" and (place := _NAMESPACE_PATH.fullmatch(url.path)):
            return "get", place[1], "namespaces", place[1], query
        found = _PATH.fullmatch(url.path)
        if not found or found["resource"] not in KINDS:
            raise RefusalError(400, "BadRequest", f"no such path: {url.path}")
        resource, name = found["resource"], found["name"] or ""
        if found["root"] != _ROOTS.get(resource, "api/v1"):
            raise RefusalError(400, "BadRequest", f"{resource} are not in {found['root']}")
        verbs = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
        verb = verbs.get(method) or ("get" if name else "watch" if "watch" in query else "list")
        if found["below"]:
            verb = "log"
        if (verb in {"create", "list", "watch"}) == bool(name):
            raise RefusalError(405, "MethodNotAllowed", f"{method} {url.path}")
        if unknown := set(query) - _PARAMETERS[verb]:
            raise RefusalError(400, "BadRequest", f"unknown parameters: {unknown}")
        return verb, found["namespace"], resource, name, query

    def _suffer(self, verb: str, resource: str) -> bool:
        for fault in self.server_state.faults:
            if (fault.verb, fault.resource) == (verb, resource) and fault.count:
                fault.count -= 1
                if fault.is_late:
                    self.late = fault
                    return False
                self._fail(fault)
                return True
        return False

    def _fail(self, fault: Fault) -> None:
        self.late = None
        if fault.code:
            self._send(RefusalError(fault.code, fault.reason, fault.message).status, fault.code)
            return
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client may have gone
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def _list(self, namespace: str, resource: str, query: dict[str, str]) -> Object:
        found, version = self.server_state.cluster.list(namespace, resource)
        found = [one for one in found if selected(one, query)]
        start = int(query.get("continue") or 0)
        limit = min(int(query.get("limit") or 1 << 30), self.server_state.page)
        rest = start + limit
        api_version, kind = KINDS[resource]
        metadata: Object = {"resourceVersion": str(version)}
        if rest < len(found):
            metadata["continue"] = str(rest)
        return {
            "apiVersion": api_version,
            "kind": f"{kind}List",
            "metadata": metadata,
            "items": found[start:rest],
        }

    def _watch(self, namespace: str, resource: str, query: dict[str, str]) -> None:
        state, cluster = self.server_state, self.server_state.cluster
        version = int(query.get("resourceVersion") or 0)
        self._begin()
        with cluster.changed:
            cluster.watchers.add(resource)
            cluster.changed.notify_all()
            at = len(cluster.changes)
            while at and cluster.changes[at - 1].version > version:
                at -= 1
        generation = cluster.oldest
        while not state.is_over:
            with cluster.changed:
                if cluster.oldest != generation or version < cluster.oldest:
                    gone = RefusalError(410, "Expired", f"too old resource version: {version}")
                    self._chunk(json.dumps({"type": "ERROR", "object": gone.status}))
                    break
                batch = cluster.changes[at:]
                at = len(cluster.changes)
                if not batch and not state.is_over:
                    cluster.changed.wait(60)
                    continue
            for change in batch:
                if change.resource == resource and change.version > version:
                    self._tell(change, namespace, resource, query)
        self.wfile.write(b"0\r\n\r\n")

    def _tell(self, change: Change, namespace: str, resource: str, query: dict[str, str]) -> None:
        one = change.object
        if one["metadata"]["namespace"] == namespace and selected(one, query):
            size = self._chunk(f'{{"type":"{change.type}","object":{change.text}}}')
            self.server_state.sent[f"{resource} events"] += 1
            self.server_state.sent[f"{resource} bytes"] += size

    def _log(self, namespace: str, name: str, query: dict[str, str]) -> None:
        self.server_state.cluster.get(namespace, "pods", name)
        lines = self.server_state.cluster.logs.get(name, b"").splitlines(keepends=True)
        if "tailLines" in query:
            lines = lines[-int(query["tailLines"]) :] if int(query["tailLines"]) else []
        if query.get("timestamps") == "true":
            # As many digits of a fraction as it needs: they do not sort as texts.
            stamps = [
                f"2026-01-01T00:00:00.{n + 1:09d}".rstrip("0") + "Z " for n in range(len(lines))
            ]
            lines = [stamp.encode() + line for stamp, line in zip(stamps, lines, strict=True)]
        data = b"".join(lines)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, event: str) -> int:
        data = event.encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()
        return len(data)

    def _send(self, answer: Object, code: int = 200) -> None:
        if self.late:
            self._fail(self.late)
            return
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@cache
def _delete_options() -> set[str]:
    """The fields of DeleteOptions, which has a definition but no schema file of its own."""
    file = f"kubernetes-json-schema/v{VERSION}.0-local-strict/_definitions.json"
    definitions = schema_contents(file, VERSION)["$defs"]
    return set(definitions["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["properties"])


def selected(one: Object, query: dict[str, str]) -> bool:
    """Whether label and field selectors of the forms `a`, `!a`, `a=b` and `a=b,c=d` match."""
    labels = one["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        key, equals, value = term.partition("=")
        if key.startswith("!"):
            if key[1:] in labels:
                return False
        elif key not in labels or (equals and labels[key] != value):
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = term.partition("=")
        found: Any = one
        for step in path.split("."):
            found = found.get(step, {}) if isinstance(found, dict) else {}
        if found != value:
            return False
    return True
