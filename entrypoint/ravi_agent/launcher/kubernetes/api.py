"""The Kubernetes API through its official client, in one namespace; plain JSON both ways.

Answers are not turned into the client's models: those check every field of every pod, which costs
a run of thousands more than everything else the launcher does.
"""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import urllib3
from kubernetes import client, config

from ravi_agent.errors import EngineError, UsageError

# Seconds to connect, and to wait for an answer's next byte.
CALL_TIMEOUT_S = (10, 60)
# How long one watch lasts: the server ends it, and the next goes on behind its last event.
WATCH_S = 300
_SILENCE_S = 7 * 86400
PAGE = 500  # objects a list answers at once, as kubectl asks for
# What the server may say for its reason; the rest of the body could quote what was sent.
_WORDS_LIMIT = 1000

Object = dict[str, Any]


class KubernetesError(EngineError):
    """The API server said no, with HTTP status `status` and its own word `reason` for it."""

    def __init__(
        self, what: str, why: str, fix: str | None = None, *, status: int, reason: str = ""
    ) -> None:
        super().__init__(what, why, fix)
        self.status = status
        self.reason = reason


class KubernetesApi:
    """One cluster and namespace. Safe to use from several threads.

    config_file: None for KUBECONFIG's and its default. context, namespace: None for those of the
    kubeconfig, or of the pod this runs in.
    Raises EngineError where there is no cluster or it does not do what it is asked.
    """

    def __init__(
        self,
        *,
        config_file: str | None = None,
        context: str | None = None,
        namespace: str | None = None,
    ) -> None:
        configuration = client.Configuration()
        own = _load(configuration, config_file, context)
        self.namespace = namespace or own
        configuration.connection_pool_maxsize = 32
        configuration.retries = False  # who may try again knows when; the rest is said at once
        self.host: str = configuration.host
        self._client = client.ApiClient(configuration)
        core, batch = client.CoreV1Api(self._client), client.BatchV1Api(self._client)
        self._calls: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("create", "jobs"): batch.create_namespaced_job,
            ("create", "secrets"): core.create_namespaced_secret,
            ("create", "configmaps"): core.create_namespaced_config_map,
            ("get", "jobs"): batch.read_namespaced_job,
            ("get", "configmaps"): core.read_namespaced_config_map,
            ("list", "jobs"): batch.list_namespaced_job,
            ("list", "pods"): core.list_namespaced_pod,
            ("list", "events"): core.list_namespaced_event,
            ("watch", "jobs"): batch.list_namespaced_job,
            ("watch", "pods"): core.list_namespaced_pod,
            ("watch", "events"): core.list_namespaced_event,
            ("patch", "jobs"): batch.patch_namespaced_job,
            ("patch", "secrets"): core.patch_namespaced_secret,
            ("patch", "configmaps"): core.patch_namespaced_config_map,
            ("delete", "jobs"): batch.delete_namespaced_job,
            ("delete", "pods"): core.delete_namespaced_pod,
            ("delete", "secrets"): core.delete_namespaced_secret,
            ("delete", "configmaps"): core.delete_namespaced_config_map,
            ("get", "pods/log"): core.read_namespaced_pod_log,
        }

    def close(self) -> None:
        self._client.rest_client.close()

    def create(self, resource: str, body: Object) -> Object:
        """The object as the server made it. `status` 409 of KubernetesError: it is there."""
        return self._json("create", resource, body=body, field_validation="Strict")

    def get(self, resource: str, name: str) -> Object | None:
        """None where there is none of that name."""
        try:
            return self._json("get", resource, name=name)
        except KubernetesError as exc:
            if exc.status == 404 and not _is_namespace_missing(exc):
                return None
            raise

    def list(self, resource: str, **selectors: str) -> tuple[list[Object], str]:
        """Every object the selectors match, and the version from which a watch goes on."""
        found: list[Object] = []
        more: dict[str, str] = {}
        while True:
            page = self._json("list", resource, limit=PAGE, **selectors, **more)
            found += page["items"]
            more = {"_continue": page["metadata"].get("continue") or ""}
            if not more["_continue"]:
                return found, page["metadata"]["resourceVersion"]

    def patch(self, resource: str, name: str, body: Object) -> Object:
        return self._json("patch", resource, name=name, body=body)

    def delete(self, resource: str, name: str, **options: Any) -> None:
        """Delete an object; one that is gone needs none. `options` are those of DeleteOptions."""
        try:
            self._json("delete", resource, name=name, body=options)
        except KubernetesError as exc:
            if exc.status != 404 or _is_namespace_missing(exc):
                raise

    def open_watch(self, resource: str, version: str, **selectors: str) -> "Stream":
        """The changes from `version` on. `status` 410 of KubernetesError: it is too old."""
        response = self._open(
            "watch",
            resource,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=WATCH_S,
            _request_timeout=(CALL_TIMEOUT_S[0], WATCH_S + 30),
            **selectors,
        )
        return Stream(response, f"the watch of {resource}")

    def open_log(self, pod: str, *, is_following: bool = False, **options: Any) -> "Stream":
        """What the agent's container of a pod has written, and will write where it is followed."""
        # An agent may be silent for long; the client takes no time-out that is none.
        timeouts = {"_request_timeout": (CALL_TIMEOUT_S[0], _SILENCE_S)} if is_following else {}
        response = self._open(
            "get",
            "pods/log",
            name=pod,
            container="agent",
            follow=is_following,
            **timeouts,
            **options,
        )
        return Stream(response, f"the log of {pod}")

    def _json(self, verb: str, resource: str, **arguments: Any) -> Object:
        response = self._open(verb, resource, **arguments)
        try:
            answer: Object = json.loads(response.data)
        except (ValueError, urllib3.exceptions.HTTPError) as exc:
            raise EngineError(
                f"cannot {verb} {resource}", f"{self.host} answered what is no JSON"
            ) from exc
        finally:
            response.release_conn()
        return answer

    def _open(self, verb: str, resource: str, **arguments: Any) -> urllib3.HTTPResponse:
        arguments.setdefault("_request_timeout", CALL_TIMEOUT_S)
        try:
            response: urllib3.HTTPResponse = self._calls[verb, resource](
                namespace=self.namespace, _preload_content=False, **arguments
            )
        except client.ApiException as exc:
            raise self._refusal(verb, resource, exc.status or 0, exc.body) from None
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise EngineError(
                f"no Kubernetes API answers at {self.host}",
                _words(getattr(exc, "reason", None) or exc),
                "check the cluster with `kubectl cluster-info`, or choose another --context",
            ) from None
        if not 200 <= response.status < 300:
            body = response.data
            response.release_conn()
            raise self._refusal(verb, resource, response.status, body)
        return response

    def _refusal(
        self, verb: str, resource: str, status: int, body: str | bytes | None
    ) -> KubernetesError:
        try:
            answer = json.loads(body or "{}")
            message, reason = str(answer["message"]), str(answer.get("reason", ""))
        except (ValueError, KeyError, TypeError):
            message, reason = f"status {status}", ""
        fix = None
        if status == 401:
            fix = "log in to the cluster, and see `kubectl auth whoami`"
        elif status == 403 and "exceeded quota" in message:
            fix = f"kubectl describe resourcequota --namespace {self.namespace}"
        elif status == 403:
            fix = f"kubectl auth can-i {verb} {resource} --namespace {self.namespace}"
        elif status == 404 and "namespaces " in message:
            fix = f"kubectl create namespace {self.namespace}, or choose another --namespace"
        return KubernetesError(
            f"cannot {verb} {resource} in namespace {self.namespace!r}",
            _words(message),
            fix,
            status=status,
            reason=reason,
        )


