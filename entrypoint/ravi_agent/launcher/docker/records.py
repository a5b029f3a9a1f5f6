"""What an engine keeps of a run beside its containers: how it was asked for, and its networks."""

from datetime import datetime
from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine

_RECORD_LABEL = "id.ravi.record"


def save_record(engine: DockerEngine, run: str, record: str) -> None:
    """Keep a run's record with the engine: the labels of an empty volume have room for it."""
    api = engine.client.api
    ask(f"run {run}", lambda: api.remove_volume(_name(run)), fine=(404,))
    labels = {contract.LABEL_RUN: run, _RECORD_LABEL: record}
    ask(f"run {run}", lambda: api.create_volume(_name(run), labels=labels))


def load_record(engine: DockerEngine, run: str) -> str | None:
    """The record that was kept for a run, None if there is none."""
    api = engine.client.api
    found = ask(f"run {run}", lambda: api.inspect_volume(_name(run)), fine=(404,))
    record: str | None = found and (found["Labels"] or {}).get(_RECORD_LABEL)
    return record


def records(engine: DockerEngine) -> dict[str, tuple[str, float]]:
    """Every run's record that the engine keeps, and when it was made (Unix seconds)."""
    api = engine.client.api
    found = ask("runs' records", lambda: api.volumes(filters={"label": _RECORD_LABEL}))
    return {
        one["Labels"][contract.LABEL_RUN]: (
            one["Labels"][_RECORD_LABEL],
            datetime.fromisoformat(one["CreatedAt"]).timestamp(),
        )
        for one in found["Volumes"] or []
    }


def forget(engine: DockerEngine, run: str) -> None:
    """Remove what the engine has of a run whose containers are gone."""
    api = engine.client.api
    ask(f"run {run}", lambda: api.remove_volume(_name(run)), fine=(404, 409))
    filters = {"label": f"{contract.LABEL_RUN}={run}"}
    for network in ask(f"run {run}", lambda: api.networks(filters=filters)):
        _remove_network(api, str(network["Id"]))


def _remove_network(api: Any, network: str) -> None:
    what = f"network {network[:12]}"
    found = ask(what, lambda: api.inspect_network(network), fine=(404,)) or {}
    # The local Ravi is on the agents' networks and outlives them.
    for container in found.get("Containers") or {}:
        ask(what, lambda: api.disconnect_container_from_network(container, network), fine=(404,))  # noqa: B023
    ask(what, lambda: api.remove_network(network), fine=(404,))


def _name(run: str) -> str:
    return f"ravi-run-{run}"
