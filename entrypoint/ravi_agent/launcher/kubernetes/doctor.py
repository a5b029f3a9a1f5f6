"""What would stop a run in a namespace, found without starting one."""

from collections.abc import Iterator

from ravi_agent.errors import RaviError
from ravi_agent.launcher.kubernetes import checks
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import SECRET_KEY
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.model.findings import Finding, Verdict, failure, good
from ravi_agent.launcher.model.request import DoctorTarget

# What a run asks of the API server, as RBAC names it: `verb resource`.
_NEEDED = (
    *(f"{verb} jobs.batch" for verb in ("create", "get", "list", "watch", "patch", "delete")),
    *(f"{verb} pods" for verb in ("get", "list", "watch", "delete")),
    "get pods/log",
    *(f"{verb} configmaps" for verb in ("create", "get", "delete")),
)
# Where the launcher is to make the Secret itself.
_NEEDED_FOR_SECRET = tuple(f"{verb} secrets" for verb in ("create", "delete"))
# A run goes on without these, and explains less.
_USEFUL = ("list events", "watch events")
_NEEDED_FOR_ISOLATED = tuple(
    f"{verb} networkpolicies.networking.k8s.io" for verb in ("create", "delete")
)
# https://kubernetes.io/docs/concepts/security/pod-security-admission/#pod-security-admission-labels-for-namespaces
_POD_SECURITY = "pod-security.kubernetes.io/enforce"


def diagnose(api: KubernetesApi, target: DoctorTarget) -> Iterator[Finding]:
    """One finding for each thing checked; where the cluster does not answer, that one alone."""
    try:
        yield good("cluster", api.version())
    except RaviError as exc:
        yield failure("cluster", exc)
        return
    yield from checks.clock(api)
    yield from _namespace(api)
    yield from checks.quotas(api)
    yield _rights(api, target)
    if target.secret:
        yield _secret(api, target.secret)
    yield Finding(
        what=f"image {target.image}",
        verdict=Verdict.NOTE,
        says="not checked: the nodes pull it",
        fix=f"kubectl run check --rm -i --restart=Never --image {target.image} -- ravi-entrypoint"
        " --check",
    )


def _namespace(api: KubernetesApi) -> Iterator[Finding]:
    what = f"namespace {api.namespace}"
    try:
        labels = api.namespace_labels()
    except KubernetesError as exc:
        if exc.status != 403:
            yield failure(what, exc)
            return
        # Many users may not read it, and can use it all the same.
        says = "not checked: this user may not read namespaces"
        yield Finding(what=what, verdict=Verdict.NOTE, says=says)
        return
    except RaviError as exc:
        yield failure(what, exc)
        return
    yield good(what, "it exists")
    level = labels.get(_POD_SECURITY)
    if level is None:
        says = "no level is enforced; the pods of a run meet `restricted`"
    else:
        says = f"`{level}` is enforced; the pods of a run meet `restricted`"
    yield good("pod security", says)


def _rights(api: KubernetesApi, target: DoctorTarget) -> Finding:
    needed = _NEEDED if target.secret else (*_NEEDED, *_NEEDED_FOR_SECRET)
    try:
        denied, unexplained, shared = (
            [right for right in rights if not api.is_allowed(*right.split())]
            for rights in (needed, _USEFUL, _NEEDED_FOR_ISOLATED)
        )
    except RaviError as exc:
        return failure("rights", exc)
    if denied:
        says = f"this user may not {', '.join(denied)}"
        fix = f"kubectl auth can-i {denied[0]} --namespace {api.namespace}"
        return Finding(what="rights", verdict=Verdict.BAD, says=says, fix=fix)
    says = "all that a run needs"
    if unexplained:
        says += f"; without {' and '.join(unexplained)} it explains less"
    if shared:
        says += f"; --isolated also needs {' and '.join(shared)}"
    verdict = Verdict.NOTE if unexplained or shared else Verdict.GOOD
    return Finding(what="rights", verdict=verdict, says=says)


def _secret(api: KubernetesApi, name: str) -> Finding:
    what = f"secret {name}"
    fix = f"kubectl create secret generic {name} --from-file={SECRET_KEY}=PATH"
    try:
        found = api.get("secrets", name)
    except KubernetesError as exc:
        if exc.status == 403:  # the pods' own rights do not depend on this user's
            says = "not checked: this user may not read secrets"
            return Finding(what=what, verdict=Verdict.NOTE, says=says)
        return failure(what, exc)
    except RaviError as exc:
        return failure(what, exc)
    if found is None:
        return Finding(what=what, verdict=Verdict.BAD, says="it does not exist", fix=fix)
    if SECRET_KEY not in (found.get("data") or {}):
        says = f"it has no entry {SECRET_KEY!r}"
        return Finding(what=what, verdict=Verdict.BAD, says=says, fix=fix)
    return good(what, f"it has an entry {SECRET_KEY!r}")
