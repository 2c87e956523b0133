"""The OpenAPI document and the problem documents."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from oslo_policy.generator import generate_sample

from pumphouse import errors
from pumphouse.api.app import create_app
from pumphouse.api.documents import Document
from pumphouse.api.openapi import document
from pumphouse.api.problems import problem_of
from pumphouse.config import Config, Store
from pumphouse.service import Pumphouse

COMMITTED = Path(__file__).parents[3] / "etc" / "pumphouse" / "openapi.json"


@pytest.fixture
def client():
    with Pumphouse.open(Config(store=Store(url="sqlite://"))) as service:
        yield create_app(service).test_client()


def test_the_committed_document_is_current():
    assert COMMITTED.read_text() == document(), "write it anew with: make openapi"


def test_the_document_is_served(client):
    assert client.get("/v1/openapi.json").json == json.loads(document())


def test_every_operation_is_named_described_and_has_its_problems():
    found = json.loads(document())
    assert found["openapi"].startswith("3.1")
    operations = [one for path in found["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    for one in operations:
        assert one["summary"]
        assert {"400", "401", "403", "503"} <= one["responses"].keys()


def test_every_reference_leads_somewhere():
    text = document()
    known = json.loads(text)["components"]["schemas"]
    used = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= known.keys()


@pytest.fixture(scope="module")
def told():
    """The schemas by their names."""
    return json.loads(document())["components"]["schemas"]


def documents(kind=Document):
    yield kind
    for child in kind.__subclasses__():
        yield from documents(child)


@pytest.mark.parametrize("kind", sorted(set(documents()), key=lambda kind: kind.__name__))
def test_no_two_classes_share_a_name_in_the_document(kind, told):
    """One would be told for the other."""
    schema = kind.model_json_schema()
    for name, meant in {**schema.get("$defs", {}), kind.__name__: schema}.items():
        for part in ("enum", "required"):
            assert name not in told or told[name].get(part) == meant.get(part)
        assert (
            name not in told or told[name].get("properties", {}).keys() == meant.get("properties", {}).keys()
        )


def tree(kind=errors.PumphouseError):
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize("kind", sorted(set(tree()), key=lambda kind: kind.__name__))
def test_every_error_is_a_problem_document(kind):
    error = kind("it broke", resource="server:1", cloud="source", request_id="req-1")
    found = problem_of(error)
    assert found.type == f"urn:pumphouse:error:{kind.__name__}"
    assert 400 <= found.status < 600
    assert (found.detail, found.resource, found.cloud, found.request_id) == (
        "it broke",
        "server:1",
        "source",
        "req-1",
    )
    assert found.next_step == kind.advice


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", "/v1/nothing", 404), ("delete", "/v1/clouds", 405), ("get", "/v1/migrations/m-none", 404)],
)
def test_every_refusal_is_a_problem_document(client, method, path, status):
    answer = getattr(client, method)(path)
    assert (answer.status_code, answer.json["status"]) == (status, status)
    assert answer.mimetype == "application/problem+json"


def test_what_nobody_expected_is_a_problem_document_that_tells_no_secrets(client, monkeypatch):
    def fail(*_args, **_options):
        raise ZeroDivisionError("the password is 1234")

    monkeypatch.setattr(Pumphouse, "migrations", fail)
    answer = client.get("/v1/migrations")
    assert answer.status_code == 500
    assert "1234" not in answer.text
    assert answer.json["detail"] == "unexpected ZeroDivisionError"


def test_the_policy_s_sample_is_current(tmp_path):
    sample = tmp_path / "policy.yaml"
    generate_sample(["--namespace", "pumphouse", "--output-file", str(sample)])
    committed = COMMITTED.with_name("policy.yaml.sample")
    assert committed.read_text() == sample.read_text(), "write it anew with: make policy-sample"
