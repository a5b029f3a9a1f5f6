"""What `doctor` asks of the cluster that a run does not need, and that can prevent it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ravi_agent.errors import RaviError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.model.findings import Finding, Verdict, failure, good

# Tokens and certificates are valid from an instant on; beyond this one may not be valid yet.
_SKEW_LIMIT_S = 60
# What a quota counts that each run needs; requests and limits depend on the run.
_COUNTED = ("pods", "count/pods", "count/jobs.batch", "count/secrets", "secrets")
_LIMITED = {"limits.cpu": "--cpus", "limits.memory": "--memory"}
_LIMITED |= {"requests.cpu": "--cpus", "requests.memory": "--memory"}
_LIMITED |= {"cpu": "--cpus", "memory": "--memory"}


def clock(api: KubernetesApi) -> Iterator[Finding]:
    """Whether this machine and the API server agree on the time."""
    try:
        stamp = api.clock()
        skew_s = abs((parsedate_to_datetime(stamp) - datetime.now(UTC)).total_seconds())
    except RaviError as exc:
        yield failure("time", exc)
        return
    except ValueError:
        yield Finding(what="time", verdict=Verdict.NOTE, says="the server does not say it")
        return
    if skew_s > _SKEW_LIMIT_S:
        says = f"this machine and the API server differ by {skew_s:.0f} s"
        fix = "set both by NTP: timedatectl set-ntp true"
        yield Finding(what="time", verdict=Verdict.BAD, says=says, fix=fix)
    else:
        yield good("time", "as the API server's")


def quotas(api: KubernetesApi) -> Iterator[Finding]:
    """One finding for each quota of the namespace; none where they may not be read."""
    try:
        found, _ = api.list("resourcequotas")
    except RaviError:
        return  # many users may not read them, and need not
    for one in found:
        yield _quota(one, api.namespace)


def _quota(one: Object, namespace: str) -> Finding:
    name = one["metadata"]["name"]
    what = f"quota {name}"
    hard = (one.get("status") or {}).get("hard") or {}
    used = (one.get("status") or {}).get("used") or {}
    full = [key for key in _COUNTED if key in hard and _is_used_up(used.get(key), hard[key])]
    if full:
        says = ", ".join(f"{key}: {used[key]} of {hard[key]}" for key in full)
        fix = f"kubectl describe resourcequota {name} --namespace {namespace}"
        return Finding(what=what, verdict=Verdict.BAD, says=f"used up: {says}", fix=fix)
    needed = sorted({flag for key, flag in _LIMITED.items() if key in hard})
    if needed:
        says = f"it counts CPU or memory, so a run needs {' and '.join(needed)}"
        return Finding(what=what, verdict=Verdict.NOTE, says=says)
    return good(what, "not used up")


def _is_used_up(used: str | None, hard: str) -> bool:
    """Whether nothing is left of a number of objects; a quantity such as `2k` is not read."""
    return used is not None and used.isdecimal() and hard.isdecimal() and int(used) >= int(hard)