class Stream:
    """An answer that comes line by line; `close` ends it from any thread."""

    def __init__(self, response: urllib3.HTTPResponse, what: str) -> None:
        self._response = response
        self._what = what

    def lines(self) -> Iterator[bytes]:
        """Each line as it comes, until the server or `close` ends it."""
        rest = b""
        try:
            for chunk in self._response.stream(amt=None, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):
            # Cut off, or closed under the reader's hands: there is nothing more to come.
            return
        finally:
            self._response.release_conn()
        if rest:
            yield rest

    def close(self) -> None:
        connection = getattr(self._response, "connection", None)
        sock = getattr(connection, "sock", None)
        if sock:
            try:
                # A reader in another thread holds the locks that closing would wait for.
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself


def _load(configuration: client.Configuration, config_file: str | None, context: str | None) -> str:
    """Read the kubeconfig, else what Kubernetes gives a pod; the namespace it names."""
    try:
        contexts, current = config.list_kube_config_contexts(config_file)
        config.load_kube_config(config_file, context, client_configuration=configuration)
    except (config.ConfigException, OSError) as exc:
        return _load_incluster(configuration, context, _words(exc))
    chosen = current if context is None else next(one for one in contexts if one["name"] == context)
    return str(chosen["context"].get("namespace") or "default")


def _load_incluster(configuration: client.Configuration, context: str | None, why: str) -> str:
    try:
        if context is not None:
            raise config.ConfigException(why)
        config.load_incluster_config(client_configuration=configuration)
        with open(
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="ascii"
        ) as file:
            return file.read().strip()
    except (config.ConfigException, OSError):
        raise UsageError(
            "no Kubernetes cluster" if context is None else f"--context {context!r}",
            why,
            "kubectl config get-contexts, and set KUBECONFIG or --context",
        ) from None


def _is_namespace_missing(exc: KubernetesError) -> bool:
    return "namespaces " in exc.why


def _words(text: object) -> str:
    return " ".join(str(text).split())[:_WORDS_LIMIT]
