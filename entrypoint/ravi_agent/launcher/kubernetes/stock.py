"""What `reap` finds of runs in a namespace."""

from functools import partial

from ravi_agent.launcher.kubernetes import jobs
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.existing import list_existing
from ravi_agent.launcher.kubernetes.runs import OVER
from ravi_agent.launcher.reap import Leftover, Reaping


class JobStock:
    """The Jobs of a namespace."""

    noun = "Jobs"

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def take(self, reaping: Reaping) -> tuple[list[Leftover], set[str]]:
        """Jobs that have ended and are old enough, and the identities that all others have."""
        found = list_existing(self._api)
        kept = {
            one.run
            for one in found
            if one.state not in OVER
            or one.created_at >= reaping.before
            or not one.identity_name.startswith(reaping.prefix)
        }
        leftovers = [
            Leftover(line=f"Job of run {run}", remove=partial(jobs.remove, self._api, run))
            for run in sorted({one.run for one in found} - kept)
        ]
        return leftovers, {one.identity_name for one in found if one.run in kept}
