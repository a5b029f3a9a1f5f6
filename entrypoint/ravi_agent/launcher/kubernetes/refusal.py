"""What the API server says where it refuses a call."""

import json

from ravi_agent.errors import EngineError

# Of the server's reason; the rest of its answer could quote what was sent.
_WORDS_LIMIT = 1000


class KubernetesError(EngineError):
    """The API server said no, with HTTP status `status` and its own word `reason` for it."""

    def __init__(
        self, what: str, why: str, fix: str | None = None, *, status: int, reason: str = ""
    ) -> None:
        super().__init__(what, why, fix)
        self.status = status
        self.reason = reason


def refusal(
    verb: str, resource: str, namespace: str | None, status: int, body: str | bytes | None
) -> KubernetesError:
    """The error for an answer that is not a success. namespace: None for the whole cluster."""
    try:
        answer = json.loads(body or "{}")
        message, reason = str(answer["message"]), str(answer.get("reason", ""))
    except (ValueError, KeyError, TypeError):
        message, reason = f"status {status}", ""
    within = f" --namespace {namespace}" if namespace else ""
    fix = None
    if status == 401:
        fix = "log in to the cluster, and see `kubectl auth whoami`"
    elif status == 403 and "exceeded quota" in message:
        fix = f"kubectl describe resourcequota{within}"
    elif status == 403:
        fix = f"kubectl auth can-i {verb} {resource}{within}"
    elif status == 404 and "namespaces " in message:
        fix = f"kubectl create namespace {namespace}, or choose another --namespace"
    place = f" in namespace {namespace!r}" if namespace else ""
    return KubernetesError(
        f"cannot {verb} {resource}{place}", words(message), fix, status=status, reason=reason
    )


def words(text: object) -> str:
    """A server's text on one line, of a length that can be shown."""
    return " ".join(str(text).split())[:_WORDS_LIMIT]
