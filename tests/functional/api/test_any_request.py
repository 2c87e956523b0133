"""Thousands of requests of any kind, made from the OpenAPI document: every answer is one that it tells of."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pumphouse.api.app import create_app
from pumphouse.config import Config, Store
from pumphouse.model import Scope, ScopeKind
from pumphouse.plan.document import Plan
from pumphouse.service import Pumphouse
from pumphouse.service.plans import save_plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
EXAMPLES = int(os.environ.get("PUMPHOUSE_TEST_REQUESTS", "60"))
"""Of each operation, of which there are about twenty, in each of two kinds: as documented, and otherwise."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The document of an application with a plan, a migration and no clouds."""
    folder = tmp_path_factory.mktemp("api")
    clouds = folder / "clouds.yaml"
    clouds.write_text("clouds: {}\n")
    before = os.environ.get("OS_CLIENT_CONFIG_FILE")
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
    with Pumphouse.open(Config(store=Store(url=f"sqlite:///{folder}/pumphouse.db"))) as service:
        scope = Scope(kind=ScopeKind.TENANT, names=("shop",))
        plan = save_plan(
            service.store, Plan(source="source", destination="destination", scope=scope, resources=())
        )
        service.start(plan, check_fresh=False, name="one of many")
        app = create_app(service)
        yield schemathesis.openapi.from_wsgi("/v1/openapi.json", app)
    if before is None:
        del os.environ["OS_CLIENT_CONFIG_FILE"]
    else:
        os.environ["OS_CLIENT_CONFIG_FILE"] = before


DOCUMENT = json.loads((Path(__file__).parents[3] / "etc" / "pumphouse" / "openapi.json").read_text())
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_a_documented_one(schema, path, method, mode):
    seen = set()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=schema[path][method].as_strategy(generation_mode=mode), known=booleans())
    def ask(case, known):
        if known and "migration_id" in case.path_parameters:
            case.path_parameters["migration_id"] = "last"
        seen.add(case.call_and_validate(checks=CHECKS).status_code)

    ask()
    assert seen
