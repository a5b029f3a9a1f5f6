"""Identities that runs lease from a pool and give back, because each one is paid for."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import count

from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, SettingsError, UsageError
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.driver import Process
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import read_notes
from ravi_agent.launcher.docker.progress import ended_with, progress_of
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.leases import Lease, changing, pool_of, pool_prefix
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.model.run_keys import end_keys
from ravi_agent.launcher.planning.plan import Plan, Task
from ravi_agent.launcher.planning.spec import RunSpec

# A start that a launcher asked for before it was killed is carried out within that.
_START_S = 60.0


def lease(
    engine: DockerEngine,
    plan: Plan,
    spec: RunSpec,
    request: RunRequest,
    credential: Credential,
    stack: ExitStack,
) -> Plan:
    """The plan with the identities of its pool, which are given back when `stack` is left.

    Raises RaviError where the pool cannot be looked at, or is too small.
    """
    if spec.pool is None:
        return plan
    pool = Pool(engine, plan.run, spec, request.environ)
    plan = pool.lease(plan, credential, is_dry_run=request.is_dry_run)
    if not request.is_dry_run:
        stack.callback(pool.give_back)
    return plan


class Pool:
    """The leases of one run. An identity is leased to one task, by whoever drives its run.

    A lease is free again once nobody drives its run and no container of the engine runs with its
    identity. Of a run on another engine nobody here can tell that.
    """

    def __init__(
        self, engine: DockerEngine, run: str, spec: RunSpec, environ: Mapping[str, str]
    ) -> None:
        """Raises EngineError."""
        self._engine = engine
        self._run = run
        self._pool = str(spec.pool)
        self._size = spec.pool_size
        self._api_url = spec.api_url
        self._name_prefix = spec.name_prefix
        self._environ = environ
        self._engine_id = ask("the engine does not say its ID", lambda: engine.client.info()["ID"])
        self._owner = asdict(Process.here())

    def lease(self, plan: Plan, credential: Credential, *, is_dry_run: bool) -> Plan:
        """The plan with an identity of the pool for each task that has not ended.

        Nothing is written in a dry run. Raises RaviError where the pool cannot be looked at, or is
        too small.
        """
        from ravi_agent.service.api import RaviApi

        prefix = pool_prefix(self._name_prefix, self._pool)
        with RaviApi(self._api_url, credential) as api:
            there = [one.name for one in api.list_identities(prefix)]
        there = [name for name in there if pool_of(name, self._name_prefix) == self._pool]
        progress = progress_of(read_notes(self._engine, self._run))
        tasks = [one for one in plan.tasks if ended_with(progress.get(one.index)) is None]
        try:
            with changing(self._environ) as leases:
                names, over = self._choose(tasks, there, leases)
                if not is_dry_run:
                    leases[:] = [one for one in leases if one not in over]
                    leases += [self._lease(task, names[task.id]) for task in tasks]
        except OSError as exc:
            raise _unusable(exc) from exc
        if not is_dry_run:
            self._end_keys(over)
        ended = {one.task: one.identity_name for one in self._engine.containers(self._run)}
        names = ended | names
        tasks = [
            replace(one, identity_name=names.get(one.id, one.identity_name)) for one in plan.tasks
        ]
        return replace(plan, tasks=tasks, is_fresh=False)

    def give_back(self) -> None:
        """Give back what no container of the run uses any more, its keys revoked before.

        Where that cannot be done now, the next run of the pool does it, and a warning says so.
        """
        try:
            self._give_back()
        except RaviError as exc:
            print(f"ravi-launch: warning: pool {self._pool}: {exc}", file=sys.stderr)

    def _give_back(self) -> None:
        try:
            with changing(self._environ) as leases:
                busy = self._busy()
                back = [one for one in leases if self._is_own(one) and one.name not in busy]
            self._end_keys(back)
            with changing(self._environ) as leases:
                leases[:] = [one for one in leases if one not in back]
        except OSError as exc:
            raise _unusable(exc) from exc

    def _choose(
        self, tasks: Sequence[Task], there: Sequence[str], leases: Sequence[Lease]
    ) -> tuple[dict[str, str], list[Lease]]:
        """The name for each task, and the leases that are over or this run's own."""
        ours = [one for one in leases if one.api_url == self._api_url]
        own = [one for one in ours if (one.run, one.engine) == (self._run, self._engine_id)]
        if any(_is_alive(one.owner) for one in own):
            raise UsageError(
                f"run {self._run}", "a launcher drives it", f"ravi-launch stop {self._run}"
            )
        running = self._running()
        busy = {one.identity_name for one in running}
        over = [
            one
            for one in ours
            if one.engine == self._engine_id
            and (one in own or not (_is_alive(one.owner) or one.name in busy))
        ]
        held = {one.name for one in ours if one not in over} | busy
        names = {one.task: one.identity_name for one in running if one.run == self._run}
        for one in own:
            if one.name not in held and one.name not in names.values():
                names.setdefault(one.task, one.name)
        wanted = [task for task in tasks if task.id not in names]
        free = self._free(there, held | set(names.values()), len(wanted), leases)
        return names | {task.id: name for task, name in zip(wanted, free, strict=True)}, over

    def _free(
        self, there: Sequence[str], held: Iterable[str], wanted: int, leases: Sequence[Lease]
    ) -> list[str]:
        """Names of free identities, and of new ones where there are too few."""
        members = {one for one in {*there, *held} if pool_of(one, self._name_prefix) == self._pool}
        free = sorted(members - set(held), key=_number)[:wanted]
        missing = wanted - len(free)
        size = self._size
        if size is not None and missing and len(members) + missing > size:
            users = ", ".join(sorted({one.run for one in leases if one.pool == self._pool}))
            raise UsageError(
                f"--pool {self._pool}",
                f"{len(free)} of its {len(members)} identities are free and it may have {size};"
                f" {wanted} are wanted" + (f"; leased by {users}" if users else ""),
                f"--pool-size {len(members) + missing}, or fewer agents",
            )
        prefix = pool_prefix(self._name_prefix, self._pool)
        fresh = (name for number in count(1) if (name := f"{prefix}{number}") not in members)
        return [*free, *(next(fresh) for _ in range(missing))]

    def _busy(self) -> set[str]:
        return {one.identity_name for one in self._running()}

    def _running(self) -> list[ContainerStatus]:
        """The containers with an agent, or with one at any moment."""
        since = time.time() - _START_S
        return [
            one
            for one in self._engine.containers()
            if one.is_running or not (one.has_ended or one.created_at < since)
        ]

    def _is_own(self, one: Lease) -> bool:
        return one.run == self._run and one.owner == self._owner

    def _lease(self, task: Task, name: str) -> Lease:
        return Lease(
            api_url=self._api_url,
            name=name,
            pool=self._pool,
            run=self._run,
            task=task.id,
            engine=self._engine_id,
            owner=self._owner,
        )

    def _end_keys(self, leases: Sequence[Lease]) -> None:
        """Revoke the keys with which their agents called: the next one gets a key of its own."""
        busy = self._busy() if leases else set()
        for run in sorted({one.run for one in leases}):
            names = {one.name for one in leases if one.run == run and one.name not in busy}
            if names:
                end_keys(self._environ, run, names=names)


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def _is_alive(owner: Mapping[str, object]) -> bool:
    """Whether the launcher may still run; of another boot of this host none does."""
    process, here = Process(**owner), Process.here()  # type: ignore[arg-type]
    is_of_before = process.host == here.host and process.place.split()[0] != here.place.split()[0]
    return not is_of_before and process.is_alive


def _unusable(exc: OSError) -> SettingsError:
    return SettingsError(
        "the leases of pools cannot be kept",
        str(exc.strerror),
        "set XDG_STATE_HOME to a directory that can be written",
    )
