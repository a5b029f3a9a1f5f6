"""An engine that starts nothing: `python -m bench.fake_engine SOCKET`.

It answers what a run asks of a Docker engine (API 1.41), so that ten thousand tasks cost nobody but
the launcher processor time. Each container gets its identity by the hand-over, says that it is
ready, writes one line and ends with 0.
"""

import asyncio
import base64
import io
import itertools
import json
import re
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ravi_agent.contract import READY_PREFIX

VERSION = {"Version": "20.10.0", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}
_ENTRYPOINT = "/usr/local/bin/ravi-entrypoint"
_IMAGE = {
    "Id": "sha256:" + "0" * 64,
    "Config": {"Entrypoint": [_ENTRYPOINT], "Cmd": ["true"], "Env": ["PATH=/usr/local/bin:/bin"]},
}
_PROGRAM = b"#!/usr/bin/python3\nfrom ravi_agent.container.boot import main\nmain()\n"
_STDOUT, _STDERR = 1, 2
_PATH = re.compile(r"/v[\d.]+")
_STREAM = "application/vnd.docker.raw-stream"


@dataclass(kw_only=True)
class Container:
    """One that was created; `writer` is the connection that is attached."""

    id: str
    name: str
    labels: Mapping[str, str]
    state: str = "created"
    created: int = field(default_factory=lambda: int(time.time()))
    line: bytes = b""
    log: bytes = b""
    writer: asyncio.StreamWriter | None = None

    def summary(self) -> dict[str, Any]:
        """As the list has it."""
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Labels": self.labels,
            "State": self.state,
            "Status": "Exited (0) 1 second ago" if self.state == "exited" else self.state,
            "Created": self.created,
            "Mounts": [],
        }

    def inspected(self) -> dict[str, Any]:
        """The same in full, as far as a launcher reads it."""
        state = {
            "Status": self.state,
            "Running": self.state == "running",
            "ExitCode": 0,
            "FinishedAt": "2024-01-01T00:00:00Z",
            "OOMKilled": False,
        }
        return {"Id": self.id, "State": state, "Config": {"Labels": self.labels}}


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call; `path` without the version of the API."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes

    def labels(self) -> list[str]:
        """The labels that a list is filtered by."""
        filters = json.loads(self.query.get("filters", "{}")).get("label", [])
        return list(filters)  # a list, or a mapping of each to true

    def json(self) -> Any:
        return json.loads(self.body)


