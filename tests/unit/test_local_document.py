"""The OpenAPI document of the local Ravi: fuzzed, and walked with the key of one identity."""

from collections.abc import Iterator

import httpx
import jsonschema
import pytest
import schemathesis

from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi

# Planted in everything that the other identity has.
SECRET = "planted-4711-of-bert"


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        yield server


def test_the_document_is_a_valid_one(service: LocalRavi) -> None:
    document = httpx.get(f"{service.url}/api/schema/").json()

    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
