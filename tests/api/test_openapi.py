"""The specification, and that every endpoint keeps to it whatever it is sent."""

import re
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, settings
from pydantic import TypeAdapter
from pydantic_core import to_json
from schemathesis import Case
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    positive_data_acceptance,
    unsupported_method,
)

from api.app import create_app
from api.examples import EXAMPLES
from api.routes import routers
from stack.embedded import Stack

SPECIFICATION: dict[str, Any] = create_app().openapi()
OPERATIONS = [
    (path, method, operation)
    for path, methods in SPECIFICATION["paths"].items()
    for method, operation in methods.items()
]
ROUTES = {
    (f"/api{route.path}", method.lower()): route
    for router in routers
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
}
# What a well-formed `after` names may lie in the future: waiting for it is tested elsewhere.
EVERY_SERVER_ERROR_BUT_AWAY = {500, 501, 502, 504}


def test_operations_have_names_for_generated_clients() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+_[a-z_]+", name) for name in names)


@pytest.mark.parametrize(
    ("path", "method", "operation"), OPERATIONS, ids=[one["operationId"] for *_, one in OPERATIONS]
)
def test_operations_are_documented(path: str, method: str, operation: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in SPECIFICATION["tags"]}
    assert set(operation["tags"]) <= tags
    assert operation["summary"]
    expected = {"422", "503"} | ({"400", "413"} if "requestBody" in operation else set())
    expected |= {"404"} if "{" in path else set()
    assert expected <= set(operation["responses"])
    for status, response in operation["responses"].items():
        if status.startswith(("4", "5")) and operation["tags"] != ["health"]:
            assert response["content"]["application/json"]["example"]["detail"], (path, method, status)


@pytest.mark.parametrize(("path", "method"), ROUTES, ids=[f"{method} {path}" for path, method in ROUTES])
def test_bodies_have_examples_that_their_models_accept(path: str, method: str) -> None:
    """Read and written again they are the same: no field of an answer is missing, and none is called otherwise."""
    route, operation = ROUTES[path, method], SPECIFICATION["paths"][path][method]
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            _unchanged(route.response_model, answer["content"]["application/json"]["example"])
    if route.body_field:
        asked = operation["requestBody"]["content"]["application/json"]["example"]
        _unchanged(route.body_field.field_info.annotation, asked, exclude_unset=True)


def test_every_example_is_of_something() -> None:
    answers = {
        f"{operation['operationId']} {status}" for *_, operation in OPERATIONS for status in operation["responses"]
    }
    assert set(EXAMPLES) <= answers | set(SPECIFICATION["components"]["schemas"])


def _unchanged(model: Any, example: Any, *, exclude_unset: bool = False) -> None:
    adapter = TypeAdapter(model)
    read = adapter.validate_json(to_json(example))
    assert adapter.dump_python(read, mode="json", exclude_unset=exclude_unset) == example


async def test_pages_for_people(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{stack.settings.api_port}") as client:
        assert (await client.get("/openapi.json")).json() == SPECIFICATION
        page = await client.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text


# 503 is an answer. A schema does not say everything: that a position is in one of our topics. `/animas/search` is also
# an `/animas/{anima_id}` whose id is wrong, and FastAPI's 405 names the methods of one endpoint of a path only.
NOT_CHECKED: list[Any] = [
    schemathesis.checks.not_a_server_error,
    positive_data_acceptance,
    unsupported_method,
    allow_header_conformance,
]
schema = schemathesis.openapi.from_dict(SPECIFICATION)


@schema.parametrize()
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_endpoints_keep_to_the_specification(case: Case[Any], stack: Stack) -> None:
    answer = case.call(base_url=f"http://127.0.0.1:{stack.settings.api_port}")
    assert answer.status_code not in EVERY_SERVER_ERROR_BUT_AWAY
    case.validate_response(answer, excluded_checks=NOT_CHECKED)
