"""What runs have left behind in a namespace."""

from functools import partial

from ravi_agent import contract
from ravi_agent.launcher.kubernetes import jobs, pods
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.keys import keys_inside
from ravi_agent.launcher.kubernetes.statuses import list_agents
from ravi_agent.launcher.model.inventory import Inventory, Leftover, ReapOptions


def take_inventory(api: KubernetesApi, options: ReapOptions) -> Inventory:
    """Jobs whose agents have all ended and are old enough."""
    agents = list_agents(api)
    found = [one for one, _ in agents]
    found_jobs, _ = api.list("jobs", label_selector=contract.LABEL_RUN)
    by_run = {job["metadata"]["labels"][contract.LABEL_RUN]: job for job in found_jobs}
    kept = {
        one.run
        for one in found
        if not one.has_ended
        or one.created_at >= options.before
        or not one.identity_name.startswith(options.prefix)
    }
    names = {one.identity_name for one in found if one.run in kept}
    leftovers = [
        Leftover(
            line=f"Job of run {run}",
            remove=partial(jobs.remove, api, run),
            run=run,
            keys=keys_inside(by_run[run], [pair for pair in agents if pair[0].run == run]),
        )
        for run in sorted({one.run for one in found} - kept)
        if run in by_run
    ]
    return Inventory(
        noun="Jobs",
        leftovers=leftovers,
        names_in_use=frozenset(names | _names_of_pods(api)),
    )


def _names_of_pods(api: KubernetesApi) -> set[str]:
    """The names of identities in pods that no run has made, as their `ravi-init` has told them."""
    found, _ = api.list("pods", label_selector=f"!{contract.LABEL_RUN}")
    identities = (pods.identity_of(pod) for pod in found)
    return {one.name for one in identities if one}
