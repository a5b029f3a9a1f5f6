"""A run as YAML for `kubectl apply`: the same for the same request, and without the key."""

import re
from collections.abc import Iterable

import yaml

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes import limits, manifests, names, task_files
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.planning import make_job_plan
from ravi_agent.launcher.model.request import JobOptions, RunRequest
from ravi_agent.launcher.planning.plan import Plan

# Texts that every reader of YAML takes for a text. kubectl's takes `y`, `1e3` and `0o14` for
# something else, PyYAML's writer does not expect that, and other readers have words of their own.
_PLAIN = re.compile(r"[A-Za-z][-A-Za-z0-9_./]*")
_NO_TEXTS = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "infinity", "nan"]
)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some reader could take for a number, a truth value or nothing."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _NO_TEXTS
    style = "|" if "\n" in text else None if is_plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def render_request(request: RunRequest, namespace: str | None) -> str:
    """The YAML of a run, for the command `render`.

    Raises UsageError for a run whose name nobody chose, and for one that no Job can be.
    """
    if request.is_new:
        raise UsageError("render", "a run without a name is never the same", "--name nightly")
    return render(make_job_plan(request), request.job, namespace)


def render(plan: Plan, options: JobOptions, namespace: str | None = None) -> str:
    """YAML documents; the Secret they refer to is named in a comment. Raises UsageError."""
    limits.check(plan, options)
    name = options.secret or names.job_name(plan.run)
    head = (
        "# The init containers read the management key from a Secret that is to be there:\n"
        f"#   kubectl create secret generic {name} --from-file={names.SECRET_KEY}=PATH\n"
    )
    job = manifests.job(plan, options)
    policy = None
    if plan.container.is_isolated:
        policy = manifests.network_policy(plan.run, job["metadata"]["labels"])
    documents = [task_files.tasks_config(plan), policy, job]
    for one in documents:
        if one and namespace:
            one["metadata"]["namespace"] = namespace
    return head + to_yaml(one for one in documents if one)


def to_yaml(documents: Iterable[Object]) -> str:
    """Documents that every reader of YAML understands alike."""
    return "---\n".join(
        yaml.dump(one, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
        for one in documents
    )
