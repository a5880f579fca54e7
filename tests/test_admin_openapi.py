"""The OpenAPI schema of the admin API says what is true: shapes, examples, parameters, who may ask."""

import json
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, ValidationError

from hotplate import Cache, admin_router
from hotplate.admin.operations import OPERATIONS
from hotplate.admin.page import files
from hotplate.admin.questions import Targets
from hotplate.admin.schemas import ANSWERS, EXAMPLES, PARAMETERS, QUESTIONS
from tests.admin_site import TOKEN


def schema_of(auth: Any = TOKEN) -> Any:
    app = FastAPI()
    app.include_router(admin_router(Cache(), auth=auth), prefix="/_cache")
    return app.openapi()


@pytest.fixture(scope="module")
def schema() -> Any:
    return schema_of()


def described(schema: Any, name: str) -> Any:
    (operation,) = (operation for operation in OPERATIONS if operation.name == name)
    return schema["paths"][f"/_cache{operation.path}"][operation.method.lower()]


NAMES = [operation.name for operation in OPERATIONS]


def test_everything_is_in_it(schema: Any) -> None:
    paths = {operation.path for operation in OPERATIONS} | {"/" + name for name in files if name != "index.html"}
    assert set(schema["paths"]) >= {f"/_cache{path}" for path in paths}
    assert ("/_cache/" in schema["paths"]) == ("index.html" in files)


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_has_words_an_example_and_its_refusals(schema: Any, name: str) -> None:
    operation = described(schema, name)
    assert operation["summary"]
    assert not operation["summary"].endswith(".")
    (content,) = operation["responses"]["200"]["content"].values()
    assert content["example"] == EXAMPLES[name]
    assert "$ref" in content["schema"] or content["schema"] == {"type": "string"}
    assert operation["security"] == [{"hotplate": []}]
    assert {"401", "422"} <= set(operation["responses"])


def test_the_scheme_is_a_bearer_token(schema: Any) -> None:
    scheme = schema["components"]["securitySchemes"]["hotplate"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


def test_a_dependency_that_is_a_scheme_of_the_application_is_in_it() -> None:
    schema = schema_of(Depends(APIKeyHeader(name="X-Key")))
    assert set(schema["components"]["securitySchemes"]) == {"APIKeyHeader"}
    assert all(described(schema, name)["security"] == [{"APIKeyHeader": []}] for name in NAMES)


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_an_example_is_an_answer(name: str) -> None:
    ANSWERS[name].model_validate_json(json.dumps(EXAMPLES[name]), strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_parameters_are_those_that_are_read(schema: Any, name: str) -> None:
    (operation,) = (operation for operation in OPERATIONS if operation.name == name)
    told = described(schema, name).get("parameters", [])
    assert [(parameter["name"], parameter["in"]) for parameter in told] == [
        (parameter, "query") for parameter in operation.parameters
    ]
    assert all(parameter["schema"] and parameter["description"] for parameter in told)


def test_every_parameter_is_one_of_an_operation() -> None:
    assert set(PARAMETERS) == {parameter for operation in OPERATIONS for parameter in operation.parameters}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("preview", {"tags": ["a"]}),
        ("invalidate", {"paths": ["/a"], "soft": True}),
        ("invalidate", {"everything": True}),
        ("invalidate", {"prefixes": ["/"], "keys": ["a", "b"], "tags": [], "everything": False}),
    ],
)
def test_a_body_that_is_read_is_one_of_the_schema(name: str, body: Any) -> None:
    read = Targets.of(json.dumps(body).encode(), soft=name == "invalidate")
    told = QUESTIONS[name].model_validate(body, strict=True)
    assert {**Targets().__dict__, **told.model_dump()} == read.__dict__


@pytest.mark.parametrize("name", sorted(QUESTIONS))
@pytest.mark.parametrize("body", [{"tag": ["a"]}, {"tags": "a"}, {"tags": [1]}, {"tags": [""]}, {"everything": "yes"}])
def test_a_body_that_is_refused_is_none_of_the_schema(name: str, body: Any) -> None:
    with pytest.raises(ValidationError):
        QUESTIONS[name].model_validate(body, strict=True)


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_body_is_described_with_an_example(schema: Any, name: str) -> None:
    body = described(schema, name)["requestBody"]
    assert body["required"]
    content = body["content"]["application/json"]
    assert set(content["schema"]["properties"]) == set(QUESTIONS[name].model_fields)
    assert "$ref" not in json.dumps(content["schema"])
    QUESTIONS[name].model_validate(content["example"], strict=True)


def test_every_model_says_what_it_is() -> None:
    models = [*ANSWERS.values(), *QUESTIONS.values()]
    assert all(isinstance(model.__doc__, str) and model.__doc__ != BaseModel.__doc__ for model in models)
