"""What is known of a run beyond its containers: notes that the engine keeps, each with one fact.

A note is an empty volume whose labels hold the fact, so every launcher and command of the run sees
it, and `docker system prune` spares it. Labels never change: what changes is a new note.
"""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.model.events import (
    StopAsked,
)

STOP, DRIVER = "stop", "driver"
# The name of the run comes last, because it may hold anything that the rest has.
NOTE_NAME = re.compile(r"ravi-(?P<kind>[a-z]+)-[0-9a-f]{12}-(?P<run>.+)")
_LABEL = "id.ravi.note-"


@dataclass(frozen=True, kw_only=True)
class Note:
    """name: the volume's. value: what JSON can say."""

    kind: str
    name: str
    value: Any


def write_note(engine: DockerEngine, run: str, kind: str, value: Any) -> str:
    """Keep a fact with the engine; the note's name."""
    name = f"ravi-{kind}-{secrets.token_hex(6)}-{run}"
    text = json.dumps(value, separators=(",", ":"))
    labels = {contract.LABEL_RUN: run, f"{_LABEL}{kind}": text}
    ask(f"run {run}", lambda: engine.client.api.create_volume(name, labels=labels))
    return name


def read_notes(engine: DockerEngine, run: str, kind: str | None = None) -> list[Note]:
    """All notes of a run, or those of one kind; what is not a launcher's is passed over."""
    labels = [f"{contract.LABEL_RUN}={run}"]
    if kind:  # each start asks: the record and the progress of a large run are megabytes
        labels.append(f"{_LABEL}{kind}")
    found = ask(f"run {run}", lambda: engine.client.api.volumes(filters={"label": labels}))
    notes = []
    for volume in found["Volumes"] or []:
        for label, text in (volume["Labels"] or {}).items():
            one = label.removeprefix(_LABEL)
            if one == label or kind not in {None, one}:
                continue
            try:
                notes.append(Note(kind=one, name=volume["Name"], value=json.loads(text)))
            except ValueError:
                continue
    return notes


def erase_notes(engine: DockerEngine, names: Iterable[str]) -> None:
    """Remove notes, those that are still there."""
    for name in names:
        ask(f"note {name}", lambda: engine.client.api.remove_volume(name), fine=(404, 409))  # noqa: B023


def ask_stop(engine: DockerEngine, run: str, tasks: Sequence[str] | None, *, grace_s: int) -> None:
    """Have every launcher of the run stop it, or some of its tasks."""
    value = {"tasks": None if tasks is None else list(tasks), "grace_s": grace_s}
    write_note(engine, run, STOP, value)


def asked_stops(engine: DockerEngine, run: str) -> StopAsked:
    """What has been asked to be stopped since the last launcher began."""
    return stops_of(read_notes(engine, run, STOP))


def stops_of(notes: Iterable[Note]) -> StopAsked:
    """The same, of notes that have been read."""
    values = [one.value for one in notes if one.kind == STOP]
    return StopAsked(
        is_whole=any(one["tasks"] is None for one in values),
        tasks=frozenset(task for one in values for task in one["tasks"] or ()),
        grace_s=max((one["grace_s"] for one in values), default=0),
    )


def forget_stops(engine: DockerEngine, run: str) -> None:
    """Somebody has decided that the run goes on."""
    erase_notes(engine, [one.name for one in read_notes(engine, run, STOP)])
