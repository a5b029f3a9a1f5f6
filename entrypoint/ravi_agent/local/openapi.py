"""The OpenAPI 3.1 document of the endpoints."""

import re
from collections.abc import Iterable

from ravi_agent.local.endpoints import Endpoint, Who
from ravi_agent.local.fields import Field, Schema
from ravi_agent.local.shapes import (
    NUMBER,
    SCHEMAS,
    TEXT,
    URL,
    UUID,
    list_of,
    nullable,
    object_of,
    ref,
)

SCHEMA_PATH = "/api/schema/"


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """What the endpoints take and answer, as OpenAPI 3.1."""
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The local Ravi",
            "version": "1",
            "description": "A Ravi to develop against. Its identities are not real.",
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "paths": paths,
    }


def _operation(endpoint: Endpoint) -> Schema:
    operation: Schema = {
        "operationId": f"{endpoint.method} {endpoint.path}",
        "summary": endpoint.does,
        "security": [] if endpoint.who is Who.ANYONE else [{"key": []}],
        "parameters": _parameters(endpoint),
        "responses": {str(endpoint.status): _answer(endpoint), "4XX": _json(ref("Error"))},
    }
    if endpoint.body:
        is_needed = any(field.is_required for field in endpoint.body.values())
        operation["requestBody"] = {**_json(_body(endpoint)), "required": is_needed}
        del operation["requestBody"]["description"]  # type: ignore[attr-defined]
    return operation


def _parameters(endpoint: Endpoint) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": TEXT}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    query = dict(endpoint.query)
    if endpoint.many:
        query["page"] = Field({"type": "integer", "minimum": 1})
    if endpoint.who is Who.IDENTITY:
        query["identity"] = Field(UUID)
    found += [
        {"name": name, "in": "query", "required": field.is_required, "schema": _plain(field)}
        for name, field in query.items()
    ]
    return found


def _body(endpoint: Endpoint) -> Schema:
    return {
        "type": "object",
        "properties": {
            name: _plain(field) if field.is_required else nullable(_plain(field))
            for name, field in endpoint.body.items()
        },
        "required": sorted(name for name, field in endpoint.body.items() if field.is_required),
    }


def _plain(field: Field) -> Schema:
    """A field's schema without the word that only `fields` knows."""
    return {key: value for key, value in field.schema.items() if value != "line"}


def _answer(endpoint: Endpoint) -> Schema:
    if endpoint.returns is None:
        return {"description": endpoint.does}
    schema = ref(endpoint.returns)
    if not endpoint.many:
        return _json(schema)
    page = object_of(
        count=NUMBER, next=nullable(URL), previous=nullable(URL), results=list_of(schema)
    )
    return _json({"oneOf": [list_of(schema), page]})


def _json(schema: Schema) -> Schema:
    return {"description": "JSON", "content": {"application/json": {"schema": schema}}}
