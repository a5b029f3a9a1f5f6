"""The labels by which runs are found again."""

from ravi_agent import contract
from ravi_agent.launcher.kubernetes.names import metadata
from reference.markdown import code, page, table
from reference.sample import plan

_MEANINGS = {
    contract.LABEL_RUN: "Name of the run.",
    contract.LABEL_TASK: "Id of the task.",
    contract.LABEL_INDEX: "Its number, from 0.",
    contract.LABEL_COUNT: "Number of tasks in the run.",
    contract.LABEL_IDENTITY_NAME: "Name of its identity; on a Job, what the names begin with.",
    "app.kubernetes.io/name": "`ravi-agent`.",
}


def page_of_labels() -> str:
    """labels.md."""
    run = plan()
    on_a_job = metadata(run, None)
    return page(
        "Labels",
        "`ravi-launch` keeps no state of its own. It finds runs by these.",
        "## On Docker containers",
        _table(run.labels_of(run.tasks[0])),
        "The volume `ravi-run-RUN`, the volumes `ravi-KIND-ID-RUN` and the networks of a run also "
        f"have {code(contract.LABEL_RUN)}.",
        f"A container with {code(contract.LABEL_PROBE)} is one that the launcher creates to look"
        " into an image. It is never started, and removed at once.",
        "## On Kubernetes objects",
        _table(on_a_job["labels"]),
        "Annotations:",
        _table(on_a_job["annotations"]),
        "Labels that begin with `id.ravi.` cannot be set with `--label`.",
    )


def _table(names: dict[str, str]) -> str:
    return table(("name", "value"), ((code(name), _MEANINGS[name]) for name in names))
