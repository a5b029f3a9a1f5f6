"""A registry with one image: what an engine asks of the distribution API when it pulls."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from tarfile import TarFile

from listeners import Served

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


class Registry(Served):
    """Serves the image that `docker save` has written, under any name, on loopback."""

    def __init__(self, saved: bytes) -> None:
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        with TarFile(fileobj=BytesIO(saved)) as tar:

            def content(name: str) -> bytes:
                member = tar.extractfile(name)
                assert member
                return member.read()

            (entry,) = json.loads(content("manifest.json"))
            # Another image than the one that was saved, or the engine would have it already.
            changed = json.loads(content(entry["Config"])) | {"author": "a test"}
            config = self._keep(json.dumps(changed).encode(), _CONFIG)
            layers = [self._keep(content(layer), _LAYER) for layer in entry["Layers"]]
        record = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": layers}
        self.manifest = json.dumps(record).encode()
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), self._handler()))
        self.host = f"127.0.0.1:{self.server_port}"

    def _keep(self, blob: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        self.blobs[digest] = blob
        return {"mediaType": kind, "size": len(blob), "digest": digest}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                _, _, what = self.path.rpartition("/")
                if "/manifests/missing" in self.path:
                    self._answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}', "")
                elif "/manifests/" in self.path:
                    self._answer(200, registry.manifest, _MANIFEST)
                elif what in registry.blobs:
                    self._answer(200, registry.blobs[what], "application/octet-stream")
                else:
                    self._answer(200, b"{}", "application/json")

            do_HEAD = do_GET  # noqa: N815 - the name that the base class calls

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if kind == _MANIFEST:
                    digest = hashlib.sha256(body).hexdigest()
                    self.send_header("Docker-Content-Digest", f"sha256:{digest}")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """What it is asked stands in `asked`."""

        return Handler
