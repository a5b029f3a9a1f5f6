"""What an engine keeps of a run beside its containers: how it was asked for, notes, networks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import erase_notes, read_notes

_RECORD_LABEL = "id.ravi.record"


def save_record(engine: DockerEngine, run: str, record: str) -> None:
    """Keep a run's record with the engine: the labels of an empty volume have room for it."""
    api = engine.client.api
    ask(f"run {run}", lambda: api.remove_volume(_name(run)), fine=(404,))
    labels = {contract.LABEL_RUN: run, _RECORD_LABEL: record}
    ask(f"run {run}", lambda: api.create_volume(_name(run), labels=labels))


def load_record(engine: DockerEngine, run: str) -> str | None:
    """The record that was kept for a run, None if there is none."""
    found = record_of(engine, run)
    return found and found[0]


def record_of(engine: DockerEngine, run: str) -> tuple[str, float] | None:
    """The same, and when it was made (Unix seconds)."""
    api = engine.client.api
    found = ask(f"run {run}", lambda: api.inspect_volume(_name(run)), fine=(404,))
    return found and _record(found)


def records(engine: DockerEngine) -> dict[str, tuple[str, float]]:
    """Every run's record that the engine keeps, and when it was made (Unix seconds)."""
    api = engine.client.api
    found = ask("runs' records", lambda: api.volumes(filters={"label": _RECORD_LABEL}))
    return {
        volume["Labels"][contract.LABEL_RUN]: record
        for volume in found["Volumes"] or []
        if volume["Name"] == _name(volume["Labels"].get(contract.LABEL_RUN, ""))
        and (record := _record(volume))
    }


def runs_with_notes(engine: DockerEngine) -> dict[str, float]:
    """Every run of which the engine keeps anything, and when the last of it was kept."""
    api = engine.client.api
    found = ask("runs' records", lambda: api.volumes(filters={"label": contract.LABEL_RUN}))
    runs: dict[str, float] = {}
    for volume in found["Volumes"] or []:
        run, made_at = volume["Labels"][contract.LABEL_RUN], _made_at(volume)
        if volume["Name"].endswith(f"-{run}"):  # else somebody else's, with our label
            runs[run] = max(made_at, runs.get(run, made_at))
    return runs


def _made_at(volume: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(volume["CreatedAt"]).timestamp()


def _record(volume: Mapping[str, Any]) -> tuple[str, float] | None:
    text = (volume["Labels"] or {}).get(_RECORD_LABEL)
    return None if text is None else (text, _made_at(volume))


def forget(engine: DockerEngine, run: str) -> None:
    """Remove what the engine has of a run whose containers are gone."""
    api = engine.client.api
    # The record goes first: with it, and without the notes of what has ended, all would run again.
    ask(f"run {run}", lambda: api.remove_volume(_name(run)), fine=(404, 409))
    erase_notes(engine, [one.name for one in read_notes(engine, run)])
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
