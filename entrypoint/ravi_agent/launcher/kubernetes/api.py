"""The Kubernetes API through its official client, in one namespace; JSON both ways.

Answers are not turned into the client's models: those check every field of every pod, which costs
a run of thousands more than everything else the launcher does.
"""

import json
from typing import TYPE_CHECKING, Any

import urllib3
from kubernetes import client

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes import kubeconfig
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.refusal import KubernetesError, refusal, words
from ravi_agent.launcher.kubernetes.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Seconds to connect, and to wait for an answer's next byte.
CALL_TIMEOUT_S = (10, 60)
# How long one watch lasts: the server ends it, and the next goes on behind its last event.
WATCH_S = 300
_SILENCE_S = 7 * 86400
# Objects that a list answers at once: a pod of 11 KB takes four times that once it is read.
PAGE = 250


_CLUSTER_WIDE = frozenset(
    {"namespaces", "selfsubjectaccessreviews", "version", "resources", "policies"}
)
_FIELD_MANAGER = "ravi-launch"


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
        own = kubeconfig.load(configuration, config_file, context)
        self.namespace = namespace or own
        configuration.connection_pool_maxsize = 32
        configuration.retries = False  # each caller decides what may be tried again
        self.host: str = configuration.host
        self._client = client.ApiClient(configuration)
        core, batch = client.CoreV1Api(self._client), client.BatchV1Api(self._client)
        reviews = client.AuthorizationV1Api(self._client)
        network = client.NetworkingV1Api(self._client)
        any_group = client.CustomObjectsApi(self._client)
        self._calls: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("create", "jobs"): batch.create_namespaced_job,
            ("create", "secrets"): core.create_namespaced_secret,
            ("create", "configmaps"): core.create_namespaced_config_map,
            ("create", "networkpolicies"): network.create_namespaced_network_policy,
            ("get", "jobs"): batch.read_namespaced_job,
            ("get", "secrets"): core.read_namespaced_secret,
            ("get", "namespaces"): core.read_namespace,
            ("get", "version"): client.VersionApi(self._client).get_code,
            ("create", "selfsubjectaccessreviews"): (reviews.create_self_subject_access_review),
            ("get", "configmaps"): core.read_namespaced_config_map,
            ("get", "networkpolicies"): network.read_namespaced_network_policy,
            ("get", "pods"): core.read_namespaced_pod,
            ("list", "jobs"): batch.list_namespaced_job,
            ("list", "pods"): core.list_namespaced_pod,
            ("list", "resourcequotas"): core.list_namespaced_resource_quota,
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
            ("delete", "networkpolicies"): network.delete_namespaced_network_policy,
            ("get", "resources"): any_group.get_api_resources,
            ("apply", "policies"): any_group.patch_cluster_custom_object,
            ("get", "pods/log"): core.read_namespaced_pod_log,
        }

    def close(self) -> None:
        self._client.rest_client.close()

    def create(self, resource: str, body: Object) -> Object:
        """The object as the server stored it. `status` 409 of KubernetesError: it exists."""
        return self._json("create", resource, body=body, field_validation="Strict")

    def get(self, resource: str, name: str) -> Object | None:
        """None where there is no object of that name."""
        try:
            return self._json("get", resource, name=name)
        except KubernetesError as exc:
            if exc.status == 404 and not _is_namespace_missing(exc):
                return None
            raise

    def list(self, resource: str, **selectors: str) -> tuple[list[Object], str]:
        """Every object the selectors match, and the version from which a watch goes on.

        Without what nobody here reads: `managedFields`, and the specs of pods.
        """
        found: list[Object] = []
        more: dict[str, str] = {}
        while True:
            page = self._json("list", resource, limit=PAGE, **selectors, **more)
            found += [_trimmed(resource, one) for one in page["items"]]
            more = {"_continue": page["metadata"].get("continue") or ""}
            if not more["_continue"]:
                return found, page["metadata"]["resourceVersion"]

    def patch(self, resource: str, name: str, body: Object) -> Object:
        return self._json("patch", resource, name=name, body=body)

    def delete(self, resource: str, name: str, **options: Any) -> None:
        """Delete an object, if it exists. `options` are those of DeleteOptions."""
        try:
            self._json("delete", resource, name=name, body=options)
        except KubernetesError as exc:
            if exc.status != 404 or _is_namespace_missing(exc):
                raise

    def serves(self, group: str, version: str, resource: str) -> bool:
        """Whether the cluster has a resource, `mutatingadmissionpolicies`, in that version."""
        try:
            found = self._json("get", "resources", group=group, version=version)
        except KubernetesError as exc:
            if exc.status == 404:
                return False
            raise
        return any(one["name"] == resource for one in found["resources"])

    def apply_policy(self, body: Object) -> None:
        """Create an object of the whole cluster, or bring it to this state."""
        group, _, version = body["apiVersion"].partition("/")
        kind = body["kind"].lower()
        self._json(
            "apply",
            "policies",
            group=group,
            version=version,
            plural=f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s",
            name=body["metadata"]["name"],
            body=body,
            field_manager=_FIELD_MANAGER,
            field_validation="Strict",
            force=True,
            _content_type="application/apply-patch+yaml",
        )

    def version(self) -> str:
        """The cluster's version and address."""
        return f"Kubernetes {self._json('get', 'version')['gitVersion']} at {self.host}"

    def clock(self) -> str:
        """The server's time as HTTP writes dates; empty where it does not say."""
        response = self._open("get", "version")
        response.drain_conn()
        response.release_conn()
        return str(response.headers.get("Date", ""))

    def namespace_labels(self) -> dict[str, str]:
        """Raises KubernetesError with `status` 404 where the namespace does not exist."""
        found = self._json("get", "namespaces", name=self.namespace)
        labels: dict[str, str] = found["metadata"].get("labels") or {}
        return labels

    def is_allowed(self, verb: str, resource: str) -> bool:
        """Whether this user may; `resource` as `jobs.batch`, `pods` or `pods/log`."""
        name, _, subresource = resource.partition("/")
        name, _, group = name.partition(".")
        asked = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": name,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = self._json("create", "selfsubjectaccessreviews", body=review)
        return bool(answer["status"]["allowed"])

    def open_watch(self, resource: str, version: str, **selectors: str) -> Stream:
        """The changes since `version`. `status` 410 of KubernetesError: it is too old."""
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

    def open_log(self, pod: str, *, is_following: bool = False, **options: Any) -> Stream:
        """The output of a pod's agent so far, and what comes while it is followed."""
        # An agent may be silent for long, and the client cannot be told to wait for ever.
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

    def has_ended(self, pod: str, container: str) -> bool:
        """Whether a container of a pod has ended; True for a pod that is gone."""
        found = self.get("pods", pod)
        statuses = ((found or {}).get("status") or {}).get("containerStatuses") or []
        states = [one.get("state") or {} for one in statuses if one["name"] == container]
        return found is None or any("terminated" in state for state in states)

    def _json(self, verb: str, resource: str, **arguments: Any) -> Object:
        response = self._open(verb, resource, **arguments)
        try:
            answer: Object = json.loads(response.data)
        except (ValueError, urllib3.exceptions.HTTPError) as exc:
            raise EngineError(
                f"cannot {verb} {resource}", f"the answer of {self.host} is not JSON"
            ) from exc
        finally:
            response.release_conn()
        return answer

    def _open(self, verb: str, resource: str, **arguments: Any) -> urllib3.HTTPResponse:
        arguments.setdefault("_request_timeout", CALL_TIMEOUT_S)
        if resource not in _CLUSTER_WIDE:
            arguments["namespace"] = self.namespace
        place = None if resource in {"resources", "policies"} else self.namespace
        try:
            response: urllib3.HTTPResponse = self._calls[verb, resource](
                _preload_content=False, **arguments
            )
        except client.ApiException as exc:
            # Without the cause: its body may quote the Secret that was sent.
            raise refusal(verb, resource, place, exc.status or 0, exc.body) from None
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise EngineError(
                f"no Kubernetes API answers at {self.host}",
                words(getattr(exc, "reason", None) or exc),
                "check the cluster with `kubectl cluster-info`, or choose another --context",
            ) from exc
        if not 200 <= response.status < 300:
            body = response.data
            response.release_conn()
            raise refusal(verb, resource, place, response.status, body)
        return response


def _trimmed(resource: str, one: Object) -> Object:
    one["metadata"].pop("managedFields", None)
    if resource == "pods":
        one.pop("spec", None)
    return one


def _is_namespace_missing(exc: KubernetesError) -> bool:
    return "namespaces " in exc.why
