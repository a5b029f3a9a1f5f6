"""Answers held against an OpenAPI 3.1 document."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Document = dict[str, Any]
_NAME = "urn:openapi"


class Conformance:
    """An httpx event hook that fails a test whose answers are not as the document has them.

    `seen` collects which operations were answered with success.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.seen: set[tuple[str, str]] = set()
        self._paths = [(path, _pattern(path)) for path in document["paths"]]
        # Paths without a variable are preferred, as routers do.
        self._paths.sort(key=lambda pair: pair[0].count("{"))
        resource = DRAFT202012.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(_NAME, resource)

    def check(self, response: httpx.Response) -> None:
        """Raises AssertionError or jsonschema's ValidationError."""
        path = response.request.url.path
        template = next((name for name, pattern in self._paths if pattern.fullmatch(path)), None)
        if template is None:
            assert response.status_code in {404, 307}, f"{path} is not in the document"
            return
        method = response.request.method.lower()
        operation = self.document["paths"][template].get(method)
        assert operation or response.status_code == 405, f"{method} {path} is not in the document"
        if response.status_code == 405:
            return
        response.read()
        status = str(response.status_code)
        if status not in operation["responses"]:
            status = f"{status[0]}XX"
        assert status in operation["responses"], f"{method} {path} says nothing of {status}"
        if response.status_code < 300:
            self.seen.add((method.upper(), template))
        is_json = response.headers.get("content-type", "") == "application/json"
        assert is_json == ("content" in operation["responses"][status]), f"{method} {path}"
        if is_json:
            keys = ("paths", template, method, "responses", status, "content", "application/json")
            pointer = "/".join(key.replace("~", "~0").replace("/", "~1") for key in keys)
            self._validate(json.loads(response.content), f"{_NAME}#/{pointer}/schema")

    def _validate(self, value: object, reference: str) -> None:
        validator = jsonschema.Draft202012Validator(
            {"$ref": reference},
            registry=self._registry,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )
        validator.validate(value)


def conformance(url: str) -> Conformance:
    """What the server at `url` says of itself."""
    return Conformance(httpx.get(f"{url}/api/schema/").json())


def hooks(conformance: Conformance) -> dict[str, list[Callable[..., Any]]]:
    """For `httpx.Client(event_hooks=…)`."""
    return {"response": [conformance.check]}


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts))
