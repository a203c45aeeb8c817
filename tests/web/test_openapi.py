"""The OpenAPI document is true in 500 cases: allowed requests are answered as documented, others refused."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from hitofude.export.onnx_model import OnnxModel
from hitofude.web.app import create_app
from hitofude.web.settings import Limits, Settings
from tests.web.tiny_model import write_tiny_model

SMALL = (1, 4, 4)
"""Few pixels, so that hypothesis can make up 64 images."""
CASES = {("/api/predict", "positive"): 170, ("/api/corrections", "positive"): 80}
CASES |= {("/api/predict", "negative"): 170, ("/api/corrections", "negative"): 80}
ROUTES = {"/api/model", "/api/predict", "/api/corrections", "/healthz", "/metrics"}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("small")
    model = OnnxModel.load(write_tiny_model(folder / "model.onnx", ("a", "b", "う"), SMALL))
    return create_app(model, Settings(corrections=folder / "kept", limits=Limits(corrections=30)))


@pytest.fixture(scope="module")
def operations(app: FastAPI) -> dict[tuple[str, str], Any]:
    """By path and method."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.app = app
    return {(found.ok().path, found.ok().method): found.ok() for found in schema.get_all_operations()}


def answered(operation: Any, mode: GenerationMode, cases: int) -> Counter[tuple[str | None, int]]:
    """Send the cases; count the answers by content type and status. Raises if an answer is not as documented."""
    seen: Counter[tuple[str | None, int]] = Counter()

    @settings(max_examples=cases, derandomize=True, database=None, deadline=None, suppress_health_check=SLOW)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        response = case.call(base_url="http://localhost")
        binary = case.media_type is not None and case.media_type != "application/json"
        case.validate_response(response, excluded_checks=[positive_data_acceptance] if binary else [])
        seen[case.media_type, response.status_code] += 1

    ask()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize(("path", "mode"), CASES)
def test_what_is_allowed_is_answered_and_what_is_not_is_refused(
    path: str, mode: str, operations: dict[tuple[str, str], Any]
) -> None:
    seen = answered(operations[path, "post"], GenerationMode(mode), CASES[path, mode])
    assert sum(seen.values()) >= CASES[path, mode]
    by_json = {status for kind, status in seen if kind == "application/json"}
    assert by_json <= ({200, 201, 409} if mode == "positive" else {422})
    assert by_json


def test_the_cases_are_five_hundred() -> None:
    assert sum(CASES.values()) == 500


def test_what_is_only_asked_is_answered_as_it_is_documented(operations: dict[tuple[str, str], Any]) -> None:
    for (_, method), operation in operations.items():
        if method == "get":
            assert answered(operation, GenerationMode.POSITIVE, 1) == {(None, 200): 1}


def test_the_document_knows_all_routes_and_all_that_can_be_wrong(app: FastAPI) -> None:
    document = app.openapi()
    assert set(document["paths"]) == ROUTES
    answers = set(document["paths"]["/api/predict"]["post"]["responses"])
    assert answers == {"200", "400", "401", "403", "408", "413", "415", "422", "503"}


def test_the_token_is_in_the_document_where_one_is_asked_for(tmp_path: Path) -> None:
    model = OnnxModel.load(write_tiny_model(tmp_path / "model.onnx", image_shape=SMALL))
    document = create_app(model, Settings(corrections=tmp_path, token="x" * 16)).openapi()
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
