"""Thousands of requests of any kind, made from the OpenAPI document: every answer is one that it tells of."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers
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
from pumphouse.devcloud import TIMINGS, DevCloud, clouds_yaml
from pumphouse.devcloud.fill import fill
from pumphouse.model import Scope, ScopeKind
from pumphouse.service import Pumphouse

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


ETC = Path(__file__).parents[3] / "etc" / "pumphouse"
CLOUDS = ("source", "destination")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Both clouds of the demonstration, with a migration that has ended and one that is not carried out."""
    folder = tmp_path_factory.mktemp("api")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        timings = dict.fromkeys(TIMINGS, 0.02)
        clouds = {
            name: stack.enter_context(DevCloud(name, directory=folder / name, timings=timings))
            for name in CLOUDS
        }
        for name, cloud in clouds.items():
            fill(cloud, ETC / "devcloud" / f"demo-{name}.yaml")
        file = folder / "clouds.yaml"
        file.touch(mode=0o600)
        file.write_text(clouds_yaml(clouds))
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
        store = Store(url=f"sqlite:///{folder}/pumphouse.db")
        app = stack.enter_context(Pumphouse.open(Config(store=store)))
        for tenant in ("shop", "lab"):
            scope = Scope(kind=ScopeKind.TENANT, names=(tenant,))
            plan = app.plan(scope, source="source", destination="destination")
            record = app.start(plan, check_fresh=False, name=f"of {tenant}")
            if tenant == "shop":
                app.run(record.id)
        for name in CLOUDS:
            app.refresh(name)
        yield app


@pytest.fixture(scope="module")
def schema(service):
    """The document of an application on them."""
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", create_app(service))


@pytest.fixture(scope="module")
def known(service):
    """What there is, by the name of a parameter or of a member of a body; chosen by a number."""
    migrations = [one.id for one in service.migrations()]
    plan = service.migration("last").plan_id
    hosts = [one.name for one in service.hosts("source")]
    return {
        "cloud": CLOUDS,
        "source": CLOUDS[:1],
        "destination": CLOUDS[1:],
        "migration_id": migrations,
        "plan_id": (plan,),
        "plan": (plan,),
        "host": hosts,
        "names": (["shop"], ["lab"]),
    }


DOCUMENT = json.loads((ETC / "openapi.json").read_text())
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_a_documented_one(schema, known, path, method, mode):
    seen = set()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=schema[path][method].as_strategy(generation_mode=mode), choice=integers(0, 3))
    def ask(case, choice):
        if choice:  # of what there is; else whatever was made up
            for given in (case.path_parameters, case.body):
                if isinstance(given, dict):
                    given.update(
                        {name: ones[choice % len(ones)] for name, ones in known.items() if name in given}
                    )
        seen.add(case.call_and_validate(checks=CHECKS).status_code)

    ask()

    assert seen