class Engine:
    """All that it keeps, in memory."""

    def __init__(self) -> None:
        self._containers: dict[str, Container] = {}
        self._volumes: dict[str, dict[str, Any]] = {}
        self._listeners: set[asyncio.StreamWriter] = set()
        self._number = itertools.count(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side closes it."""
        try:
            while request := await _read(reader):
                if not await self._answer(request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._listeners.discard(writer)
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection takes another request."""
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["events"]:
                _send(writer, 200, headers={"Transfer-Encoding": "chunked"})
                self._listeners.add(writer)
                await reader.read()  # until the launcher leaves
                return False
            case "POST", ["containers", name, "attach"]:
                _send(writer, 200, headers={"Content-Type": _STREAM})
                container = self._containers[name]
                container.line, container.writer = await reader.readline(), writer
                await reader.read()
                await writer.wait_closed()
                return False
            case "GET", ["containers", name, "logs"]:
                _send(writer, 200, headers={"Transfer-Encoding": "chunked"})
                writer.write(_chunk(self._containers[name].log) + _chunk(b""))
            case "HEAD", ["containers", _, "archive"]:
                stat = {"name": "ravi-entrypoint", "size": 1, "mode": 0o755, "linkTarget": ""}
                encoded = base64.b64encode(json.dumps(stat).encode()).decode()
                _send(writer, 200, headers={"X-Docker-Container-Path-Stat": encoded})
            case "GET", ["containers", _, "archive"]:
                headers = {"X-Docker-Container-Path-Stat": base64.b64encode(b"{}").decode()}
                _send(writer, 200, _archive(), headers=headers)
            case _:
                status, answer = self._carry_out(request)
                body = b"" if answer is None else json.dumps(answer).encode()
                _send(writer, status, body, headers={"Content-Type": "application/json"})
        await writer.drain()
        return True

    def _carry_out(self, request: Request) -> tuple[int, Any]:
        """The status and what JSON can say."""
        match request.method, request.path.strip("/").split("/"):
            case _, ["_ping"] | ["version"]:
                return 200, VERSION
            case "GET", ["info"]:
                return 200, {"ID": "fake", "DockerRootDir": "/var/lib/docker"}
            case "GET", ["images", *_]:
                return 200, _IMAGE
            case "GET", ["networks"]:
                return 200, []
            case _, ["volumes", *rest]:
                return self._carry_out_volume(request, rest)
            case _, ["containers", *rest]:
                return self._carry_out_container(request, rest)
        return 404, {"message": f"{request.method} {request.path}: not of this engine"}

    def _carry_out_volume(self, request: Request, rest: list[str]) -> tuple[int, Any]:
        match request.method, rest:
            case "GET", []:
                found = [
                    one for one in self._volumes.values() if _has(one["Labels"], request.labels())
                ]
                return 200, {"Volumes": found, "Warnings": None}
            case "POST", ["create"]:
                asked = request.json()
                one = {"Name": asked["Name"], "Labels": asked["Labels"], "Driver": "local"}
                self._volumes[asked["Name"]] = one
                self._tell("volume", "create", asked["Name"], {})
                return 201, one
            case "GET", [name] if name in self._volumes:
                return 200, self._volumes[name]
            case "DELETE", [name] if name in self._volumes:
                del self._volumes[name]
                return 204, None
        return 404, {"message": "no such volume"}

    def _carry_out_container(self, request: Request, rest: list[str]) -> tuple[int, Any]:
        match request.method, rest:
            case "GET", ["json"]:
                is_all = request.query.get("all") in {"1", "true", "True"}
                return 200, [
                    one.summary()
                    for one in self._containers.values()
                    if (is_all or one.state == "running") and _has(one.labels, request.labels())
                ]
            case "POST", ["create"]:
                number = f"{next(self._number):064x}"
                labels = request.json().get("Labels") or {}
                name = request.query.get("name") or number
                self._containers[number] = Container(id=number, name=name, labels=labels)
                return 201, {"Id": number, "Warnings": []}
            case _, [name, *_] if name not in self._containers:
                return 404, {"message": f"No such container: {name}"}
            case "POST", [name, "start"]:
                self._start(self._containers[name])
                return 204, None
            case "GET", [name, "json"]:
                return 200, self._containers[name].inspected()
            case "DELETE", [name]:
                del self._containers[name]
                return 204, None
        return 404, {"message": f"{request.method} {request.path}: not of this engine"}

    def _start(self, container: Container) -> None:
        container.state = "running"
        self._tell("container", "start", container.id, container.labels)
        asyncio.get_running_loop().call_later(0.01, self._end, container)

    def _end(self, container: Container) -> None:
        identity = {**json.loads(container.line)["identity"], "key": None}
        ready = f"{READY_PREFIX}{json.dumps(identity)}\n".encode()
        container.log = _frame(_STDERR, ready) + _frame(_STDOUT, b"done\n")
        container.state = "exited"
        if container.writer:
            container.writer.write(container.log)
            container.writer.close()
        attributes = {**container.labels, "exitCode": "0", "name": container.name}
        self._tell("container", "die", container.id, attributes)

    def _tell(self, kind: str, action: str, name: str, attributes: Mapping[str, str]) -> None:
        actor = {"ID": name, "Attributes": dict(attributes)}
        event = {"Type": kind, "Action": action, "Actor": actor, "time": int(time.time())}
        for listener in self._listeners:
            listener.write(_chunk(json.dumps(event).encode() + b"\n"))


def _has(labels: Mapping[str, str] | None, wanted: Iterable[str]) -> bool:
    """Whether these labels are all that a filter asks for: `name`, or `name=value`."""
    there = labels or {}
    for one in wanted:
        name, separator, value = one.partition("=")
        if name not in there or (separator and there[name] != value):
            return False
    return True


def _frame(stream: int, payload: bytes) -> bytes:
    """Docker Engine API, "Attach to a container"."""
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _archive() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("ravi-entrypoint")
        member.size = len(_PROGRAM)
        archive.addfile(member, io.BytesIO(_PROGRAM))
    return file.getvalue()


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """None at the end of the connection."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in head)}
    body = await reader.readexactly(int(headers.get("content-length") or 0))
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    return Request(method=method, path=_PATH.sub("", url.path, count=1), query=query, body=body)


def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes = b"",
    *,
    headers: Mapping[str, str],
) -> None:
    fields = dict(headers)
    if "Transfer-Encoding" not in fields and fields.get("Content-Type") != _STREAM:
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"HTTP/1.1 {status} So\r\n{head}\r\n".encode() + body)


async def _main(path: str) -> None:
    engine = Engine()
    server = await asyncio.start_unix_server(engine.serve, path, backlog=1024)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
